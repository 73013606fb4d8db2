import type { Run } from "../api/types.js";
import { activeRun, newestRun } from "../sessions/sessions.js";
import type { Session } from "../sessions/types.js";
import { withDeadline } from "../shared/deadline.js";
import { cleanLine } from "../shared/text.js";
import { ActionError, type Answer } from "./answer.js";
import type { Call, Services } from "./define-action.js";
import { readTarget } from "./read-run.js";
import { namesTarget, type TargetArguments } from "./resolve-target.js";

/** Sessions that an error names; of more the number is told. */
const NAMED = 10;
/** How long they are looked at, in ms. */
const LOOK_MS = 3_000;

/**
 * The run whose work a call is about: the one that it names; where it names none, that of the only session that has
 * work which was not merged yet.
 * @returns the run as it stands now, or the answer that the API does not know it
 * @throws ActionError that lists the sessions with such work, when there is none or more than one; ApiError
 */
export async function readWorkTarget(
  args: TargetArguments,
  call: Call,
  services: Services,
): Promise<Run | Answer> {
  if (namesTarget(args)) return readTarget(args, "newest", call, services);
  const { sessions } = services;
  const all = await sessions.all(call.signal);
  const problem = sessions.problem();
  const found = await withoutMerged(all.filter(hasWork), call, services);
  const [only] = found;
  const record = only && newestRun(only);
  if (record && found.length === 1 && !problem)
    return readTarget({ run_id: record.runId }, "newest", call, services);
  throw new ActionError(tellWhich(found, problem?.message), {
    action: "list_sessions",
    arguments: { active_only: false },
    reason: "See all sessions, also those that have ended.",
  });
}

/** True when a session that has come to an end has changed something which was not merged yet. */
function hasWork(session: Session): boolean {
  if (activeRun(session)) return false;
  const changed = session.runs.findLast((run) => run.insertions !== undefined);
  if (!changed || changed.mergedInto !== undefined) return false;
  return (changed.insertions ?? 0) + (changed.deletions ?? 0) > 0;
}

/** Less those of which the API says by now that they are merged, where they are few enough to ask. */
async function withoutMerged(
  found: readonly Session[],
  call: Call,
  { runs, clock }: Services,
): Promise<Session[]> {
  if (found.length > NAMED) return [...found];
  const looks = found.map(async (session) => {
    const runId = newestRun(session)?.runId ?? "";
    const read = (signal: AbortSignal) => runs.read(runId, signal);
    const run = await withDeadline(clock, LOOK_MS, read, call.signal).catch(() => undefined);
    // What cannot be looked at may have work.
    const isDone = run && (run.work ? run.work.mergedInto !== undefined : run.hasNoWork);
    return isDone ? [] : [session];
  });
  return (await Promise.all(looks)).flat();
}

function tellWhich(found: readonly Session[], problem: string | undefined): string {
  const names = found.slice(0, NAMED).map(({ name }) => cleanLine(name, 100));
  const more = found.length > NAMED ? ` and ${found.length - NAMED} more` : "";
  const unread = problem
    ? ` The API's own list could not be read just now, so there may be others: ${problem}`
    : "";
  if (found.length === 0)
    return `No session has work that was not merged yet.${unread} Nothing was sent. Name a session by \`session_name\` to look at what was.`;
  return `Say whose work is meant, by \`session_name\`. With work that was not merged yet: ${names.join(", ")}${more}.${unread} Nothing was sent.`;
}
