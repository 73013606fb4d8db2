import { lstatSync, realpathSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative } from "node:path";
import type { RunPolicy } from "../../permissions/run-policy.js";
import { asList, asRecord, asText, type JsonRecord } from "../json.js";
import { describeCall } from "./describe-call.js";

/** A request for permission as `createAgentQuestions` and `decide` know it. */
export interface AskedPermission {
  toolName: string;
  input: JsonRecord;
  /** What the person should know beside the call. */
  note?: string | undefined;
}

/** What can be chosen. Only what holds for the one request: what is allowed for the run is remembered by us. */
export interface PermissionOptions {
  allow?: string | undefined;
  reject?: string | undefined;
  /** The turn goes on after a refusal. */
  goesOn: boolean;
}

/** What in a command's request is nothing but the command. */
const PLAIN = new Set(["command", "cwd"]);

/**
 * What is asked.
 * @param request the call as it stands in the request
 * @param known what the agent has told of it before
 * @param where.title how a person calls the agent
 */
export function readPermission(
  request: JsonRecord,
  known: JsonRecord,
  where: { cwd: string; title: string; policy?: RunPolicy | undefined },
): AskedPermission {
  const { cwd, title, policy } = where;
  const call = { ...known, ...request };
  const raw = asRecord(call.rawInput);
  const described = describeCall(call);
  const said = readText(request);
  const host = readHost(raw, call);
  if (host !== undefined) {
    const command = asText(raw.command);
    return {
      toolName: "SandboxNetworkAccess",
      input: { host },
      note: command && `It was asked for by the command: ${command}`,
    };
  }
  if (described.toolName === "Bash") {
    const extras = Object.entries(raw).filter(([key]) => !PLAIN.has(key));
    const elsewhere = asText(raw.cwd) ?? cwd;
    // Somewhere else, with more rights, or with a host to reach, it is not the command alone that the rules know.
    const isPlain =
      asText(asRecord(request.rawInput).command) !== undefined &&
      extras.length === 0 &&
      elsewhere === cwd &&
      said === "";
    return {
      toolName: "Bash",
      input: {
        command: described.input.command,
        ...(isPlain && !policy?.sandboxed ? {} : { dangerouslyDisableSandbox: true }),
        ...(elsewhere === cwd ? {} : { cwd: elsewhere }),
        ...Object.fromEntries(extras),
        ...(said ? { about: said } : {}),
      },
      note: `${title} asks for what its own sandbox does not let it do: this runs outside of it.`,
    };
  }
  return { toolName: described.toolName, input: { ...described.input, ...(said ? { about: said } : {}) } };
}

/** Why it is refused whatever anybody says: one of the files that it names may not be touched. */
export function refusePaths(call: JsonRecord, policy: RunPolicy | undefined): string | undefined {
  for (const path of describeCall(call).paths) {
    const decision = policy?.decide("Edit", { file_path: path });
    if (decision?.decision === "deny") return decision.reason;
  }
  return undefined;
}

/**
 * Whether a change is of nothing but files in these folders, which are the agent's own. A file of which no change is
 * shown may be moved anywhere by it.
 */
export function isOwnChange(call: JsonRecord, folders: readonly string[]): boolean {
  const { toolName, paths } = describeCall(call);
  return (
    toolName === "Edit" &&
    paths.length > 0 &&
    findHidden(call).length === 0 &&
    paths.every((path) => folders.some((own) => liesIn(path, own)))
  );
}

/** Whether a person could not see what they would allow: Codex leaves large changes out, and where they move a file to. */
export function hidesChange(call: JsonRecord): boolean {
  if (call.kind !== "edit") return false;
  const [located, changed] = [listPaths(call.locations), listPaths(call.content)];
  // Of a file that is moved the change is shown at its new place.
  const moved = changed.filter((path) => !located.includes(path));
  return located.length + changed.length === 0 || findHidden(call).length > moved.length;
}

/** The files that it names and shows no change of. */
function findHidden(call: JsonRecord): string[] {
  const changed = listPaths(call.content);
  return listPaths(call.locations).filter((path) => !changed.includes(path));
}

function listPaths(parts: unknown): string[] {
  const paths = asList(parts).flatMap((part) => asText(asRecord(part).path) ?? []);
  return [...new Set(paths)];
}

/**
 * Why a change cannot be asked as it is named: a link leads from there to another place, which nobody would see.
 * @param cwd may be reached by a link itself
 */
export function refuseLinks(call: JsonRecord, cwd: string): string | undefined {
  const { toolName, paths } = describeCall(call);
  if (toolName !== "Edit") return undefined;
  for (const path of paths) {
    const below = relative(cwd, path);
    const isInside = !(below.startsWith("..") || isAbsolute(below));
    const place = findPlace(path);
    if (isLink(path) || place !== (isInside ? join(findPlace(cwd), below) : path))
      return `A link leads from ${path} to another place, so it was not carried out. Name the file where it is${place === path ? "" : `: ${place}`}.`;
  }
  return undefined;
}

/** Also one that leads nowhere yet. */
function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

/** Where a file is, or would be, without links. */
function findPlace(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(findPlace(above), basename(path));
  }
}

/** A link in the folder, or as the folder, leads elsewhere. */
function liesIn(path: string, folder: string): boolean {
  try {
    if (isLink(path)) return false;
    const real = relative(realpathSync(folder), realpathSync(dirname(path)));
    return real === "" || !(real.startsWith("..") || isAbsolute(real));
  } catch {
    return false;
  }
}

/** @param mild options of a refusal after which the turn goes on */
export function readOptions(options: unknown, mild: readonly string[]): PermissionOptions {
  const offered = asList(options).map(asRecord);
  const find = (kind: string) => offered.find((option) => option.kind === kind);
  const refusals = offered.filter((option) => option.kind === "reject_once");
  const gentle = refusals.find(({ optionId }) => mild.some((id) => id === optionId));
  return {
    allow: asText(find("allow_once")?.optionId),
    reject: asText((gentle ?? refusals[0])?.optionId),
    goesOn: gentle !== undefined,
  };
}

function readText(call: JsonRecord): string {
  return asList(call.content)
    .map((part) => asText(asRecord(asRecord(part).content).text))
    .filter(Boolean)
    .join("\n");
}

/** The host that is to be reached, where the request is about one. */
function readHost(raw: JsonRecord, call: JsonRecord): string | undefined {
  const url = asText(raw.url);
  if (url !== undefined && call.kind === "execute") {
    try {
      return new URL(url).hostname;
    } catch {
      return url;
    }
  }
  return undefined;
}
