import { readFile } from "node:fs/promises";
import {
  type EngineStatus,
  engineFiles,
  type KeptSettings,
  readEngineStatus,
  readKeptSettings,
} from "../../engine/background/index.js";
import { compareEngineSettings } from "../../settings/engine-variables.js";
import type { Texts } from "../../settings/entries.js";
import { type Settings, SettingsError } from "../../settings/settings.js";
import { findSharedDatabase, hasSharedDatabase } from "../../settings/shared-database.js";
import { tellUnknownVariables } from "../../settings/unknown-variables.js";
import { keepAwake } from "../../shared/background/keep-awake.js";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import { resolveStateFolder } from "../../shared/state-folder.js";
import { cleanLine } from "../../shared/text.js";
import { StoreError } from "../../store/store-error.js";
import { driverPlaceOf, findPlansDatabase } from "../describe-server.js";
import { createConfigFiles } from "../install/config-files.js";
import { lookAtPlans, namePlans } from "../plan-driver/tell-driver.js";
import { checkApi } from "./check-api.js";
import { CORRECT_NAME, type JudgedEntry } from "./check-clients.js";
import { checkDeliveries } from "./check-deliveries.js";
import { checkNotifications } from "./check-notifications.js";
import { checkPlans } from "./check-plans.js";
import { checkClaude, checkGit, checkNode, checkOtherAgents, checkSandbox } from "./check-programs.js";
import { checkRepositories } from "./check-repositories.js";
import { checkServices } from "./check-services.js";
import { checkState } from "./check-state.js";
import { checkWorkflows } from "./check-workflows.js";
import { type Finding, failure, ok, type Result, type Status, skipped, warning } from "./finding.js";
import { type ClientsOfMachine, lookAtClients } from "./look-at-clients.js";

export interface DoctorOptions {
  /** The settings, or why they cannot be used. */
  settings: Settings | SettingsError;
  /** For git and Claude Code: without our own variables. */
  env: NodeJS.ProcessEnv;
  home: string;
  platform: NodeJS.Platform;
  /** As in `process.versions.node`. */
  nodeVersion: string;
  clock: Clock;
  /** How long the API may take for one answer, and PostgreSQL is waited for, in ms; default 4.5 s. */
  answerMs?: number;
  /** Writes to the person: lines of text, or one JSON array. */
  out(text: string): void;
  json?: boolean;
  /** Where the settings come from, to look at the chat clients, too; without it they are not looked at. */
  own?: {
    /** This product's variables of the shell. */
    variables: Texts;
    flags: Texts;
    /** The folder whose project's files are looked at. */
    cwd: string;
  };
  /** `git` unless told. */
  gitPath?: string;
}

/** No check takes longer, and they go on side by side. In ms. */
const LIMIT_MS = 5_000;
/** One answer of the API: less, so that a check made of two still says which one was missing. */
const ANSWER_MS = 4_500;
/** A statement may begin just before that time is over. */
const LAST_TRY_MS = 500;

/**
 * Finds out whether everything is as it should be, and says so, one line each with what to do. It starts no server,
 * no engine and no run, changes nothing, and sends the API nothing but GETs.
 * @returns the exit code: 0 when nothing fails (warnings do not count), else 1
 */
export async function runDoctor(options: DoctorOptions): Promise<number> {
  const { found, secrets } = await keepAwake(() => examine(options));
  const findings = found.map((finding) => conceal(finding, secrets, options.home));
  options.out(options.json ? `${JSON.stringify(findings, null, 2)}\n` : findings.map(renderFinding).join(""));
  return findings.some(({ status }) => status === "failure") ? 1 : 0;
}

async function examine(options: DoctorOptions): Promise<{ found: Finding[]; secrets: string[] }> {
  const { settings: given, env, home, platform, clock } = options;
  const ofShell = given instanceof SettingsError ? undefined : given;
  const shorten = (text: string) => shortenHome(text, home);
  const clients = ofShell && (await examineClients(ofShell, options, shorten));
  const basis = clients?.basis;
  const settings = basis?.settings ?? ofShell;
  const local = settings?.engine === "local" || clients?.local === true;
  const folder = resolveStateFolder({
    ...(settings?.stateDir ? { override: settings.stateDir } : {}),
    env,
    platform,
    home,
  });
  const within = (work: Promise<Result>) => limit(work, clock);

  const isShared = settings !== undefined && hasSharedDatabase(settings);
  const engine = readEngineStatus(folder, { clock });
  const hidden: string[] = [];
  const [
    api,
    state,
    git,
    claude,
    agents,
    sandbox,
    status,
    workflows,
    repositories,
    plans,
    workers,
    told,
    services,
  ] = await Promise.all([
    examineApi(settings, folder, engine, options),
    within(
      settings && isShared
        ? examineDatabase(settings, options)
        : checkState({ folder, shown: shorten(folder), platform }),
    ),
    within(checkGit({ gitPath: options.gitPath ?? "git", env, limitMs: LIMIT_MS, needed: local })),
    within(checkClaude({ settings, env, platform, needed: local, shorten })),
    checkOtherAgents({ settings, env, platform, shorten, within }),
    within(checkSandbox({ mode: settings?.engineSandbox ?? "auto", env, platform, needed: local })),
    within(
      Promise.all([engine, readKeptSettings(folder)]).then(([found, kept]) =>
        judgeEngine(found, { needed: local, kept, settings, whose: basis?.whose }),
      ),
    ),
    checkWorkflows({ env, platform, home, clock, settings, needed: local }, within),
    within(
      checkRepositories({
        env,
        platform,
        home,
        clock,
        allowedFolders: settings?.engineAllowedFolders ?? [],
        shorten,
      }),
    ),
    settings ? within(examinePlans(settings, folder, shorten)) : undefined,
    settings && isShared ? within(examineWorkers(settings, folder, engine, options)) : undefined,
    checkDeliveries(folder, settings, { clock, limitMs: LIMIT_MS }),
    settings ? checkServices(settings, options, hidden) : [],
  ]);
  const isUnset = clients !== undefined && basis === undefined;
  const unset = isUnset ? (clients.inProject ? ONLY_IN_PROJECT : NOTHING_SET_UP) : undefined;
  const found = [
    { check: "node", ...checkNode(options.nodeVersion) },
    { check: "settings", ...judgeSettings(given, basis?.whose, options.own?.variables ?? {}) },
    ...(clients?.results ?? []).map((result) => ({ check: "client", ...result })),
    ...judgeApi(api, { unset, key: basis?.key }),
    { check: "state", ...state },
    { check: "git", ...git },
    { check: "claude", ...claude },
    ...agents,
    { check: "sandbox", ...sandbox },
    { check: "engine", ...status },
    ...(workers ? [{ check: "workers", ...workers }] : []),
    ...(local ? [{ check: "repositories", ...repositories }] : []),
    ...workflows,
    ...(plans ? [{ check: "plans", ...plans }] : []),
    { check: "notifications", ...checkNotifications(settings, { env, platform, home }) },
    ...(told ? [{ check: "told", ...told }] : []),
    ...services,
  ];
  const keys = [ofShell?.apiKey, settings?.apiKey, ...(clients?.secrets ?? []), ...hidden];
  return { found, secrets: keys.filter((key) => key !== undefined) };
}

/** The database that several servers share, in place of the state folder. */
async function examineDatabase(
  settings: Settings,
  { clock, answerMs = ANSWER_MS }: Pick<DoctorOptions, "clock" | "answerMs">,
): Promise<Result> {
  try {
    const address = findSharedDatabase(settings);
    const { checkDatabase } = await import("./check-database.js");
    return await checkDatabase(address ?? "", { limitMs: answerMs - LAST_TRY_MS, clock });
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return failure(error.message, "Correct it where the servers set it.");
  }
}

/** The plans, and with a database that servers share those that are still in the state folder. */
async function examinePlans(
  settings: Settings,
  folder: string,
  shorten: (text: string) => string,
): Promise<Result> {
  const here = { engine: settings.engine, baseUrl: settings.baseUrl };
  const isInFolder = settings.engine === "local" || !hasSharedDatabase(settings);
  if (isInFolder)
    return checkPlans(driverPlaceOf(folder, here), { shorten }).catch((error) => {
      if (error instanceof StoreError && error.kind !== "busy") return skipped(STATE_SAYS_WHY);
      throw error;
    });
  const left = await lookAtPlans(driverPlaceOf(folder, here)).catch(() => undefined);
  if (left && left.open.length > 0)
    return warning(
      `${left.open.length} open in the state folder: ${namePlans(left.open)}; with AUTOMAGIK_WORKFLOWS_DATABASE these do not go on`,
      "They go on where the setting is taken off. Plans of before are not moved to the database.",
    );
  try {
    const address = findPlansDatabase(settings);
    return await checkPlans(driverPlaceOf(folder, settings), { shorten, address });
  } catch (error) {
    if (error instanceof SettingsError || error instanceof StoreError) return skipped(STATE_SAYS_WHY);
    throw error;
  }
}

const STATE_SAYS_WHY = "not tried: the database cannot be used, as said above";

/** The engines that share that database. */
async function examineWorkers(
  settings: Settings,
  stateFolder: string,
  engine: Promise<EngineStatus>,
  { answerMs = ANSWER_MS }: Pick<DoctorOptions, "answerMs">,
): Promise<Result> {
  try {
    const address = findSharedDatabase(settings) ?? "";
    const { checkWorkers } = await import("./check-workers.js");
    return await checkWorkers(address, {
      stateFolder,
      engine: await engine,
      limitMs: answerMs - LAST_TRY_MS,
    });
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return skipped("not known: the database's address cannot be used");
  }
}

/** What the chat clients have of this server; undefined when that is not asked for, or does not come in time. */
async function examineClients(
  settings: Settings,
  { own, env, home, platform, clock, answerMs = ANSWER_MS }: DoctorOptions,
  shorten: (text: string) => string,
): Promise<ClientsOfMachine | undefined> {
  if (!own) return undefined;
  const place = { platform, home, env, cwd: own.cwd, files: createConfigFiles() };
  const look = () => lookAtClients({ ...own, place, settings, env, shorten, limitMs: answerMs, clock });
  return withDeadline(clock, LIMIT_MS, look).catch(() => undefined);
}

/** The API's findings, with what is known of whether there should be one. */
function judgeApi(
  found: Finding[],
  { unset, key }: { unset: Result | undefined; key: JudgedEntry["key"] | undefined },
): Finding[] {
  const isThere = found.some(({ check, status }) => check === "address" && status !== "failure");
  if (unset && !isThere) return [{ check: "address", ...unset }];
  if (key !== "client") return found;
  const kept = skipped("kept by the client, and not known here");
  return found.map((one) =>
    one.check === "key" && one.status === "failure" ? { check: "key", ...kept } : one,
  );
}

const ONLY_IN_PROJECT = skipped(
  "not tried: only a file of this project says where runs are carried out, and such a file may be a stranger's; " +
    "set the same in this shell to have it checked",
);

const NOTHING_SET_UP = failure(
  "no chat client has this server, and no workflows API is set here",
  "To begin with runs on this machine: automagik-workflows-mcp install claude-code --engine local. For an API elsewhere " +
    "set AUTOMAGIK_WORKFLOWS_BASE_URL and AUTOMAGIK_WORKFLOWS_API_KEY first, and leave --engine local out.",
);

/** The API of the settings, or the engine of this machine where it stands for it. */
async function examineApi(
  settings: Settings | undefined,
  stateFolder: string,
  engine: Promise<EngineStatus>,
  { env, clock, answerMs = ANSWER_MS }: Pick<DoctorOptions, "env" | "clock" | "answerMs">,
): Promise<Finding[]> {
  if (!settings) return [{ check: "address", ...skipped("not tried: the settings cannot be used") }];
  const { baseUrl, apiKey, engine: kind, requestTimeoutS } = settings;
  const limitMs = Math.min(answerMs, requestTimeoutS * 1000);
  if (kind === "off") return checkApi({ baseUrl, apiKey, env, limitMs, clock });
  const { url } = await engine;
  if (!url)
    return [
      { check: "address", ...ok("the engine of this machine; a chat window starts it when it is needed") },
    ];
  const { key: place, formerKey } = engineFiles(stateFolder);
  const read = (path: string) => readFile(path, "utf8").catch(() => "");
  const key = apiKey ?? ((await read(place)) || (await read(formerKey))).trim();
  // It is on this machine, and is reached without a proxy.
  const findings = await checkApi({ baseUrl: url, apiKey: key || undefined, env: {}, limitMs, clock });
  // What another API may leave out, our own engine has: only what is wrong there says anything.
  return findings.filter(({ check, status }) => check === "address" || status !== "ok");
}

/** @param variables this product's in the shell */
function judgeSettings(
  settings: Settings | SettingsError,
  whose: string | undefined,
  variables: Texts,
): Result {
  const unknown = tellUnknownVariables(variables);
  if (!(settings instanceof SettingsError)) {
    const usable = `can be used${whose === undefined ? "" : `; checked are those of ${whose}`}`;
    return unknown ? warning(`${usable}. ${unknown}`, CORRECT_NAME) : ok(usable);
  }
  return failure(settings.message, "Correct it where the client sets it; --help lists every setting.");
}

function judgeEngine(
  status: EngineStatus,
  options: {
    needed: boolean;
    /** The settings that the engine has. */
    kept: KeptSettings | undefined;
    /** Those that the checks go by, and whose they are. */
    settings: Settings | undefined;
    whose: string | undefined;
  },
): Result {
  const { needed, kept, settings, whose = "this shell" } = options;
  const { running, problem, version, pid, url, activeRuns } = status;
  if (!running) {
    return needed
      ? ok("not running; a chat window starts it when it is needed")
      : skipped("only needed with AUTOMAGIK_WORKFLOWS_ENGINE=local; not running");
  }
  const what = `running${version ? `, ${version}` : ""}${url ? ` at ${url}` : ""}${pid ? ` (process ${pid})` : ""}`;
  if (problem !== undefined) {
    return warning(`${what}: ${problem}`, "Look again in a minute; `engine stop` ends one that hangs.");
  }
  const others = kept && settings?.engine === "local" ? compareEngineSettings(kept.settings, settings) : [];
  if (others.length > 0) {
    const told = others.map(({ variable, left, right }) => `${variable} ${left} (there ${right})`);
    return warning(
      `${what}; its settings are those of the window started last, and differ from those of ${whose}: ${told.join("; ")}`,
      "To have the latter, start that server again.",
    );
  }
  return ok(`${what}${activeRuns === undefined ? "" : `, runs going on: ${activeRuns}`}`);
}

/** The result, or that it has not come in time. An unexpected error becomes a warning, too. */
async function limit(work: Promise<Result>, clock: Clock): Promise<Result> {
  try {
    const result = await withDeadline(clock, LIMIT_MS, () => work);
    return (
      result ?? warning(`no answer within ${LIMIT_MS / 1000} s`, "Try again when the machine is less busy.")
    );
  } catch (error) {
    return warning(`could not be looked at (${(error as Error).message})`, "Try again.");
  }
}

function shortenHome(text: string, home: string): string {
  return home.length > 1 ? text.replaceAll(home, "~") : text;
}

/** No key, no control characters, and the home by its short name, whatever a check has quoted. */
function conceal(finding: Finding, secrets: readonly string[], home: string): Finding {
  const clean = (text: string) => {
    const concealed = secrets.reduce((rest, key) => rest.replaceAll(key, "<key>"), text);
    return cleanLine(shortenHome(concealed, home), 500);
  };
  const { todo, message, ...rest } = finding;
  return { ...rest, message: clean(message), ...(todo ? { todo: clean(todo) } : {}) };
}

const MARKS: Record<Status, string> = { ok: "ok", warning: "warn", failure: "FAIL", skipped: "-" };

function renderFinding({ check, status, message, todo }: Finding): string {
  return `${MARKS[status].padEnd(5)} ${check.padEnd(13)} ${message}${todo ? ` → ${todo}` : ""}\n`;
}
