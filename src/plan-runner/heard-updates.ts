import type { PlanUpdateKind, PlanUpdates } from "./plan-updates.js";

type OnUpdate = (kind: PlanUpdateKind, planId?: string) => void;

/** Listens to what other processes tell of plans for as long as somebody here wants to know. */
export interface HeardUpdates {
  /** @param listener must not throw; the answer takes it off */
  on(listener: OnUpdate): () => void;
}

export function createHeardUpdates({ listen }: Pick<PlanUpdates, "listen">): HeardUpdates {
  const listeners = new Set<OnUpdate>();
  let stop: (() => void) | undefined;
  return {
    on(listener) {
      const own: OnUpdate = (...update) => listener(...update);
      listeners.add(own);
      stop ??= listen((...update) => {
        for (const one of [...listeners]) one(...update);
      });
      return () => {
        listeners.delete(own);
        if (listeners.size > 0) return;
        stop?.();
        stop = undefined;
      };
    },
  };
}
