import { isRefused } from "../services/merge-sessions.js";
import { activeRun, isOver, newestRun, type Session } from "../services/sessions.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";

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
  parameters: LIST_PARAMETERS,
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  answerParts: ["sessions"],
  handle: (args: ListArguments, call: Call, services: Services) => listSessions(args, call, services),
});

/** The answer that lists sessions, newest first. */
export async function listSessions(args: ListArguments, call: Call, services: Services): Promise<Answer> {
  const activeOnly = args.active_only ?? true;
  const filter = args.session_name?.toLowerCase() ?? "";
  const all = await services.sessions.all(call.signal);
  const named = all.filter((session) => session.name.toLowerCase().includes(filter));
  const matching = activeOnly ? named.filter((session) => activeRun(session)) : named;
  const ended = named.length - matching.length;
  const problem = services.sessions.problem();
  const shown = matching.slice(0, args.limit ?? DEFAULT_LIMIT);
  const now = services.clock.now();
  const kind = `${activeOnly ? "active " : ""}session${matching.length === 1 ? "" : "s"}`;
  const rest = matching.length - shown.length;
  return {
    outcome: "ok",
    summary:
      `${matching.length} ${kind}${filter ? ` with "${args.session_name}" in the name` : ""}` +
      `${rest > 0 ? `, the ${shown.length} newest of them listed` : ""}.` +
      (ended > 0 ? ` ${ended} more ${ended === 1 ? "has" : "have"} ended.` : "") +
      (problem
        ? ` The API's own list could not be read just now, so this may be incomplete or out of date: ${problem.message}`
        : ""),
    sessions: shown.map((session) => describeSession(session, now)),
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

export function describeSession(session: Session, now: number): NonNullable<Answer["sessions"]>[number] {
  const last = newestRun(session);
  const run = activeRun(session) ?? last;
  const sum = (key: "turns" | "costUsd") => {
    const told = session.runs.map((one) => one[key]).filter((value) => value !== undefined);
    return told.length > 0 ? told.reduce((total, value) => total + value, 0) : undefined;
  };
  const turns = sum("turns");
  const cost = sum("costUsd");
  return {
    session_name: session.name,
    ...(session.sessionId ? { session_id: session.sessionId } : {}),
    can_continue: session.sessionId !== undefined && last !== undefined && isOver(last),
    workflow_name: run?.workflowName ?? "",
    status: run && isRefused(run) ? "failed" : (run?.status ?? "unknown"),
    run_id: run?.runId ?? "",
    runs: session.runs.length,
    ...(turns === undefined ? {} : { turns }),
    ...(cost === undefined ? {} : { cost_usd: Math.round(cost * 1e6) / 1e6 }),
    age_s: Math.max(0, Math.round((now - session.updatedAt) / 1000)),
    ...(session.repositoryUrl ? { repository_url: session.repositoryUrl } : {}),
    ...(session.gitBranch ? { git_branch: session.gitBranch } : {}),
  };
}
