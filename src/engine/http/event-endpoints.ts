import { createRoute } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Clock } from "../../shared/clock.js";
import { limitConnections } from "../../shared/http/open-files.js";
import type { Engine } from "../types.js";
import { describeRefusals, type EngineApp, type EngineHttpEnv, refuseHead, SECURITY } from "./endpoint.js";
import { createEventStream, type EventSource } from "./event-stream.js";
import { HttpRefusal } from "./refusal.js";
import { runEventSchema } from "./run-schemas.js";
import * as z from "./schemas.js";
import { MAX_CONNECTIONS } from "./serve.js";

const DESCRIPTION =
  'Server-sent events. First an event "open" with {"newest_id", "gap"}; a gap means that events after the given id ' +
  'are lost and the current state has to be read again. Then an event "run" for everything that happens. ' +
  "Last-Event-ID resumes where a stream has ended. A stream is ended when its reader is too slow.";

/** Of all connections, the part that streams of events may take. */
const STREAMS_PART = 4;
/** When a stream that was refused may be tried again. */
const RETRY_AFTER_S = 30;

/**
 * Adds the streams of events, of all runs and of one.
 * @param options.streams counts those that are open, of all callers together
 */
export function addEventEndpoints(
  app: EngineApp,
  options: { engine: Engine; runs: EventSource; clock: Clock; streams: { open: number } },
): void {
  const { engine, runs, clock, streams } = options;
  // Each keeps a connection for as long as it likes.
  const maxStreams = Math.max(1, Math.floor(limitConnections(MAX_CONNECTIONS) / STREAMS_PART));

  function respond(context: Context<EngineHttpEnv>, runId?: string): Response {
    if (streams.open >= maxStreams) {
      throw new HttpRefusal(503, `Too many streams of events: ${maxStreams} are open.`, RETRY_AFTER_S);
    }
    const asked = context.req.header("last-event-id");
    const stream = createEventStream({
      runs,
      waits: engine,
      clock,
      closing: context.env?.closing,
      onEnd: () => {
        streams.open--;
      },
      ...(runId === undefined ? {} : { runId }),
      // An id that is not a number of ours is treated as one that is too old.
      ...(asked ? { after: /^\d{1,15}$/.test(asked) ? Number(asked) : Number.MAX_SAFE_INTEGER } : {}),
    });
    streams.open++;
    return new Response(stream, {
      headers: {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        // Without it the server waits whether the body is a short one.
        "transfer-encoding": "chunked",
        "x-accel-buffering": "no",
      },
    });
  }

  for (const path of ["/events", "/run/{run_id}/events"]) {
    const ofRun = path !== "/events";
    const route = createRoute({
      method: "get",
      path,
      summary: ofRun ? "What happens to a run, as it happens" : "What happens to all runs, as it happens",
      description: DESCRIPTION,
      security: SECURITY,
      request: {
        headers: z.object({ "Last-Event-ID": z.string().optional() }),
        ...(ofRun ? { params: z.object({ run_id: z.string() }) } : {}),
      },
      responses: {
        200: { description: "Success", content: { "text/event-stream": { schema: runEventSchema } } },
        ...describeRefusals([401, 403, ...(ofRun ? [404] : []), 503]),
      },
    });
    app.openAPIRegistry.registerPath(route);
    app.get(route.getRoutingPath(), (context) => {
      refuseHead(context);
      if (!ofRun) return respond(context);
      return respond(context, engine.get(context.req.param("run_id") ?? "").runId);
    });
  }
}
