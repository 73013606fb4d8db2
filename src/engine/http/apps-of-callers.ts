import type { MiddlewareHandler } from "hono";
import { setBounded } from "../../shared/bounded-map.js";
import { CALLER_HEADER } from "../../shared/caller-id.js";
import type { EngineApp, EngineHttpEnv } from "./endpoint.js";
import { HttpRefusal } from "./refusal.js";

/** More people than any team has; of more, whoever was there longest ago has its app made anew. */
const MOST_CALLERS = 200;
const CALLER = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/;

/**
 * Answers what names a caller by an app that sees this caller's runs alone, and says so in the same header: whoever
 * relies on it can tell this engine from an API that passes over the header.
 * @param createApp makes the app of a caller
 */
export function serveCallers(createApp: (caller: string) => EngineApp): MiddlewareHandler<EngineHttpEnv> {
  const apps = new Map<string, EngineApp>();
  return async (context, next) => {
    const caller = context.req.header(CALLER_HEADER);
    if (caller === undefined) return next();
    if (!CALLER.test(caller)) throw new HttpRefusal(400, `The header ${CALLER_HEADER} holds no UUID`);
    const app = apps.get(caller) ?? createApp(caller);
    setBounded(apps, caller, app, MOST_CALLERS);
    const response = await app.fetch(context.req.raw, context.env);
    response.headers.set(CALLER_HEADER, caller);
    return response;
  };
}
