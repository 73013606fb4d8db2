import { isFinal, openQuestions, type Run, type RunQuestion } from "../api/types.js";
import { bareRun } from "../runs/run-facts.js";
import { isRefused, toRun } from "../sessions/run-record.js";
import { costOfSession } from "../sessions/session-cost.js";
import { activeRun, isOver, newestRun } from "../sessions/sessions.js";
import type { Session } from "../sessions/types.js";
import { withDeadline } from "../shared/deadline.js";
import { cleanLine, visibleName } from "../shared/text.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { readUsualTurns, withUsualTurns } from "./follow/expect-turns.js";

const LIST_PARAMETERS = ["active_only", "session_name", "limit"] as const;
const DEFAULT_LIMIT = 20;

type ListArguments = Arguments<(typeof LIST_PARAMETERS)[number]>;

/** Lists sessions, ours and those that others have started. */
export const listSessionsAction = defineAction({
  name: "list_sessions",
  toolName: "list_sessions",
  title: "List sessions",
  summary: "sessions by name; active_only false lists ended ones too.",
  description:
    "Lists sessions with their last workflow, status, turns, cost and age, and whether they can be continued. " +
    "session_name filters by a part of the name.",
  searchHint: "list workflow sessions runs going on history automagik",
  parameters: LIST_PARAMETERS,
  about: { session_name: "A part of the names to list.", limit: "Maximum sessions to list." },
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  answerParts: ["sessions"],
  handle: (args: ListArguments, call: Call, services: Services) => listSessions(args, call, services),
});

/** The answer that lists sessions: those that wait for the person, then those that go on, then the ended ones. */
export async function listSessions(args: ListArguments, call: Call, services: Services): Promise<Answer> {
  const activeOnly = args.active_only ?? true;
  const filter = visibleName(args.session_name ?? "").toLowerCase();
  const all = sortSessions(await services.sessions.all(call.signal), services);
  const named = all.filter((session) => visibleName(session.name).toLowerCase().includes(filter));
  const matching = activeOnly ? named.filter((session) => activeRun(session)) : named;
  const ended = named.length - matching.length;
  const problem = services.sessions.problem();
  const shown = matching.slice(0, args.limit ?? DEFAULT_LIMIT);
  const told = await describeSessions(shown, services, call);
  const waiting = told.filter((session) => session.waits_for !== undefined);
  const [firstWaiting] = waiting;
  const kind = `${activeOnly ? "active " : ""}session${matching.length === 1 ? "" : "s"}`;
  const rest = matching.length - shown.length;
  return {
    outcome: "ok",
    summary:
      `${matching.length} ${kind}${filter ? ` with "${args.session_name}" in the name` : ""}` +
      `${rest > 0 ? `, the ${shown.length} newest of them listed` : ""}.` +
      (waiting.length > 0
        ? ` ${waiting.length} of them ${waiting.length === 1 ? "waits" : "wait"} for the person's answer.`
        : "") +
      (ended > 0 ? ` ${ended} more ${ended === 1 ? "has" : "have"} ended.` : "") +
      (problem
        ? ` The API's own list could not be read just now, so this may be incomplete or out of date: ${problem.message}`
        : ""),
    sessions: told,
    ...(firstWaiting === undefined
      ? {}
      : {
          next: {
            action: "status",
            arguments: { run_id: firstWaiting.run_id, wait_seconds: 45 },
            reason: "See what it asks; where there are forms, the person is asked again.",
          },
        }),
    ...(activeOnly && matching.length === 0 && named.length > 0
      ? {
          next: {
            action: "list_sessions",
            arguments: { ...args, active_only: false },
            reason: "See the sessions that have ended.",
          },
        }
      : {}),
  };
}

/** How long the runs that wait for an answer are asked what they wait for, in ms. */
const WAITING_BUDGET_MS = 2_000;

/** Whether the agent of the session's run waits for an answer, as far as is known without asking for the run. */
function isWaiting(session: Session, { sessions, watcher }: Pick<Services, "sessions" | "watcher">): boolean {
  const runId = activeRun(session)?.runId;
  if (runId === undefined) return false;
  return (
    sessions.listed(runId)?.waitsForAnswer === true ||
    openQuestions(watcher.latest(runId) ?? bareRun(runId)).length > 0
  );
}

/** Sessions in the order in which a person wants them: waiting for them, going on, ended; each group as it was. */
export function sortSessions(
  sessions: readonly Session[],
  services: Pick<Services, "sessions" | "watcher">,
): Session[] {
  const rank = (session: Session) => {
    if (!activeRun(session)) return 2;
    return isWaiting(session, services) ? 0 : 1;
  };
  return sessions
    .map((session) => ({ session, rank: rank(session) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ session }) => session);
}

type Asked = Pick<RunQuestion, "text" | "askedAt">;
const NOT_TOLD: Asked = { text: "an answer; what is asked could not be read just now" };

/** What the runs that go on wait for, by their ids; of a run that does not tell it in time, that it waits. */
async function findWaiting(
  shown: readonly Session[],
  call: Partial<Pick<Call, "signal">>,
  services: Services,
): Promise<Map<string, Asked>> {
  const { watcher, api, capabilities, clock } = services;
  const seen = (runId: string) => openQuestions(watcher.latest(runId) ?? bareRun(runId))[0];
  const candidates = capabilities.hasEndpoint("answer")
    ? shown.filter((one) => isWaiting(one, services)).flatMap((one) => activeRun(one)?.runId ?? [])
    : [];
  const found = await Promise.all(
    candidates.map(async (runId) => {
      const read = (signal: AbortSignal) => api.getRun(runId, { retries: 0, signal });
      const run = await withDeadline(clock, WAITING_BUDGET_MS, read, call.signal).catch(() => undefined);
      if (!run) return [[runId, seen(runId) ?? NOT_TOLD] as const];
      const [question] = isFinal(run.status) ? [] : openQuestions(run);
      return question ? [[runId, question] as const] : [];
    }),
  );
  return new Map(found.flat());
}

/** The sessions as they are told, those whose agent waits for the person with what it waits for. */
export async function describeSessions(
  shown: readonly Session[],
  services: Services,
  call: Partial<Pick<Call, "signal">> = {},
): Promise<NonNullable<Answer["sessions"]>> {
  const [waiting] = await Promise.all([findWaiting(shown, call, services), readUsualTurns(services)]);
  const now = services.clock.now();
  const since = (one: (typeof told)[number]) => Date.parse(one.waits_since ?? "") || now;
  const told = shown.map((one) => {
    const { runId = "" } = activeRun(one) ?? {};
    const seen = [services.watcher.latest(runId), services.sessions.listed(runId)];
    return describeSession(
      one,
      now,
      waiting.get(runId),
      seen.find((run) => run?.waitsForSlot),
      usualTurnsOf(one, services),
    );
  });
  const waits = (one: (typeof told)[number]) => one.waits_for !== undefined;
  const isQueued = (one: (typeof told)[number]) => one.slot_position !== undefined;
  const others = told.filter((one) => !waits(one));
  // Who has waited longest comes first, and who gets a slot first is the first of those in the queue.
  return [
    ...told.filter(waits).sort((a, b) => since(a) - since(b)),
    ...others.filter((one) => !isQueued(one) && !isOver(one)),
    ...others.filter(isQueued).sort((a, b) => (a.slot_position ?? 0) - (b.slot_position ?? 0)),
    ...others.filter((one) => !isQueued(one) && isOver(one)),
  ];
}

/** The turns that the session's newest run was or is expected to take. */
function usualTurnsOf(session: Session, services: Pick<Services, "sessions">): number | undefined {
  const run = activeRun(session) ?? newestRun(session);
  return run && withUsualTurns(toRun(run, session), services).expectedTurns;
}

/** How a run waits for a free slot. */
function describeQueued(run: Run | undefined) {
  const { position, estimateS } = run?.waitsForSlot ?? {};
  return {
    ...(run?.currentAction ? { waits_for_slot: run.currentAction } : {}),
    ...(position === undefined ? {} : { slot_position: position }),
    ...(estimateS === undefined ? {} : { slot_in_s: estimateS }),
  };
}

/**
 * @param question what its run that goes on waits for
 * @param queued that run, where it waits for a free slot
 * @param usual the turns that such a run usually takes
 */
function describeSession(
  session: Session,
  now: number,
  question?: Asked,
  queued?: Run,
  usual?: number,
): NonNullable<Answer["sessions"]>[number] {
  const last = newestRun(session);
  const run = activeRun(session) ?? last;
  const taken = session.runs.flatMap((one) => one.turns ?? []);
  const turns = taken.length > 0 ? taken.reduce((total, value) => total + value, 0) : undefined;
  const cost = costOfSession(session);
  const changed = session.runs.findLast((one) => one.insertions !== undefined);
  return {
    session_name: session.name,
    ...(session.sessionId ? { session_id: session.sessionId } : {}),
    can_continue: session.sessionId !== undefined && last !== undefined && isOver(last),
    workflow_name: run?.workflowName ?? "",
    status: run && isRefused(run) ? "failed" : (run?.status ?? "unknown"),
    run_id: run?.runId ?? "",
    runs: session.runs.length,
    ...(turns === undefined ? {} : { turns }),
    ...(run?.turns === undefined ? {} : { turn: run.turns }),
    ...(run?.maxTurns === undefined ? {} : { max_turns: run.maxTurns }),
    ...(usual === undefined ? {} : { expected_turns: usual }),
    ...(run?.errorCode === undefined ? {} : { error_code: run.errorCode }),
    ...(cost ? { cost_usd: cost.usd, ...(cost.atLeast ? { cost_at_least: true } : {}) } : {}),
    ...(changed ? { insertions: changed.insertions, deletions: changed.deletions ?? 0 } : {}),
    ...(changed?.mergedInto === undefined ? {} : { merged_into: changed.mergedInto }),
    ...(question ? { waits_for: cleanLine(question.text, 300) } : {}),
    ...(question?.askedAt === undefined ? {} : { waits_since: new Date(question.askedAt).toISOString() }),
    ...describeQueued(queued),
    age_s: Math.max(0, Math.round((now - session.updatedAt) / 1000)),
    ...(session.repositoryUrl ? { repository_url: session.repositoryUrl } : {}),
    ...(session.gitBranch ? { git_branch: session.gitBranch } : {}),
  };
}
