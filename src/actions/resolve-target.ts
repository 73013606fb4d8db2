import type { KnownRun } from "../services/merge-run.js";
import { bareRun } from "../services/runs.js";
import { activeRun, newestRun, type Session, type SessionRun } from "../services/sessions.js";
import type { Run } from "../upstream/types.js";
import { ActionError } from "./answer.js";
import type { Call, Services } from "./define-action.js";

/** The three arguments that can name a run. */
export interface TargetArguments {
  run_id?: string | undefined;
  session_id?: string | undefined;
  session_name?: string | undefined;
}

/** The run that a call is about, as far as it is known without asking for it alone. */
export interface ResolvedTarget {
  run: Run;
  /** Absent when the run was named by its id: that needs no look into the sessions. */
  session?: Session;
}

/** True when a call names anything at all. */
export function namesTarget(args: TargetArguments): boolean {
  return Boolean(args.run_id || args.session_id || args.session_name);
}

/**
 * The run that the arguments mean: by run id at once, else that of the session, of several sessions that of the
 * newest one. A run's id is taken as such in the other arguments too.
 * @param prefer `active`: the newest run that still goes on comes first
 * @throws ActionError when nothing is named or nothing is found; it names what is nearest
 */
export async function resolveTarget(
  args: TargetArguments,
  prefer: "newest" | "active",
  call: Call,
  services: Services,
): Promise<ResolvedTarget> {
  const { sessions, feed } = services;
  if (args.run_id) return { run: feed.latest(args.run_id) ?? bareRun(args.run_id) };
  const wanted = args.session_id || args.session_name;
  if (!wanted) {
    throw new ActionError(
      "Say which run is meant: `run_id`, `session_name` or `session_id`. Nothing was sent.",
      { action: "list_sessions", arguments: {}, reason: "See which sessions there are." },
    );
  }
  const found = await sessions.find(
    {
      ...(args.session_id ? { sessionId: args.session_id } : {}),
      ...(args.session_name ? { sessionName: args.session_name } : {}),
    },
    call.signal,
  );
  const session = (prefer === "active" ? found.find((one) => activeRun(one)) : undefined) ?? found[0];
  const record =
    session?.runs.find((run) => run.runId === args.session_id || run.runId === args.session_name) ??
    (session && ((prefer === "active" ? activeRun(session) : undefined) ?? newestRun(session)));
  if (!session || !record) throw unknownTarget(wanted, services);
  return { run: toSeed(session, record, feed.latest(record.runId)), session };
}

/** The error for a name or id that nothing is known by; it names what is nearest. */
export function unknownTarget(wanted: string, { sessions }: Services): ActionError {
  const nearest = sessions.nearest(wanted);
  return new ActionError(
    `There is no session or run "${wanted}"${nearest.length > 0 ? `; nearest: ${nearest.join(", ")}` : ""}. Nothing was sent.`,
    { action: "list_sessions", arguments: { active_only: false }, reason: "See which sessions there are." },
  );
}

function toSeed(session: Session, record: SessionRun, latest: Run | undefined): KnownRun {
  return {
    ...bareRun(record.runId),
    workflowName: record.workflowName,
    sessionName: session.name,
    ...(record.startedAt === undefined ? {} : { startedAt: record.startedAt }),
    ...(record.turns === undefined ? {} : { turn: record.turns }),
    ...(record.maxTurns === undefined ? {} : { maxTurns: record.maxTurns }),
    ...(record.sessionId === undefined ? {} : { sessionId: record.sessionId }),
    ...(record.resumes === undefined ? {} : { resumes: record.resumes }),
    ...(session.repositoryUrl === undefined ? {} : { repositoryUrl: session.repositoryUrl }),
    ...(session.gitBranch === undefined ? {} : { gitBranch: session.gitBranch }),
    ...latest,
    // What the feed has kept of a run that nobody watches any more may be old; the record's status is the newest.
    status: record.status,
  };
}
