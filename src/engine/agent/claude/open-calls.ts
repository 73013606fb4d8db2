/** The tool calls that have begun and have no result yet, of an agent and its sub-agents. */
export interface OpenCalls {
  /** @param parent the call whose sub-agent makes it; undefined for the agent itself */
  begun(id: string | undefined, parent: string | undefined): void;
  ended(id: string | undefined): void;
  /**
   * Whether a call goes on beside those that a person is asked about: one of another (sub-)agent. Further calls of the
   * one that asks stand in its queue, and the call of a sub-agent that asks waits with it.
   * @param asked undefined for a call that is not known: then it is the agent's own
   */
  besides(asked: readonly (string | undefined)[]): boolean;
}

export function createOpenCalls(): OpenCalls {
  /** By its id, whose call it is; "" for the agent itself. */
  const open = new Map<string, string>();

  return {
    begun(id, parent) {
      if (id) open.set(id, parent ?? "");
    },
    ended(id = "") {
      open.delete(id);
    },
    besides(asked) {
      /** Those who wait: whoever asks, and whoever waits for that one. */
      const waiting = new Set<string>();
      for (const id of asked) {
        for (let who = open.get(id ?? "") ?? ""; !waiting.has(who); who = open.get(who) ?? "")
          waiting.add(who);
      }
      return [...open].some(([id, parent]) => !waiting.has(parent) && !waiting.has(id));
    },
  };
}
