import { execFile } from "node:child_process";
import {
  AGENT_KINDS,
  configuredPath,
  type FoundClaude,
  findClaude,
  findSandbox,
} from "../../engine/requirements.js";
import type { Settings } from "../../settings/settings.js";
import { type Finding, failure, ok, type Result, skipped, warning } from "./finding.js";

/** What the package is made for: `engines` of package.json. */
const NODE_LINES = [
  { major: 20, minor: 20 },
  { major: 22, minor: 12 },
];
const NEWEST_LINE = 24;
/** Merging without a work tree came with it. */
const ENGINE_GIT = "2.38";

/** @param version as in `process.versions.node` */
export function checkNode(version: string): Result {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const line = NODE_LINES.find((one) => one.major === major);
  if (major >= NEWEST_LINE || (line && minor >= line.minor)) return ok(version);
  return failure(`${version} is not supported`, "Use Node 20.20, 22.12 or 24, or a newer LTS line.");
}

/**
 * Asks git for its version.
 * @param options.needed by an engine on this machine
 */
export async function checkGit(options: {
  gitPath: string;
  env: NodeJS.ProcessEnv;
  limitMs: number;
  needed: boolean;
}): Promise<Result> {
  const { gitPath, env, limitMs, needed } = options;
  const bad = needed ? failure : warning;
  const text = await new Promise<string | undefined>((resolve) => {
    execFile(
      gitPath,
      ["--version"],
      { env, timeout: limitMs, killSignal: "SIGKILL", windowsHide: true },
      (error, stdout) => resolve(error ? undefined : stdout),
    ).stdin?.end();
  });
  const version = /(\d+)\.(\d+)(\.\d+)*/.exec(text ?? "");
  if (!version) {
    return bad(
      "not found",
      needed
        ? "Install git: the engine works in clones."
        : "Install git to have repositories and branches suggested.",
    );
  }
  const [major, minor] = [Number(version[1]), Number(version[2])];
  const [neededMajor = 0, neededMinor = 0] = ENGINE_GIT.split(".").map(Number);
  const isOld = major < neededMajor || (major === neededMajor && minor < neededMinor);
  if (needed && isOld) {
    return warning(
      `${version[0]} is old`,
      `With git ${ENGINE_GIT} or newer the engine can also merge branches.`,
    );
  }
  return ok(version[0]);
}

/**
 * Looks for Claude Code, which carries out the runs of an engine on this machine.
 * @param options.needed by an engine on this machine
 * @param options.shorten makes a path fit to be shown
 */
export async function checkClaude(options: {
  settings: Settings | undefined;
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
  needed: boolean;
  shorten(text: string): string;
}): Promise<Result> {
  const { settings, env, platform, needed, shorten } = options;
  const { claudePath: configured, engineAgentVariables: passedVariables } = settings ?? {};
  const found = await findClaude({ ...(configured ? { configured } : {}), passedVariables, env, platform });
  return judgeClaude(found, needed, shorten);
}

/** Looks for the other agents, which nothing needs that does not name them. Each is a check of its own. */
export async function checkOtherAgents(options: {
  settings: Settings | undefined;
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
  shorten(text: string): string;
  within(work: Promise<Result>): Promise<Result>;
}): Promise<Finding[]> {
  const { settings, env, platform, shorten, within } = options;
  const look = async (kind: (typeof AGENT_KINDS)[number]): Promise<Result> => {
    const configured = configuredPath(kind, settings);
    const passedVariables = settings?.engineAgentVariables;
    const found = await kind.find({ env, passedVariables, platform, ...(configured ? { configured } : {}) });
    if (found.ok)
      return ok(`${[kind.title, found.version].filter(Boolean).join(" ")} at ${shorten(found.path)}`);
    return skipped(
      `only needed where a workflow or a start names the agent ${kind.name}. ${shorten(found.problem)}`,
    );
  };
  const others = AGENT_KINDS.filter(({ name }) => name !== "claude");
  return Promise.all(others.map(async (kind) => ({ check: kind.name, ...(await within(look(kind))) })));
}

/**
 * Says whether commands of agents are confined.
 * @param options.mode the setting
 * @param options.needed by an engine on this machine
 */
export async function checkSandbox(options: {
  mode: "auto" | "on" | "off";
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
  needed: boolean;
}): Promise<Result> {
  const { mode, env, platform, needed } = options;
  if (!needed) return skipped("only needed with AUTOMAGIK_WORKFLOWS_ENGINE=local");
  if (mode === "off") return ok("off: commands of agents can do whatever you can do on this machine");
  const found = await findSandbox({ env, platform });
  if (found.usable)
    return ok("commands of agents write in their workspace only; they read what you can read");
  const advice =
    platform === "linux" ? "Install bubblewrap and socat, and let them make containers." : "See SECURITY.md.";
  return mode === "on"
    ? failure(`${found.why}, so the engine does not start`, advice)
    : warning(`${found.why}: commands of agents can do whatever you can do on this machine`, advice);
}

function judgeClaude(found: FoundClaude, needed: boolean, shorten: (text: string) => string): Result {
  if (found.ok) {
    const { version, path, loggedIn } = found;
    const what = `Claude Code ${version} at ${shorten(path)}`;
    if (loggedIn === true) return ok(`${what}, logged in`);
    const told = `${what}; unknown whether it is logged in`;
    return needed ? warning(told, "Run `claude` once, and log in if it asks.") : ok(told);
  }
  if (!needed) return skipped(`only needed with AUTOMAGIK_WORKFLOWS_ENGINE=local; ${words(found.reason)}`);
  const [message = "", ...rest] = shorten(found.problem).split(/(?<=\.) (?=[A-Z])/);
  return failure(message, rest.join(" ") || "See CLAUDE_PATH in docs/settings.md.");
}

function words(reason: Extract<FoundClaude, { ok: false }>["reason"]): string {
  return { missing: "not found", broken: "does not run", too_old: "too old", logged_out: "not logged in" }[
    reason
  ];
}
