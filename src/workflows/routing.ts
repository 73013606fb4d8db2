import { type Figures, hasSucceeded } from "../history/figures.js";
import type { History } from "../history/history.js";
import type { Catalogue } from "./catalogue.js";
import type { PastTask, Router } from "./router.js";

/** The router for what the API offers now and what is known of the past. What it needs is loaded with the first use. */
export type FindRouter = () => Promise<Router | undefined>;

/** @returns undefined while nobody knows the workflows */
export function createRouting(options: {
  catalogue: Pick<Catalogue, "state">;
  history: Pick<History, "read">;
}): FindRouter {
  const { catalogue, history } = options;
  let made: { of: readonly unknown[]; figures: readonly Figures[]; router: Promise<Router> } | undefined;

  return async () => {
    const { available, workflows } = catalogue.state();
    if (!available) return undefined;
    const { figures } = await history.read();
    if (made?.of !== workflows || made.figures !== figures) {
      const ids = new Set(figures.map(({ id }) => id));
      // What is forgotten stays in no index.
      const isSame = made?.of === workflows && made.figures.every(({ id }) => ids.has(id));
      const router = learn(isSame ? made?.router : undefined);
      made = { of: workflows, figures, router };
    }
    return made.router;

    async function learn(present: Promise<Router> | undefined): Promise<Router> {
      const { createRouter } = await import("./router.js");
      const router = (await present) ?? createRouter(workflows);
      const past = figures.flatMap((one): PastTask[] =>
        one.kind === "run" && one.workflow !== undefined && one.task !== undefined
          ? [
              {
                id: one.id,
                workflow: one.workflow,
                task: one.task,
                succeeded: hasSucceeded(one),
                turns: one.turns,
              },
            ]
          : [],
      );
      await router.learn(past);
      return router;
    }
  };
}
