import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  buildSchema,
  execute,
  type GraphQLError,
  type GraphQLFieldResolver,
  getNamedType,
  isEnumType,
  isListType,
  isNonNullType,
  parse,
  validate,
} from "graphql";
import { createLinearWorld, type LinearWorld, UserFault } from "./linear-world.js";

/** What goes wrong with one request. */
export type LinearFault =
  /** It is carried out, and its answer never comes. */
  | { kind: "lost answer" }
  /** It is carried out, and the connection is reset in place of an answer. */
  | { kind: "cut off" }
  /** The connection is reset, and it is carried out right before the next request of the same operation. */
  | { kind: "late" }
  /** The connection is reset before anything has happened. */
  | { kind: "dropped" }
  /** HTTP 200 all the same, as a part of Linear's errors comes. */
  | { kind: "errors"; code: string; type: string; userError: boolean; message: string; status?: number }
  | { kind: "too many"; resetInMs: number }
  | { kind: "status"; status: number };

export interface FakeLinear {
  /** Its GraphQL endpoint. */
  url: string;
  world: LinearWorld;
  /** The names of all operations so far, in their order, those that met a fault among them. */
  operations: string[];
  /** The next requests of an operation meet these, one after the other. */
  fail(operation: string, ...faults: LinearFault[]): void;
  close(): Promise<void>;
}

/** Beside the built file this one is not there: the fake is for tests that run on the sources. */
const schema = buildSchema(readFileSync(new URL("./linear-schema.graphql", import.meta.url), "utf8"));

/**
 * Linear as far as this product uses it, on a real socket: its own schema, carried out by GraphQL's reference
 * implementation on a world in memory. Refusals are worded and numbered as Linear's were seen.
 * @param options.now its time, epoch ms
 */
export async function serveFakeLinear({
  key = "lin_api_test",
  now = Date.now,
}: {
  key?: string;
  now?: () => number;
} = {}): Promise<FakeLinear> {
  const world = createLinearWorld();
  const operations: string[] = [];
  const faults = new Map<string, LinearFault[]>();
  /** What is carried out before the next request of its operation. */
  const held = new Map<string, () => unknown>();
  const server = createServer((request, response) => {
    answer(request, response).catch(() => request.socket.destroy());
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { query, variables } = JSON.parse(await readAll(request)) as Asked;
    const document = parse(query);
    const [definition] = document.definitions;
    const name = definition?.kind === "OperationDefinition" ? (definition.name?.value ?? "") : "";
    operations.push(name);
    const carryOut = async () =>
      execute({
        schema,
        document,
        rootValue: world.root,
        variableValues: variables ?? {},
        fieldResolver: resolveOrFill,
      });
    await held.get(name)?.();
    held.delete(name);
    const fault = faults.get(name)?.shift();
    if (fault?.kind === "late") held.set(name, carryOut);
    if (fault?.kind === "late" || fault?.kind === "dropped") return void request.socket.resetAndDestroy();
    const isDone = fault?.kind === "lost answer" || fault?.kind === "cut off";
    if (fault && !isDone) return refuse(response, fault, now());
    if (request.headers.authorization !== key) return send(response, 401, { errors: [NOT_AUTHENTICATED] });
    const invalid = validate(schema, document);
    if (invalid.length > 0) return send(response, 400, { errors: invalid.map(tellInvalid) });
    const { data, errors } = await carryOut();
    if (fault?.kind === "cut off") return void request.socket.resetAndDestroy();
    if (fault) return;
    const known = errors?.map((error) =>
      error.originalError instanceof UserFault ? tellFault(error) : error.toJSON(),
    );
    send(response, 200, { data, ...(known ? { errors: known } : {}) });
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`,
    world,
    operations,
    fail(operation, ...more) {
      faults.set(operation, [...(faults.get(operation) ?? []), ...more]);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Asked {
  query: string;
  variables?: Record<string, unknown>;
}

async function readAll(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

function send(response: ServerResponse, status: number, body: object, headers = {}): void {
  const limits = {
    "x-ratelimit-requests-limit": "2500",
    "x-ratelimit-requests-remaining": "2400",
    "x-ratelimit-requests-reset": String(Date.now() + 3_600_000),
  };
  response.writeHead(status, {
    "content-type": "application/json",
    "x-request-id": randomUUID(),
    ...limits,
    ...headers,
  });
  response.end(JSON.stringify(body));
}

function refuse(
  response: ServerResponse,
  fault: Exclude<LinearFault, { kind: "lost answer" | "cut off" | "late" | "dropped" }>,
  now: number,
): void {
  if (fault.kind === "status") {
    response.writeHead(fault.status, { "content-type": "text/html" });
    response.end("<html>upstream connect error</html>");
  } else if (fault.kind === "too many") {
    const extensions = { type: "ratelimited", code: "RATELIMITED", statusCode: 429, userError: true };
    const message = "Rate limit exceeded. Only 2500 requests are allowed per 1 hour.";
    const headers = {
      "x-ratelimit-requests-remaining": "0",
      "x-ratelimit-requests-reset": String(now + fault.resetInMs),
    };
    send(response, 400, { errors: [{ message, extensions }] }, headers);
  } else {
    const { code, type, userError, message, status = 200 } = fault;
    const extensions = { type, code, userError, userPresentableMessage: message };
    send(response, status, { errors: [{ message, extensions }], data: null });
  }
}

const NOT_AUTHENTICATED = {
  message: "Authentication required, not authenticated",
  extensions: {
    type: "authentication error",
    code: "AUTHENTICATION_ERROR",
    statusCode: 401,
    userError: true,
    userPresentableMessage: "You need to authenticate to access this operation.",
    meta: {},
    http: { status: 401 },
  },
};

function tellInvalid({ message, locations }: GraphQLError) {
  const extensions = {
    http: { status: 400, headers: {} },
    code: "GRAPHQL_VALIDATION_FAILED",
    type: "graphql error",
    userError: true,
  };
  return { message, locations, extensions };
}

function tellFault({ message, path, locations, originalError }: GraphQLError) {
  const { presentable } = originalError as UserFault;
  const extensions = {
    type: "invalid input",
    code: "INPUT_ERROR",
    statusCode: 400,
    userError: true,
    userPresentableMessage: presentable,
  };
  return { message, path, locations, extensions };
}

/** What the world does not have and the schema asks for: something of the right type, which nobody looks at. */
const resolveOrFill: GraphQLFieldResolver<Record<string, unknown>, unknown> = (
  source,
  args,
  _context,
  info,
) => {
  const found = source[info.fieldName];
  if (typeof found === "function") return (found as (args: unknown) => unknown).call(source, args);
  if (found !== undefined || !isNonNullType(info.returnType)) return found;
  if (isListType(info.returnType.ofType)) return [];
  const type = getNamedType(info.returnType);
  if (isEnumType(type)) return type.getValues()[0]?.value;
  const fillings: Record<string, unknown> = {
    ...{ Boolean: false, Float: 0, Int: 0, String: "", ID: randomUUID(), JSONObject: {} },
    DateTime: "2026-11-30T00:00:00.000Z",
  };
  return fillings[type.name] ?? {};
};
