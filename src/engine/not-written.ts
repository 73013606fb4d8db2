import type { Log } from "../shared/log.js";
import { NotWritten } from "./runs/run-store.js";
import { EngineRefusal } from "./types.js";

/** What a kill has done that could not be written. */
export const AGENT_ENDED =
  "Its agent was ended. The run becomes killed when the database is back, or interrupted if this engine ends or is taken for gone before: then look whether another run goes on with it.";

/**
 * What a client is told where a change could not be written. Any other error stays as it is.
 * @param what could not be written, for the log: "A start"
 * @param told.undone what was not done
 * @param told.uncertain the same where it may have been done
 */
export function notWritten(
  error: unknown,
  what: string,
  told: { log: Log; undone: string; uncertain?: string },
): unknown {
  if (!(error instanceof NotWritten)) return error;
  const { log, undone, uncertain = "Whether it was done is not known: look at the run." } = told;
  log.error(`${what} was refused: ${error.message}`);
  const known = error.isUncertain ? uncertain : undone;
  return new EngineRefusal(503, `${error.message} ${known}`, undefined, error.isUncertain);
}
