/**
 * A command in the background keeps the agent alive after its result, because the agent is told when the command ends.
 * A server that was left running never ends, so everything is ended this many ms after the last output.
 */
const BACKGROUND_LIMIT_MS = 5 * 60_000;
/**
 * The same for a sub-agent in the background, and for an agent whose last line could not be read and may have been the
 * result: both may be silent while one of their commands runs, which takes 10 min at most.
 */
const SILENT_WORK_LIMIT_MS = 20 * 60_000;

/** What an agent that nobody is asked for is doing, as far as its output tells. */
export interface AgentActivity {
  /** A turn is in progress. */
  busy: boolean;
  /** Its last line could not be read. */
  unread: boolean;
  inputOpen: boolean;
  /** Kinds of what works in the background. */
  background: readonly string[];
}

/**
 * How long an agent may write nothing, in ms, and what is done to it then. Closing the input lets it finish what it
 * has, so nothing is lost if it was still at work.
 * @returns undefined for no limit
 */
export function findSilenceLimit(
  activity: AgentActivity,
): { ms: number; action: "close_input" | "end" } | undefined {
  const { busy, unread, inputOpen, background } = activity;
  if (busy) return unread && inputOpen ? { ms: SILENT_WORK_LIMIT_MS, action: "close_input" } : undefined;
  if (inputOpen && background.length === 0) return undefined;
  const onlyCommands = background.every((kind) => kind === "local_bash");
  return { ms: onlyCommands ? BACKGROUND_LIMIT_MS : SILENT_WORK_LIMIT_MS, action: "end" };
}
