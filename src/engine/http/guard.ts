import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import type { WrongTokens } from "../../shared/http/wrong-tokens.js";
import type { EngineHttpEnv } from "./endpoint.js";
import { HttpRefusal } from "./refusal.js";

/** The names under which a machine reaches itself; any other name in a Host header may be a rebound one. */
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** Answered without a key, as the contract has it. */
const OPEN_PATHS = ["/health", "/ready", "/api/v1/openapi.json"];

/** Whether a path is answered without a key. */
export const isOpen = (path: string): boolean => OPEN_PATHS.includes(path);

/**
 * Refuses with 403 what a page in a browser could send: a Host that is none of ours (DNS rebinding), an Origin that
 * was not allowed. No CORS header is ever sent.
 * @param options.allowedHosts names beside loopback, each with or without a port; without one any port will do
 * @param options.allowedOrigins whole origins, "https://example.org"
 */
export function checkSource(options: {
  allowedHosts: readonly string[];
  allowedOrigins: readonly string[];
}): MiddlewareHandler {
  const hosts = new Set([...LOOPBACK, ...options.allowedHosts.map((host) => host.toLowerCase())]);
  const origins = new Set(options.allowedOrigins.map((origin) => origin.toLowerCase()));
  return async (context, next) => {
    const host = (context.req.header("host") ?? new URL(context.req.url).host).toLowerCase();
    if (!hosts.has(host) && !hosts.has(host.replace(/:\d+$/, ""))) {
      throw new HttpRefusal(403, "Host not allowed");
    }
    const origin = context.req.header("origin");
    if (origin !== undefined && !origins.has(origin.toLowerCase())) {
      throw new HttpRefusal(403, "Origin not allowed");
    }
    await next();
  };
}

/**
 * Wants the key for every path but the open ones, before anything is said about the path.
 * @param options.wrongKeys counts the wrong ones, and says when they are to be answered
 * @param options.onRight called for each request that has shown the right one
 */
export function checkKey(options: {
  apiKey: string;
  wrongKeys: WrongTokens;
  onRight: () => void;
}): MiddlewareHandler<EngineHttpEnv> {
  const right = digest(options.apiKey);
  return async (context, next) => {
    if (!isOpen(context.req.path)) {
      const key = keyOf(context);
      if (key === "") {
        throw new HttpRefusal(
          401,
          "API key is missing. Provide via x-api-key header, query parameter, or Authorization: Bearer header",
        );
      }
      // Without a server between, as in the tests of the app alone, there are no bindings.
      const { incoming, admit } = context.env ?? {};
      if (!timingSafeEqual(digest(key), right)) {
        const wait = await options.wrongKeys.count(incoming?.socket.remoteAddress);
        if (wait === undefined) throw new HttpRefusal(401, "Invalid API Key");
        throw new HttpRefusal(429, "Too many requests with a wrong API key", wait);
      }
      if (incoming) admit?.(incoming.socket);
      options.onRight();
    }
    await next();
  };
}

/** From the header, the query or the bearer token, in the contract's order; empty counts as none. */
function keyOf({ req }: Context): string {
  const bearer = /^Bearer (.+)$/.exec(req.header("authorization") ?? "")?.[1];
  return req.header("x-api-key") || req.query("x-api-key") || bearer || "";
}

/** Digests are of one length, so that comparing them tells nothing about the key's. */
function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
