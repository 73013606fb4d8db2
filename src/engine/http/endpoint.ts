import type { Socket } from "node:net";
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { readJson } from "./body.js";
import { toIssues } from "./pydantic.js";
import { HttpRefusal, type Issue } from "./refusal.js";
import * as z from "./schemas.js";

/** Bindings of the server that carries the app. */
export interface EngineBindings {
  /** Aborts when the server stops: streams then end. */
  closing?: AbortSignal;
  /** The request as it came, where there is a server. */
  incoming?: { socket: Socket };
  /** Tells the server that a request of the connection has shown the key. */
  admit?: (socket: Socket) => void;
}
export type EngineHttpEnv = { Bindings: EngineBindings };
export type EngineApp = OpenAPIHono<EngineHttpEnv>;

/** One endpoint as data: what it takes and gives, for the checks and for the description alike. */
interface Endpoint<Query, Body, Answer, Headers> {
  method: "get" | "post" | "put" | "delete";
  /** With names in braces, as the description writes it. */
  path: string;
  summary: string;
  description?: string;
  query?: z.ZodType<Query>;
  /** Named in lower case. */
  headers?: z.ZodType<Headers>;
  body?: z.ZodType<Body>;
  /** The body's fields are parameters of their own, each complained of by itself. */
  separateFields?: boolean;
  answer: z.ZodType<unknown, Answer>;
  /** Without a key. */
  open?: boolean;
  /** HTTP statuses of its refusals, beside 401, 403 and 422. */
  refusals?: readonly number[];
  handle(request: {
    /** The path's first parameter, "" when it has none. */
    id: string;
    query: Query;
    headers: Headers;
    body: Body;
    context: Context<EngineHttpEnv>;
  }): NoInfer<Answer> | Promise<NoInfer<Answer>>;
}

/** The three ways to send the key; any one of them will do. */
export const SECURITY: Record<string, string[]>[] = [
  { ApiKeyHeader: [] },
  { ApiKeyQuery: [] },
  { BearerAuth: [] },
];

const refusalSchema = z
  .object({
    detail: z.union([
      z.string(),
      z.array(
        z.looseObject({ type: z.string(), loc: z.array(z.union([z.string(), z.number()])), msg: z.string() }),
      ),
    ]),
    started: z
      .literal(false)
      .optional()
      .describe("The engine has started nothing; with every 503 of which that is known"),
    error_code: z
      .string()
      .optional()
      .describe(
        "key_of_another_database: use a new Idempotency-Key, with the x-key-prefix that is described now",
      ),
  })
  .openapi("Refusal");

/**
 * Puts an endpoint into the app and into its description. Faults of query and body are refused together with 422,
 * the query's first; a method that a path does not have is for {@link refuseOtherMethods}.
 */
export function addEndpoint<Query = undefined, Body = undefined, Answer = unknown, Headers = undefined>(
  app: EngineApp,
  endpoint: Endpoint<Query, Body, Answer, Headers>,
): void {
  const { method, path, query, headers, body } = endpoint;
  const parameter = /\{(\w+)\}/g;
  const names = [...path.matchAll(parameter)].map((match) => match[1] ?? "");
  const route = createRoute({
    method,
    path,
    summary: endpoint.summary,
    ...(endpoint.description ? { description: endpoint.description } : {}),
    security: endpoint.open ? [] : SECURITY,
    request: {
      ...(names.length > 0
        ? { params: z.object(Object.fromEntries(names.map((n) => [n, z.string()]))) }
        : {}),
      ...(query ? { query: query as unknown as z.ZodObject } : {}),
      ...(headers ? { headers: headers as unknown as z.ZodObject } : {}),
      ...(body ? { body: { required: true, content: { "application/json": { schema: body } } } } : {}),
    },
    responses: {
      200: { description: "Success", content: { "application/json": { schema: endpoint.answer } } },
      ...describeRefusals(endpoint.open ? [403] : [401, 403, 422, ...(endpoint.refusals ?? [])]),
    },
  });
  app.openAPIRegistry.registerPath(route);
  app.on(method, route.getRoutingPath(), async (context) => {
    refuseHead(context);
    let raw = body ? await readJson(context.req.raw) : undefined;
    // The contract takes null for no body.
    if (raw === null) raw = undefined;
    if (endpoint.separateFields && (typeof raw !== "object" || Array.isArray(raw))) raw = {};
    const issues: Issue[] = [];
    const read = <T>(
      schema: z.ZodType<T> | undefined,
      where: Parameters<typeof toIssues>[2],
      from: unknown,
    ) => {
      const parsed = schema?.safeParse(from);
      if (parsed?.error) issues.push(...toIssues(parsed.error, from, where));
      // What was not asked for is undefined, and so its type; what is wrong is refused below.
      return parsed?.data as T;
    };
    const params = Object.fromEntries(new URL(context.req.url).searchParams);
    const request = {
      id: context.req.param(names[0] ?? "") ?? "",
      query: read(query, "query", params),
      headers: read(headers, "header", context.req.header()),
      body: read(body, endpoint.separateFields ? "fields" : "body", raw),
      context,
    };
    if (issues.length > 0) throw new HttpRefusal(422, issues);
    return context.json((await endpoint.handle(request)) as object);
  });
}

/** Refusals as a description's responses. */
export function describeRefusals(statuses: readonly number[]) {
  const content = { "application/json": { schema: refusalSchema } };
  return Object.fromEntries(statuses.map((status) => [status, { description: "Refused", content }]));
}

/** The router answers HEAD as it answers GET; the contract does not. @throws HttpRefusal 405 */
export function refuseHead(context: Context): void {
  if (context.req.raw.method === "HEAD") throw new HttpRefusal(405, "Method Not Allowed");
}

/** Answers 405 for the methods that the paths added so far do not have. */
export function refuseOtherMethods(app: EngineApp): void {
  for (const path of new Set(
    app.routes.filter(({ method }) => method !== "ALL").map((route) => route.path),
  )) {
    app.all(path, () => {
      throw new HttpRefusal(405, "Method Not Allowed");
    });
  }
}
