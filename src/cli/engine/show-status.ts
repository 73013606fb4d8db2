import { existsSync } from "node:fs";
import {
  type DayCosts,
  type DiskUse,
  type EngineStatus,
  engineFiles,
  type KeptSettings,
  type LastEnd,
  measureDiskUse,
  readEngineStatus,
  readKeptSettings,
  readLastEnd,
  readStoredCosts,
} from "../../engine/background/index.js";
import {
  compareEngineSettings,
  listChosenEngineSettings,
  readStoredVariables,
} from "../../settings/engine-variables.js";
import { keepAwake } from "../../shared/background/keep-awake.js";
import { isOlder } from "../../shared/background/versions.js";
import { systemClock } from "../../shared/clock.js";
import { stopAtDeadline, withDeadline } from "../../shared/deadline.js";
import { formatUsd } from "../../shared/usd.js";
import { driverPlaceOf } from "../describe-server.js";
import { lookAtPlans, type PlansOfPlace, tellPlans } from "../plan-driver/tell-driver.js";
import { tellSpan } from "../sessions/fit-text.js";
import { renderTable, type SessionLine, type TableOptions } from "../sessions/render-sessions.js";
import { renderWorkers, tellWorkers, type WorkersSight, workersToJson } from "./show-workers.js";

export interface ShowStatusOptions extends Pick<TableOptions, "width" | "paint"> {
  /** The product's state folder, absolute. */
  stateFolder: string;
  /** Written as `~`. */
  home: string;
  /** The version that is installed. */
  version: string;
  /** The engine's settings that are given where this is asked, by their variables' whole names. */
  given: Readonly<Record<string, string>>;
  /** All sessions, from the engine or from what it has stored, those that wait for the person first. */
  readSessions: () => Promise<{ sessions: SessionLine[]; problem: string | undefined }>;
  /** The engines that share a database with this one; undefined where there are none. */
  readWorkers?: () => Promise<WorkersSight | undefined>;
  /** The address of the database that it shares with other engines, where one is set. */
  database?: string | undefined;
  json: boolean;
  out: (text: string) => void;
}

/** What there is to tell. */
interface Report {
  status: EngineStatus;
  /** The version that is installed, where the engine is of another one, and what to do. */
  otherVersion: { installed: string; todo: string } | undefined;
  kept: KeptSettings | undefined;
  /** Settings that are not as they were asked for, in sentences. */
  differing: string[];
  sessions: SessionLine[];
  /** Why the sessions, or some of them, could not be read. */
  unread: string | undefined;
  lastEnd: LastEnd | undefined;
  log: string;
  /** Where none has ever run there is none. */
  hasLog: boolean;
  disk: DiskUse;
  /** The plans that this machine's engine has runs of; undefined where they could not be read. */
  plans: PlansOfPlace | undefined;
  workers: WorkersSight | undefined;
  /** Undefined where it could not be read. */
  today: DayCosts | undefined;
}

/** Adding up the folders of many sessions takes longer; then it is said that it is at least so much. */
const DISK_LIMIT_MS = 2_000;
const SESSIONS_LIMIT_MS = 5_000;
const STOP = "`automagik-workflows-mcp engine stop` ends it, after naming its runs and asking";

/**
 * Shows whether an engine runs with this state folder, where, what it does, and what it takes; without one, what is
 * stored. Starts and changes nothing.
 * @returns the exit code: 0 when it runs without a problem, else 1
 */
export async function showEngineStatus(options: ShowStatusOptions): Promise<number> {
  const report = await keepAwake(() => look(options));
  const { status } = report;
  options.out(options.json ? `${JSON.stringify(toJson(report), null, 2)}\n` : render(report, options));
  return status.running && status.problem === undefined ? 0 : 1;
}

async function look(options: ShowStatusOptions): Promise<Report> {
  const { stateFolder, home, version, given, readSessions } = options;
  const { log } = engineFiles(stateFolder);
  const now = systemClock.now();
  const [status, kept, found, disk, stored, plans, workers] = await Promise.all([
    readEngineStatus(stateFolder, { clock: systemClock }),
    readKeptSettings(stateFolder),
    withDeadline(systemClock, SESSIONS_LIMIT_MS, readSessions).catch((error: Error) => ({
      sessions: [],
      problem: error.message,
    })),
    stopAtDeadline(systemClock, DISK_LIMIT_MS, (signal) => measureDiskUse(stateFolder, signal)),
    readStoredCosts(stateFolder, { now, days: 1, database: options.database }).catch(() => undefined),
    lookAtPlans(driverPlaceOf(stateFolder, { engine: "local", baseUrl: "" })).catch(() => undefined),
    options.readWorkers?.(),
  ]);
  return {
    status,
    workers,
    otherVersion: judgeVersion(status, version),
    kept,
    differing: findDiffering(status, kept, given),
    sessions: found?.sessions ?? [],
    unread: found ? found.problem : `they did not come within ${SESSIONS_LIMIT_MS / 1000} s`,
    lastEnd: status.running ? undefined : await readLastEnd(stateFolder),
    hasLog: existsSync(log),
    log: home.length > 1 ? log.replace(home, "~") : log,
    disk,
    plans,
    today: stored?.costs[0],
  };
}

function judgeVersion({ version, background }: EngineStatus, installed: string): Report["otherVersion"] {
  if (version === undefined || version === installed) return undefined;
  if (!isOlder(version, installed))
    return {
      installed,
      todo: "Start the chat clients' servers again with the newer one, or install it here.",
    };
  return {
    installed,
    todo: background
      ? `The next window that finds it without runs replaces it; ${STOP}.`
      : "A person has started it: end it and start it again.",
  };
}

function findDiffering(
  { url }: EngineStatus,
  kept: KeptSettings | undefined,
  given: ShowStatusOptions["given"],
): string[] {
  if (!kept) return [];
  const port = url && new URL(url).port;
  const wanted = kept.settings.enginePort;
  const isOtherPort = port && wanted && String(wanted) !== port;
  const here = readStoredVariables({ ...kept.variables, ...given });
  const others = here ? compareEngineSettings(kept.settings, here) : [];
  return [
    ...(isOtherPort
      ? [`ENGINE_PORT is ${wanted}, but this engine keeps ${port}: ${STOP}; the next call starts one there.`]
      : []),
    ...others.map(
      ({ variable, left, right }) => `${variable} is ${left} at the engine, and ${right} in this terminal.`,
    ),
  ];
}

/** The sessions whose newest run goes on; behind the others those that wait for a slot, in their order. */
const goingOn = (sessions: readonly SessionLine[]) =>
  sessions
    .filter(({ status }) => status === "running" || status === "pending")
    .sort((a, b) => (a.slot_position ?? 0) - (b.slot_position ?? 0));

/** Runs that have not begun, and those that were answered and wait to go on. */
const queued = (sessions: readonly SessionLine[]) =>
  sessions.filter(({ status, waits_for_slot }) => status === "pending" || waits_for_slot !== undefined);
const waiting = (sessions: readonly SessionLine[]) => sessions.filter((one) => one.waits_for !== undefined);
const interrupted = (sessions: readonly SessionLine[]) =>
  sessions.filter((one) => one.error_code === "interrupted");

function toJson({ status, sessions, disk, today, ...report }: Report): Record<string, unknown> {
  const { running, pid, url, version, startedAt, activeRuns, clients, problem } = status;
  const { kept, lastEnd, otherVersion } = report;
  return {
    running,
    pid,
    url,
    version,
    installed_version: otherVersion?.installed,
    started_at: toMoment(startedAt),
    clients,
    active_runs: activeRuns,
    waiting_for_slot: running ? queued(sessions).length : undefined,
    problem,
    ...(report.workers ? workersToJson(report.workers) : {}),
    ended_at: toMoment(lastEnd?.at),
    ended_because: lastEnd && (lastEnd.why ?? "it went away without coming to an end"),
    settings: kept && listChosenEngineSettings(kept.settings),
    settings_since: toMoment(kept?.since),
    settings_that_differ: report.differing,
    cost_today_usd: today && Math.round(today.usd * 1e6) / 1e6,
    cost_today_at_least: today?.atLeast,
    cost_limit_per_day_usd: kept?.settings.engineCostLimitPerDayUsd,
    runs: goingOn(sessions),
    stored_sessions: sessions.length,
    interrupted_sessions: interrupted(sessions).length,
    sessions_problem: report.unread,
    open_plans: report.plans?.open.map(({ planId, name, status }) => ({ plan_id: planId, name, status })),
    plan_driver_pid: report.plans?.sight.kind === "drives" ? report.plans.sight.record.pid : undefined,
    log: report.log,
    disk: {
      database_bytes: disk.database,
      clones_bytes: disk.clones,
      worktrees_bytes: disk.worktrees,
      at_least: !disk.whole,
    },
  };
}

function render(report: Report, { width, paint }: ShowStatusOptions): string {
  const { status, otherVersion, kept, differing, sessions, unread, lastEnd, log, disk, today } = report;
  const { running, pid, url, version, startedAt, clients, problem } = status;
  const now = systemClock.now();
  const rows: [string, string | number | undefined][] = [
    ["address", url],
    ["process", pid],
    [
      "version",
      otherVersion ? `${version}; ${otherVersion.installed} is installed. ${otherVersion.todo}` : version,
    ],
    ["since", startedAt === undefined ? undefined : tellMoment(startedAt, now)],
    ["runs going on", running ? tellRuns(report) : undefined],
    ["clients", clients],
    ["problem", problem],
    ["workers", report.workers && tellWorkers(report.workers)],
    ["plans", report.plans && report.plans.open.length > 0 ? tellPlans(report.plans) : undefined],
    ["stored", running ? undefined : tellStored(report)],
    ["cost today", today && today.runs > 0 ? tellCost(today, kept) : undefined],
    ["settings", kept && tellSettings(kept, now)],
    ["log", report.hasLog ? log : undefined],
    ["disk", tellDisk(disk)],
  ];
  const shown = rows.filter(([, value]) => value !== undefined);
  const head = running ? "An engine is running." : `No engine is running.${tellEnd(lastEnd, now)}`;
  const lines = [head, ...shown.map(([name, value]) => `  ${name.padEnd(14)} ${value}`)];
  if (report.workers && "workers" in report.workers && report.workers.workers.length > 0)
    lines.push("", renderWorkers(report.workers, width));
  if (differing.length > 0) lines.push("", "Settings that differ:", ...differing.map((one) => `  ${one}`));
  const going = running ? goingOn(sessions) : [];
  if (going.length > 0) lines.push("", renderTable(going, { width, paint, now }));
  if (unread) lines.push("", `Its sessions could not be read just now: ${unread}`);
  return `${lines.join("\n")}\n`;
}

function tellRuns({ status, sessions, unread }: Report): string | undefined {
  const count = unread ? status.activeRuns : goingOn(sessions).length;
  if (count === undefined) return undefined;
  const [asking, pending] = [waiting(sessions).length, queued(sessions).length];
  const parts = [
    asking > 0 && `${asking} wait${asking === 1 ? "s" : ""} for you`,
    pending > 0 && `${pending} wait${pending === 1 ? "s" : ""} for a free slot`,
  ].filter(Boolean);
  return [String(count), ...parts].join(", ");
}

function tellStored({ sessions, unread }: Report): string | undefined {
  if (unread) return undefined;
  if (sessions.length === 0) return "no sessions";
  const count = `${sessions.length} session${sessions.length === 1 ? "" : "s"}`;
  const [left, later] = [interrupted(sessions).length, queued(sessions).length];
  const parts = [
    left > 0 && `${left} interrupted`,
    later > 0 && `${later} to begin with the next engine`,
  ].filter(Boolean);
  return `${[count, ...parts].join(", ")}; \`automagik-workflows-mcp sessions\` lists them`;
}

function tellEnd(end: LastEnd | undefined, now: number): string {
  if (!end) return "";
  if (end.why === undefined)
    return ` The last one went away without coming to an end; it was last seen ${tellMoment(end.at, now)}.`;
  const why = end.why.startsWith("SIG") ? "it was stopped" : end.why;
  return ` The last one ended ${tellMoment(end.at, now)}: ${why}.`;
}

function tellSettings({ settings, since }: KeptSettings, now: number): string {
  const chosen = listChosenEngineSettings(settings);
  const whose = `of the window that was started ${tellMoment(since, now)}`;
  return `${chosen.length > 0 ? chosen.join("; ") : "ENGINE_… settings at their defaults"} (${whose})`;
}

function tellCost({ usd, atLeast }: DayCosts, kept: KeptSettings | undefined): string {
  const limitUsd = kept?.settings.engineCostLimitPerDayUsd;
  const limit = limitUsd === undefined ? "" : ` of ${formatUsd(limitUsd)}`;
  return `${atLeast ? "at least " : ""}${formatUsd(usd)}${limit}; \`automagik-workflows-mcp engine cost\` shows more`;
}

function tellDisk({ database, clones, worktrees, whole }: DiskUse): string {
  const parts = `database ${tellBytes(database)}, clones ${tellBytes(clones)}, worktrees ${tellBytes(worktrees)}`;
  return `${whole ? "" : "at least "}${tellBytes(database + clones + worktrees)}: ${parts}`;
}

function tellBytes(bytes: number): string {
  const mebibytes = bytes / (1024 * 1024);
  if (mebibytes < 1) return `${Math.ceil(bytes / 1024)} KiB`;
  return mebibytes < 1024 ? `${mebibytes.toFixed(1)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}

function toMoment(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString();
}

function tellMoment(at: number, now: number): string {
  return `${toMoment(at)} (${tellSpan(now - at)} ago)`;
}
