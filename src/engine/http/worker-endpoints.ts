import { type Engine, EngineRefusal, type WorkerSight } from "../types.js";
import { addEndpoint, type EngineApp } from "./endpoint.js";
import { workersSchema } from "./run-schemas.js";
import { toSlotRun } from "./run-wire.js";
import * as z from "./schemas.js";

/** Adds the endpoint that tells which engines share the runs. */
export function addWorkerEndpoint(
  app: EngineApp,
  { engine, workers }: { engine: Pick<Engine, "list">; workers: () => readonly WorkerSight[] },
): void {
  addEndpoint(app, {
    method: "get",
    path: "/workers",
    summary: "The engines that carry out the runs: on several machines where they share a database, else one",
    answer: workersSchema,
    handle: () => ({
      workers: workers().map(({ id, name, version, state, places, busy, silentMs, isOwn, runs }) => ({
        worker_id: id,
        ...{ name, version, state, places, busy },
        silent_seconds: Math.round(silentMs / 1000),
        answers: isOwn,
        runs: runs.map((run) => ({
          ...toSlotRun(run),
          waiting_for: run.status === "waiting" ? ("question" as const) : null,
        })),
      })),
      waiting: engine.list({ statuses: ["pending"] }).length,
    }),
  });
}

/**
 * Adds the path by which a load balancer finds out whether requests may go to this engine.
 * @param ready gives why not, as a sentence that is no secret; undefined when it can serve
 */
export function addReadyEndpoint(app: EngineApp, ready: () => Promise<string | undefined>): void {
  addEndpoint(app, {
    method: "get",
    path: "/ready",
    summary: "Whether it can serve and goes on to do so: 200, or 503 with the reason",
    open: true,
    answer: z.object({ status: z.literal("ready") }).openapi("Ready"),
    refusals: [503],
    async handle() {
      const problem = await ready();
      if (problem !== undefined) throw new EngineRefusal(503, problem);
      return { status: "ready" as const };
    },
  });
}
