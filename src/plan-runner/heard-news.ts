import type { PlanNews, PlanNewsKind } from "./plan-news.js";

type OnNews = (kind: PlanNewsKind, planId?: string) => void;

/** Listens to what other processes tell of plans for as long as somebody here wants to know. */
export interface HeardNews {
  /** @param listener must not throw; the answer takes it off */
  on(listener: OnNews): () => void;
}

export function createHeardNews({ listen }: Pick<PlanNews, "listen">): HeardNews {
  const listeners = new Set<OnNews>();
  let stop: (() => void) | undefined;
  return {
    on(listener) {
      const own: OnNews = (...news) => listener(...news);
      listeners.add(own);
      stop ??= listen((...news) => {
        for (const one of [...listeners]) one(...news);
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
