import { type Discovery, describeApi } from "./openapi.js";
import { ApiRefusal } from "./refusal.js";
import type { World } from "./types.js";
import { parseFlag, parseList, parseMessage, parseStart } from "./validate.js";
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
export function createRoutes(
  world: World,
  options: { describe: boolean; discovery: Discovery; basePath: string; without: readonly string[] },
) {
  const { profile, clock, apiKey } = world;
  const wire = createWire(profile);
  const routes: Route[] = [
    { method: "GET", path: /^root:\/health$/, answer: () => wire.rootHealth(clock.now()) },
    { method: "GET", path: /^\/health$/, answer: () => wire.health(world.workflows.list(), clock.now()) },
    { method: "GET", path: /^\/runs$/, answer: ({ query }) => wire.runs(world.list(parseList(query))) },
    {
      method: "POST",
      path: /^\/run\/([^/]+)$/,
      answer(call, workflow) {
        const { body, query } = parseStart(profile, call.query, call.text, call.contentType);
        return wire.started(world.start(workflow, body, query));
      },
    },
    {
      method: "GET",
      path: /^\/run\/([^/]+)\/status$/,
      answer(call, id) {
        const debug = parseFlag(call.query, "debug");
        return wire.status(world.get(id), clock.now(), debug);
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
    const answer = () => describeApi(options.basePath, options.discovery, options.without);
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
