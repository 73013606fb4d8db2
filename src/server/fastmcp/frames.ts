import { ErrorCode, type JSONRPCMessage, JSONRPCMessageSchema } from "@modelcontextprotocol/sdk/types.js";
import { HttpRefusal } from "../http/refusal.js";

/** A frame of the protocol as a client has sent it: a message, or what is wrong with it, fit to be sent back. */
export type Frame =
  | { message: JSONRPCMessage }
  /** The id is undefined where the frame has none, so that nobody waits for an answer. */
  | { fault: string; id: string | number | null | undefined };

type Json = Record<string, unknown>;

/**
 * Reads one frame. Null in place of what may be left out counts as left out, in the frame and in what the protocol has
 * it carry; what tools are called with is theirs to read. Of the frame itself, members that the protocol does not
 * know are dropped.
 */
export function readFrame(value: unknown): Frame {
  if (!isObject(value)) return { fault: "a message must be an object", id: undefined };
  const { id, method, params, result, error } = value;
  if (method === undefined || method === null) {
    if (result !== undefined || error !== undefined) return readAnswer(value);
    return { fault: "there is no method", id: idOf(value) };
  }
  const isNotification = id === undefined || (id === null && String(method).startsWith("notifications/"));
  const fault = (what: string): Frame => ({ fault: what, id: isNotification ? undefined : idOf(value) });
  if (value.jsonrpc !== "2.0") return fault('jsonrpc is not "2.0"');
  if (typeof method !== "string") return fault("method is not a string");
  if (!isNotification && typeof id !== "string" && !Number.isSafeInteger(id)) {
    return fault("id is neither a string nor an integer");
  }
  if (params !== undefined && params !== null && !isObject(params)) return fault("params is not an object");
  const message = {
    jsonrpc: "2.0",
    ...(isNotification ? {} : { id }),
    method,
    ...(params ? { params: withoutNulls(params, method === "tools/call" ? "arguments" : undefined) } : {}),
  };
  return isMessage(message) ? { message } : fault("params._meta does not have the protocol's form");
}

/** An answer to what the server has asked. One that cannot be read still ends the waiting for it. */
function readAnswer({ jsonrpc, id, result, error }: Json): Frame {
  const isKnown = typeof id === "string" || typeof id === "number";
  const answer = {
    jsonrpc,
    ...(isKnown ? { id } : {}),
    ...(error === undefined || error === null
      ? { result: withoutNulls(result ?? {}, "content") }
      : { error: withoutNulls(error) }),
  };
  if (isMessage(answer)) return { message: answer };
  if (!isKnown) return { fault: "a response has no id", id: undefined };
  const unreadable = {
    code: ErrorCode.InvalidRequest,
    message: "The response does not have the protocol's form.",
  };
  return { message: { jsonrpc: "2.0", id, error: unreadable } };
}

/**
 * The body of an HTTP request as messages, one or a batch of them.
 * @throws HttpRefusal 400 when one of them is none, with its id
 */
export function readFrames(body: unknown): JSONRPCMessage | JSONRPCMessage[] {
  if (Array.isArray(body)) {
    if (body.length === 0) throw refuse("a batch is empty", null);
    return body.map(readOne);
  }
  return readOne(body);
}

function readOne(value: unknown): JSONRPCMessage {
  const frame = readFrame(value);
  if ("message" in frame) return frame.message;
  throw refuse(frame.fault, frame.id ?? null);
}

function refuse(fault: string, id: string | number | null): HttpRefusal {
  return new HttpRefusal(400, describeFault(fault), { code: ErrorCode.InvalidRequest, id });
}

/** A fault as the message of the error that goes back. */
export function describeFault(fault: string): string {
  return `Invalid request: ${fault}`;
}

/** The id by which the frame's sender can tell what was refused; null when it is none, undefined without any. */
function idOf({ id }: Json): string | number | null | undefined {
  if (id === undefined) return undefined;
  return typeof id === "string" || (typeof id === "number" && Number.isFinite(id)) ? id : null;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isMessage(value: unknown): value is JSONRPCMessage {
  return JSONRPCMessageSchema.safeParse(value).success;
}

/** The value without members that are null, at every level; the member `kept` of the first stays as it is. */
function withoutNulls(value: unknown, kept?: string): unknown {
  if (Array.isArray(value)) return value.map((entry) => withoutNulls(entry));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).filter(([, entry]) => entry !== null);
  // Not by assignment: a member may be called __proto__.
  return Object.fromEntries(
    entries.map(([name, entry]) => [name, name === kept ? entry : withoutNulls(entry)]),
  );
}
