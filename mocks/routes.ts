import { type Described, describeApi } from "./openapi.js";
import { ApiRefusal } from "./refusal.js";
import type { World } from "./types.js";
import { parseFlag, parseList, parseMessage, parseStart, parseTake } from "./validate.js";
import { createWire } from "./wire.js";

/** A request as the routes see it. */
export interface Call {
  method: string;
  /** Below the API's base, decoded; `root:/health` for the health check beside the API. */
  path: string;
  query: Record<string, string>;
  /** The raw body, empty when none was sent. */
  text: string;
  contentType: string;
  /** The client's own name for a start. */
  startKey: string | undefined;
  /** The key from the header, the bearer token or the query, in the server's order; empty when there is none. */
  key: string;
}

export interface Reply {
  status: number;
  body: unknown;
}

interface Route {
  method: string;
  path: RegExp;
  answer(call: Call, id: string): unknown;
}

const OPEN = ["root:/health", "root:/api/v1/openapi.json"];

/**
 * The API's routes over a world: authentication first, then routing, then the request's own faults. The function it
 * gives answers every call and throws nothing that the API would answer.
 */
export function createRoutes(world: World, options: Omit<Described, "hasBranches"> & { describe: boolean }) {
  const { profile, clock, apiKey } = world;
  const wire = createWire(profile);
  /** Starts that were accepted, by their keys. */
  const accepted = new Map<string, { request: string; answer: unknown }>();

  function start(call: Call, workflow: string): unknown {
    const { body, query } = parseStart(world, call.query, call.text, call.contentType);
    const key = options.keyPrefix === undefined ? undefined : call.startKey;
    const request = JSON.stringify([workflow, body, query]);
    const known = key === undefined ? undefined : accepted.get(key);
    if (known?.request === request) return known.answer;
    if (known)
      throw new ApiRefusal(
        422,
        "This Idempotency-Key came with another request before. Nothing was started.",
      );
    const answer = wire.started(world.start(workflow, body, query));
    if (key !== undefined) accepted.set(key, { request, answer });
    return answer;
  }

  const routes: Route[] = [
    { method: "GET", path: /^root:\/health$/, answer: () => wire.rootHealth(clock.now()) },
    { method: "GET", path: /^\/health$/, answer: () => wire.health(world.workflows.list(), clock.now()) },
    { method: "GET", path: /^\/runs$/, answer: ({ query }) => wire.runs(world.list(parseList(query))) },
    {
      method: "POST",
      path: /^\/run\/([^/]+)$/,
      answer: start,
    },
    {
      method: "GET",
      path: /^\/run\/([^/]+)\/status$/,
      answer(call, id) {
        // What was asked wrongly is told before whether there is such a run.
        const [debug, request] = [parseFlag(call.query, "debug"), parseFlag(call.query, "request")];
        const state = world.get(id);
        const status = wire.status(state, clock.now(), debug);
        // The public server tells no message of a run.
        const isTold = world.profile === "contract" && request;
        return isTold ? { ...status, request_message: state.message } : status;
      },
    },
    {
      method: "POST",
      path: /^\/run\/([^/]+)\/add-message$/,
      answer(call, id) {
        const { type, content } = parseMessage(call.text, call.contentType);
        const stats = wire.queue(id, world.addMessage(id, type, content), clock.now());
        const size = stats.current_size;
        return {
          success: true,
          message: "Message added to queue",
          queue_size: size,
          run_id: id,
          queue_stats: stats,
        };
      },
    },
    {
      method: "GET",
      path: /^\/run\/([^/]+)\/message-queue$/,
      answer: (_call, id) => ({
        success: true,
        run_id: id,
        queue_stats: wire.queue(id, world.queue(id), clock.now()),
      }),
    },
    {
      method: "POST",
      path: /^\/run\/([^/]+)\/kill$/,
      answer(call, id) {
        const force = parseFlag(call.query, "force");
        return wire.killed(world.kill(id, force), force, clock.now());
      },
    },
    {
      method: "POST",
      path: /^\/run\/([^/]+)\/cleanup$/,
      answer(call, id) {
        const force = parseFlag(call.query, "force");
        return wire.cleanedUp(world.cleanup(id, force), clock.now());
      },
    },
  ];
  if (world.hasBranches) {
    routes.push(
      { method: "GET", path: /^\/run\/([^/]+)\/diff$/, answer: (_call, id) => wire.diff(world.get(id)) },
      { method: "GET", path: /^\/run\/([^/]+)\/work$/, answer: (_call, id) => wire.head(world.get(id)) },
      {
        method: "POST",
        path: /^\/run\/([^/]+)\/take$/,
        answer: (call, id) => wire.taken(id, world.take(id, parseTake(call.text, call.contentType))),
      },
    );
  }
  if (options.discovery === "manage") {
    routes.push({ method: "GET", path: /^\/manage$/, answer: () => wire.manage(world.workflows.list()) });
  } else if (options.discovery === "workflows") {
    routes.push({
      method: "GET",
      path: /^\/workflows$/,
      answer: () => wire.workflows(world.workflows.list()),
    });
  }
  if (options.describe) {
    const answer = () => describeApi({ ...options, hasBranches: world.hasBranches });
    routes.push({ method: "GET", path: /^root:\/api\/v1\/openapi\.json$/, answer });
  }

  const absent = options.without.map((path) => new RegExp(`^${path.replace(/\{[^}]*\}/g, "[^/]+")}$`));

  function authenticate(call: Call): void {
    if (OPEN.includes(call.path)) return;
    if (call.key === "") {
      throw new ApiRefusal(
        401,
        "API key is missing. Provide via x-api-key header, query parameter, or Authorization: Bearer header",
      );
    }
    if (call.key !== apiKey) throw new ApiRefusal(401, "Invalid API Key");
  }

  function dispatch(call: Call): unknown {
    authenticate(call);
    const known = absent.some((path) => path.test(call.path))
      ? []
      : routes.filter((route) => route.path.test(call.path));
    if (known.length === 0) throw new ApiRefusal(404, "Not Found");
    const route = known.find((candidate) => candidate.method === call.method);
    if (route === undefined) throw new ApiRefusal(405, "Method Not Allowed");
    return route.answer(call, route.path.exec(call.path)?.[1] ?? "");
  }

  return (call: Call): Reply => {
    try {
      return { status: 200, body: dispatch(call) };
    } catch (error) {
      if (error instanceof ApiRefusal) {
        const { status, detail, started } = error;
        return { status, body: started === false ? { detail, started } : { detail } };
      }
      throw error;
    }
  };
}
