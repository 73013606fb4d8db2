import type { Run } from "../api/types.js";
import type { PlanSight } from "../plan-runner/runner.js";
import { bareRun } from "../runs/run-facts.js";
import { knownRun } from "../sessions/run-record.js";
import { activeRun, newestRun } from "../sessions/sessions.js";
import type { Session, Target } from "../sessions/types.js";
import { withDeadline } from "../shared/deadline.js";
import { cleanLine } from "../shared/text.js";
import { ActionError } from "./answer.js";
import type { Call, Services } from "./define-action.js";

/** The three arguments that can name a run. */
export interface TargetArguments {
  run_id?: string | undefined;
  session_id?: string | undefined;
  session_name?: string | undefined;
}

/** What the three are for in a tool that is about one run, in few words: every tool is part of a model's context. */
export const TARGET_ABOUT = {
  run_id: "Id of the run.",
  session_name: "Name of its session.",
  session_id: "Id of its session.",
};

/** The run that a call is about, as far as it is known without asking for it alone. */
export interface ResolvedTarget {
  run: Run;
  /** Absent when the run was named by its id: that needs no look into the sessions. */
  session?: Session;
  /** The API's list was not waited for: this is what was known here without it. */
  isFromIndex?: true;
}

/**
 * The plan that the arguments mean; what plans need is loaded only where there is no session of that name.
 * @throws ActionError when no plan has the id
 */
export async function findPlanOf(
  { plan_id, run_id, session_id, session_name }: TargetArguments & { plan_id?: string | undefined },
  services: Services,
): Promise<PlanSight | undefined> {
  if (!plan_id && (run_id || session_id || !session_name)) return undefined;
  if (!plan_id && (await services.sessions.named(session_name ?? "")).length > 0) return undefined;
  const { findNamedPlan } = await import("./plans/open-plans.js");
  return findNamedPlan({ plan_id, session_name }, services);
}

/** True when a call names anything at all. */
export function namesTarget(args: TargetArguments): boolean {
  return Boolean(args.run_id || args.session_id || args.session_name);
}

/**
 * The run that the arguments mean: by run id at once, else that of the session, of several sessions that of the
 * newest one. A run's id is taken as such in the other arguments too.
 * @param prefer `active`: the newest run that still goes on comes first
 * @param patienceMs when the API's list takes longer, what the index knows of the session has to do, if anything
 * @throws ActionError when nothing is named or nothing is found; it names what is nearest
 */
export async function resolveTarget(
  args: TargetArguments,
  prefer: "newest" | "active",
  call: Call,
  services: Services,
  patienceMs?: number,
): Promise<ResolvedTarget> {
  const { sessions, watcher } = services;
  if (args.run_id) return { run: watcher.latest(args.run_id) ?? bareRun(args.run_id) };
  const wanted = args.session_id || args.session_name;
  if (!wanted) {
    throw new ActionError(
      "Say which run is meant: `run_id`, `session_name` or `session_id`. Nothing was sent.",
      { action: "list_sessions", arguments: {}, reason: "See which sessions there are." },
    );
  }
  const target: Target = {
    ...(args.session_id ? { sessionId: args.session_id } : {}),
    ...(args.session_name ? { sessionName: args.session_name } : {}),
  };
  const known = patienceMs === undefined ? [] : await findWhenLate(target, patienceMs, call, services);
  const found = known.length > 0 ? known : await sessions.find(target, call.signal);
  const session = (prefer === "active" ? found.find((one) => activeRun(one)) : undefined) ?? found[0];
  const record =
    session?.runs.find((run) => run.runId === args.session_id || run.runId === args.session_name) ??
    (session && ((prefer === "active" ? activeRun(session) : undefined) ?? newestRun(session)));
  if (!session || !record) throw unknownTarget(wanted, services);
  return {
    run: knownRun(record, session, watcher.latest(record.runId)),
    session,
    ...(known.length > 0 ? { isFromIndex: true } : {}),
  };
}

/** What the index knows of the target when the API's list is late; nothing when it comes in time. */
async function findWhenLate(
  target: Target,
  patienceMs: number,
  call: Call,
  services: Services,
): Promise<Session[]> {
  const { sessions, clock } = services;
  const find = (signal: AbortSignal) => sessions.find(target, signal);
  const found = await withDeadline(clock, patienceMs, find, call.signal).catch(() => undefined);
  return found ? [] : sessions.findKnown(target);
}

/** The error for a name or id that nothing is known by; it names what is nearest. */
export function unknownTarget(wanted: string, { sessions }: Services): ActionError {
  const nearest = sessions.nearest(wanted);
  // The branch in which a plan's merges have ended is no session's.
  const branch = wanted.startsWith("automagik/")
    ? " That is the name of a branch: the status of its plan or session has the command that takes it."
    : "";
  return new ActionError(
    `There is no session or run "${cleanLine(wanted, 200)}"${nearest.length > 0 ? `; nearest: ${nearest.join(", ")}` : ""}. Nothing was sent.${branch}`,
    { action: "list_sessions", arguments: { active_only: false }, reason: "See which sessions there are." },
  );
}
