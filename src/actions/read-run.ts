import { ApiError } from "../api/errors.js";
import type { Run } from "../api/types.js";
import { mergeRun } from "../runs/merge-run.js";
import { costOfSession } from "../sessions/session-cost.js";
import type { Session } from "../sessions/types.js";
import { withDeadline } from "../shared/deadline.js";
import { formatUsd } from "../shared/usd.js";
import type { Answer } from "./answer.js";
import type { Call, Services } from "./define-action.js";
import { nameBriefly, tellPosition } from "./describe-run.js";
import { resolveTarget, type TargetArguments } from "./resolve-target.js";

/** How long a call waits for the session, which it can do without, in ms. */
const SESSION_BUDGET_MS = 2_000;

/**
 * The run as it stands now, with the name of its session when that can be had soon, or the answer that the API does
 * not know the run: then there is nothing to act on.
 * @throws ApiError when it cannot be read
 */
export async function readRun(seed: Run, call: Call, services: Services): Promise<Run | Answer> {
  const { runs, sessions } = services;
  try {
    const known = await sessions.recall(seed);
    const run = mergeRun(known, await runs.read(seed.runId, call.signal));
    if (run.sessionName) return run;
    // The public server tells it in its list only.
    const sessionName = await findName(run.runId, call, services);
    return sessionName ? { ...run, sessionName } : run;
  } catch (error) {
    if (!(error instanceof ApiError) || error.kind !== "not_found") throw error;
    return answerUnknown(seed.runId);
  }
}

/**
 * The run that the arguments name, as it stands now, or the answer that the API does not know it.
 * @param prefer `active`: of a session the newest run that still goes on comes first
 * @throws ActionError when nothing is named or nothing is found
 * @throws ApiError when it cannot be read
 */
export async function readTarget(
  args: TargetArguments,
  prefer: "newest" | "active",
  call: Call,
  services: Services,
): Promise<Run | Answer> {
  const { run } = await resolveTarget(args, prefer, call, services);
  return readRun(run, call, services);
}

/** Lets lists know what has become of the run's work just now. Never throws: it is told elsewhere already. */
export async function readAgain({ runId }: Run, call: Call, { runs, sessions }: Services): Promise<void> {
  sessions.outdate();
  await runs.read(runId, call.signal).catch(() => undefined);
}

/** The answer for a run that the API does not know. */
export function answerUnknown(runId: string): Answer {
  return {
    outcome: "unknown",
    summary: `The API knows no run ${runId}, so there is nothing to act on. Nothing was sent.`,
    next: { action: "list_sessions", arguments: {}, reason: "See what is going on." },
  };
}

async function findName(runId: string, call: Call, services: Services): Promise<string | undefined> {
  return (await findSession(runId, call, services))?.name;
}

/** The run's session, when that can be had soon. */
async function findSession(
  runId: string,
  call: Call,
  { clock, sessions }: Services,
): Promise<Session | undefined> {
  const find = (signal: AbortSignal) => sessions.find({ runId }, signal);
  const found = await withDeadline(clock, SESSION_BUDGET_MS, find, call.signal).catch(() => undefined);
  return found?.[0];
}

/** "session x (turn 3 of 10, $0.12 so far)", or the run where its session has no name */
export function describeForConfirmation(run: Run): string {
  const spent = run.costUsd === undefined ? "cost so far not known" : `${formatUsd(run.costUsd)} so far`;
  return nameWithCost(run, spent);
}

/** The same of a session that has ended, with what all of its runs have cost. */
export async function describeEnded(run: Run, call: Call, services: Services): Promise<string> {
  const session = await findSession(run.runId, call, services);
  const cost = session && costOfSession(session);
  if (cost) return nameWithCost(run, `${cost.atLeast ? "at least " : ""}${formatUsd(cost.usd)}`);
  return nameWithCost(
    run,
    run.costUsd === undefined ? "cost not known" : `${formatUsd(run.costUsd)} for this run`,
  );
}

function nameWithCost(run: Run, spent: string): string {
  return `${nameBriefly(run)} (${[tellPosition(run) || "no turn seen", spent].join(", ")})`;
}
