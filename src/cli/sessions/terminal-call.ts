import type { Call } from "../../actions/define-action.js";

/** How a command asks; undefined where nobody can answer. */
export type Ask = ((question: string) => Promise<boolean>) | undefined;

/**
 * The call of an action for whoever is in the terminal: what a form would say is written, and a yes or no asked for.
 * Without an `ask` it is a call without forms.
 */
export function createTerminalCall(options: {
  signal: AbortSignal;
  /** Takes what is asked about. */
  out?: (text: string) => void;
  ask?: Ask;
  /** Takes how far it is. */
  progress?: (message: string) => void;
}): Call {
  const { signal, out, ask, progress } = options;
  return {
    forms: {
      supported: ask !== undefined,
      async ask(message, [question]) {
        out?.(`${message}\n`);
        if (!ask || !question) return { kind: "not_asked", why: "no_forms" };
        if (!(await ask("Do it?"))) return { kind: "declined" };
        return { kind: "accepted", values: { [question.name]: "yes" } };
      },
    },
    signal,
    inTerminal: true,
    isStopping: () => signal.aborted,
    // Nobody cuts it off.
    wantsProgress: progress !== undefined,
    progress: ({ message }) => progress?.(message),
    follows: () => {},
    clientName: undefined,
    localFolders: async () => [],
  };
}
