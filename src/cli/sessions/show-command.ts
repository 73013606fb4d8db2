import { describeRun } from "../../actions/describe-run.js";
import { readStoredEvents } from "../../api/stored-runs.js";
import { type LoggedEvent, openQuestions } from "../../api/types.js";
import { readStoredRuns } from "../../engine/background/index.js";
import { mergeRun } from "../../runs/merge-run.js";
import { renderRun } from "../../server/tools/output.js";
import { toRun } from "../../sessions/run-record.js";
import { isOver } from "../../sessions/sessions.js";
import { findSession } from "./find-session.js";
import { HOW_TO_ANSWER } from "./list-command.js";
import { NOT_RUNNING, type OpenServices } from "./open-services.js";
import { renderEvent } from "./render-log.js";

/**
 * Shows how a run stands and what its agent did.
 * @param options.follow on until the run has ended, or the signal comes
 * @returns the exit code: 0, or 1 when several sessions have the name
 * @throws ActionError and ApiError when the run is not there or cannot be read
 */
export async function showInTerminal(
  { services, engine }: Pick<OpenServices, "services" | "engine">,
  wanted: string,
  options: { follow: boolean; signal: AbortSignal; out: (text: string) => void },
): Promise<number> {
  const { out, signal } = options;
  const found = await findSession(wanted, services);
  if ("message" in found) {
    out(`${found.message}\n`);
    return 1;
  }
  const { runId } = found.run;
  const read = async () =>
    mergeRun(toRun(found.run, found.session), await services.api.getRun(runId, { retries: 0 }));
  if (engine && !engine.running) out(`${NOT_RUNNING} This is what it has stored.\n`);
  const run = await read();
  const follows = options.follow && !isOver(run);
  const write = (event: LoggedEvent) => {
    const line = renderEvent(event);
    if (line !== undefined) out(`${line}\n`);
  };
  if (follows) {
    await followEvents(runId, services.api, signal, write);
  } else if (engine) {
    const { stateFolder } = engine;
    const { events } = await readStoredRuns(stateFolder, { now: services.clock.now(), eventsOf: runId });
    // An open question stands below, with its choices.
    const open = isOver(run) ? [] : openQuestions(run).map(({ questionId }) => questionId);
    for (const event of readStoredEvents(events))
      if (event.type !== "question" || !open.includes(String(event.data.question_id))) write(event);
  } else out("This API does not tell what the agent did; how the run stands is below.\n");
  if (signal.aborted) return 0;
  const now = follows ? await read() : run;
  out(`\n${renderRun(describeRun(now, { now: services.clock.now() }))}\n`);
  if (!isOver(now) && openQuestions(now).length > 0) out(`\n${HOW_TO_ANSWER}\n`);
  return 0;
}

/** Writes what happens until the run has ended. @throws ApiError when the stream breaks before */
async function followEvents(
  runId: string,
  api: OpenServices["services"]["api"],
  signal: AbortSignal,
  write: (event: LoggedEvent) => void,
): Promise<void> {
  const done = new AbortController();
  try {
    await api.streamEvents(runId, AbortSignal.any([signal, done.signal]), (event) => {
      write(event);
      if (event.type === "finished") done.abort();
    });
  } catch (error) {
    if (!signal.aborted && !done.signal.aborted) throw error;
  }
}
