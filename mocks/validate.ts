import { ApiRefusal, type Issue } from "./refusal.js";
import type { ListQuery, StartBody, StartQuery, TakeRequest, World } from "./types.js";

/** What decides which fields there are, and which have to be. */
type Kind = Pick<World, "profile" | "hasBranches">;

/**
 * Checks requests as FastAPI with pydantic does, and complains in its form: HTTP 422 with one entry per fault,
 * the query's before the body's. Unknown fields are ignored.
 */

type Loc = (string | number)[];
type Query = Record<string, string>;
interface Bounds {
  ge?: number;
  le?: number;
}

const TRUE = ["1", "on", "t", "true", "y", "yes"];
const FALSE = ["0", "off", "f", "false", "n", "no"];

function boolIn(query: Query, name: string, fallback: boolean, issues: Issue[]): boolean {
  const input = query[name];
  if (input === undefined) return fallback;
  const word = input.toLowerCase();
  if (TRUE.includes(word)) return true;
  if (!FALSE.includes(word)) {
    const msg = "Input should be a valid boolean, unable to interpret input";
    issues.push({ type: "bool_parsing", loc: ["query", name], msg, input });
  }
  return false;
}

function intOf(input: unknown, loc: Loc, issues: Issue[], bounds: Bounds = {}): number | undefined {
  const text = typeof input === "string" ? input.trim() : undefined;
  const value = text !== undefined ? (/^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN) : input;
  const fault = (type: string, msg: string, ctx?: Record<string, unknown>): undefined => {
    issues.push({ type, loc, msg, input, ...(ctx ? { ctx } : {}) });
  };
  if (text !== undefined && Number.isNaN(value)) {
    return fault("int_parsing", "Input should be a valid integer, unable to parse string as an integer");
  }
  if (typeof value !== "number") return fault("int_type", "Input should be a valid integer");
  if (!Number.isInteger(value)) {
    return fault("int_from_float", "Input should be a valid integer, got a number with a fractional part");
  }
  if (bounds.ge !== undefined && value < bounds.ge) {
    const msg = `Input should be greater than or equal to ${bounds.ge}`;
    return fault("greater_than_equal", msg, { ge: bounds.ge });
  }
  if (bounds.le !== undefined && value > bounds.le) {
    return fault("less_than_equal", `Input should be less than or equal to ${bounds.le}`, { le: bounds.le });
  }
  return value;
}

function textOf(input: unknown, loc: Loc, issues: Issue[]): string {
  if (typeof input === "string") return input;
  issues.push({ type: "string_type", loc, msg: "Input should be a valid string", input });
  return "";
}

function refuse(issues: Issue[]): void {
  if (issues.length > 0) throw new ApiRefusal(422, issues);
}

function missing(loc: Loc, input: unknown): Issue {
  return { type: "missing", loc, msg: "Field required", input };
}

/** A request's body before it is looked into: `undefined` when none was sent. */
function jsonBody(text: string, contentType: string): unknown {
  if (text === "") return undefined;
  if (contentType !== "" && !/^application\/(?:[\w.-]+\+)?json\b/i.test(contentType)) return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    const position = /position (\d+)/.exec(String(error))?.[1];
    throw new ApiRefusal(422, [
      {
        type: "json_invalid",
        loc: ["body", position === undefined ? text.length : Number(position)],
        msg: "JSON decode error",
        input: {},
        ctx: { error: "Expecting value" },
      },
    ]);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads a start request. Under the contract `input_format` must be `stream-json` and the message not blank. */
export function parseStart(
  kind: Kind,
  query: Query,
  text: string,
  contentType: string,
): { body: StartBody; query: StartQuery } {
  const raw = jsonBody(text, contentType);
  const issues: Issue[] = [];
  const flags = {
    persistent: boolIn(query, "persistent", true, issues),
    auto_merge: boolIn(query, "auto_merge", false, issues),
    temp_workspace: boolIn(query, "temp_workspace", false, issues),
  };
  const body: StartBody = { message: "" };
  if (raw === undefined || raw === null) issues.push(missing(["body"], null));
  else if (isObject(raw)) startFields(kind, raw, body, issues);
  else {
    const msg = "Input should be a valid dictionary or object to extract fields from";
    issues.push({ type: "model_attributes_type", loc: ["body"], msg, input: raw });
  }
  refuse(issues);
  return { body, query: flags };
}

function startFields(
  { profile, hasBranches }: Kind,
  raw: Record<string, unknown>,
  body: StartBody,
  issues: Issue[],
): void {
  if (!("message" in raw)) issues.push(missing(["body", "message"], raw));
  else body.message = textOf(raw.message, ["body", "message"], issues);
  if (profile === "contract" && typeof raw.message === "string" && body.message.trim() === "") {
    const msg = "Value error, Message cannot be empty";
    issues.push({
      type: "value_error",
      loc: ["body", "message"],
      msg,
      input: body.message,
      ctx: { error: {} },
    });
  }
  if (raw.max_turns !== undefined && raw.max_turns !== null) {
    body.max_turns = intOf(raw.max_turns, ["body", "max_turns"], issues, { ge: 1, le: 200 }) ?? null;
  }
  for (const name of ["session_id", "session_name", "user_id", "git_branch", "repository_url"] as const) {
    if (raw[name] !== undefined && raw[name] !== null) body[name] = textOf(raw[name], ["body", name], issues);
  }
  if (hasBranches && raw.start_from != null)
    body.start_from = textOf(raw.start_from, ["body", "start_from"], issues);
  const limit = hasBranches ? raw.cost_limit_usd : undefined;
  if (typeof limit === "number" && limit > 0) body.cost_limit_usd = limit;
  else if (limit != null) {
    const msg = "Input should be greater than 0";
    issues.push({ type: "greater_than", loc: ["body", "cost_limit_usd"], msg, input: limit, ctx: { gt: 0 } });
  }
  if (raw.timeout !== undefined) {
    const timeout = intOf(raw.timeout, ["body", "timeout"], issues, { ge: 60, le: 14_400 });
    if (timeout !== undefined) body.timeout = timeout;
  }
  const format = raw.input_format;
  if (profile === "contract" && format === undefined) issues.push(missing(["body", "input_format"], raw));
  else if (profile === "contract" && format !== "stream-json") {
    const expected = "'stream-json'";
    const loc = ["body", "input_format"];
    issues.push({
      type: "literal_error",
      loc,
      msg: `Input should be ${expected}`,
      input: format,
      ctx: { expected },
    });
  } else if (format !== undefined && format !== null) {
    body.input_format = textOf(format, ["body", "input_format"], issues);
  }
}

/** Reads a message for a run. Both fields are required; what is missing is reported without the body. */
export function parseMessage(text: string, contentType: string): { type: string; content: string } {
  const raw = jsonBody(text, contentType);
  const fields = isObject(raw) ? raw : {};
  const issues: Issue[] = [];
  const read = (name: string): string => {
    if (name in fields) return textOf(fields[name], ["body", name], issues);
    issues.push(missing(["body", name], null));
    return "";
  };
  const message = { type: read("message_type"), content: read("content") };
  refuse(issues);
  return message;
}

/** Reads how a session's commits are to be taken; nothing of it is required. */
export function parseTake(text: string, contentType: string): TakeRequest {
  const raw = jsonBody(text, contentType);
  const fields = isObject(raw) ? raw : {};
  const issues: Issue[] = [];
  const request: TakeRequest = { new_branch: fields.new_branch === true, squash: fields.squash === true };
  for (const name of ["into", "check"] as const)
    if (fields[name] != null) request[name] = textOf(fields[name], ["body", name], issues);
  refuse(issues);
  return request;
}

/** Reads the parameters of the list of runs; their values are checked later and refused with 400. */
export function parseList(query: Query): ListQuery {
  const issues: Issue[] = [];
  const int = (name: string, fallback: number): number =>
    query[name] === undefined ? fallback : (intOf(query[name], ["query", name], issues) ?? fallback);
  const list: ListQuery = {
    page: int("page", 1),
    page_size: int("page_size", 20),
    sort_by: query.sort_by ?? "started_at",
    sort_order: query.sort_order ?? "desc",
  };
  for (const name of ["status", "workflow_name", "user_id"] as const) {
    // An empty filter is no filter to the public server.
    if (query[name]) list[name] = query[name];
  }
  refuse(issues);
  return list;
}

/** Reads one boolean query parameter, false when it is absent. */
export function parseFlag(query: Query, name: string): boolean {
  const issues: Issue[] = [];
  const value = boolIn(query, name, false, issues);
  refuse(issues);
  return value;
}
