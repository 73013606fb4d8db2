import { ActionError } from "../../actions/answer.js";
import type { Services } from "../../actions/define-action.js";
import { describeSessions } from "../../actions/list-sessions.js";
import { unknownTarget } from "../../actions/resolve-target.js";
import type { RunRecord } from "../../sessions/store/session-record.js";
import type { Session } from "../../sessions/types.js";
import { renderTable } from "./render-sessions.js";

/** The one session that is meant, and its newest run or the one that was named; or what to say instead. */
export type FoundSession = { session: Session; run: RunRecord } | { message: string };

/**
 * Finds the session of a name, a session's id or a run's id.
 * @returns a message that lists them when several have the name
 * @throws ActionError when there is none; it names what is nearest, and the command that lists them
 * @throws ApiError when sessions cannot be read
 */
export async function findSession(wanted: string, services: Services): Promise<FoundSession> {
  const found = await services.sessions.find({ sessionName: wanted });
  const [session, ...others] = found;
  const run = session && (session.runs.find((one) => one.runId === wanted) ?? session.runs.at(-1));
  if (!run) {
    const { message, next } = unknownTarget(wanted, services);
    throw new ActionError(`${message} \`automagik-workflows-mcp sessions\` lists what there is.`, next);
  }
  if (others.length === 0) return { session, run };
  const list = await describeSessions(found, services);
  const table = renderTable(list, { width: undefined, paint: (text) => text, now: services.clock.now() });
  const ids = list.map((one) => `  ${one.run_id}`).join("\n");
  return {
    message: `${found.length} sessions have this name. Name one by the id of its run.\n\n${table}\n\nTheir runs, in this order:\n${ids}`,
  };
}
