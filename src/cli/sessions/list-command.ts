import { describeSessions, sortSessions } from "../../actions/list-sessions.js";
import { NOT_RUNNING, type OpenServices } from "./open-services.js";
import { renderTable, type TableOptions } from "./render-sessions.js";

/** How an agent is answered: neither the list nor a single session asks anything. */
export const HOW_TO_ANSWER =
  "Answer in the chat client: ask it how the session is. Or in the browser: `automagik-workflows-mcp dashboard`.";

/**
 * Shows all sessions: those that wait for the person first, then those that go on, then the ended ones.
 * @returns the exit code: 0, also when there are none
 * @throws ApiError when neither the API's list nor what is stored can be read
 */
export async function listInTerminal(
  { services, engine }: Pick<OpenServices, "services" | "engine">,
  options: { json: boolean; out: (text: string) => void } & Pick<TableOptions, "width" | "paint">,
): Promise<number> {
  const { sessions, clock } = services;
  const list = await describeSessions(sortSessions(await sessions.all(), services), services);
  const notes = [
    engine && !engine.running && `${NOT_RUNNING} This is what it has stored.`,
    sessions.problem() && `The API's own list could not be read just now: ${sessions.problem()?.message}`,
  ].filter((note) => typeof note === "string");
  if (options.json) {
    const running = engine ? { engine_running: engine.running } : {};
    const note = notes.length > 0 ? { notes } : {};
    options.out(`${JSON.stringify({ ...running, ...note, sessions: list }, null, 2)}\n`);
    return 0;
  }
  const lines = [
    ...notes,
    list.length === 0 ? "No sessions." : renderTable(list, { ...options, now: clock.now() }),
  ];
  const waiting = list.filter((one) => one.waits_for !== undefined).length;
  const advice = list.some((one) => one.error_code === "interrupted" && one.can_continue)
    ? "What an interrupted one has done: `automagik-workflows-mcp sessions diff NAME`. To go on with it, by one paid run: `… sessions resume NAME`."
    : "";
  if (waiting > 0) lines.push("", HOW_TO_ANSWER);
  if (advice) lines.push("", advice);
  options.out(`${lines.join("\n")}\n`);
  return 0;
}
