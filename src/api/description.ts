import * as z from "zod";
import { cleanLine } from "../shared/text.js";
import { ENDPOINT_NAMES, ENDPOINTS, type Endpoint } from "./endpoints.js";

/** Bounds of a number, both ends included. */
export interface Bounds {
  min?: number;
  max?: number;
}

/** Fields of a start without which the run would do something else than was asked for. */
const START_FIELDS = ["session_id", "session_name", "repository_url", "git_branch", "input_format"] as const;

/** The name of such a field. */
export type StartField = (typeof START_FIELDS)[number];

/** What an API says of itself. */
export interface ApiDescription {
  title?: string;
  version?: string;
  /** Those that it names. */
  endpoints: ReadonlySet<Endpoint>;
  /** It names what every workflows API has, so that what it does not name can be taken as not there. */
  whole: boolean;
  /** A take can have a check; one that does not know it would merge without. */
  takesCheck: boolean;
  /** An answer can say whose it is. */
  takesAnswerer: boolean;
  /** A take can make the branch that it merges into. */
  takesNewBranch: boolean;
  /** What a start takes. */
  start: {
    maxTurns?: Bounds;
    /** In seconds. */
    timeoutS?: Bounds;
    /** Fields that it does not take, where that can be told. */
    unknown: ReadonlySet<StartField>;
    /** It refuses a start with fields that it does not name, instead of passing over them. */
    closed: boolean;
    /**
     * Two starts with the same `Idempotency-Key` (a header) are one run, and keys have to begin with this; "" where any
     * will do. Undefined where it promises nothing of the kind.
     */
    keyPrefix: string | undefined;
    /** It names a field `model`, which is in no contract: other APIs pass over it without a word. */
    takesModel: boolean;
    /** Those that a field `agent` names: kinds of agents, and whether they tell what they cost. */
    agents: readonly { name: string; tellsCost: boolean }[];
    /** It names a field `start_from`: a session's branch can begin at another one. */
    takesFrom: boolean;
    /** Whether a start may ask for a pull request. */
    takesPullRequest: boolean;
    /** It names a field `output_schema`: its agents give what a schema asks for. */
    takesOutputSchema: boolean;
    /** It names a field `user_name`: it knows callers, and tells people of them. */
    takesUserName: boolean;
    /** It names a field `cost_limit_usd`. */
    takesCostLimit: boolean;
    /** It names a field `linked_issue`: it keeps the issue up to date that a run is about. */
    takesIssue: boolean;
  };
}

type Json = Record<string, unknown>;

/** More paths than any honest API has: a longer description is not looked through. */
const PATHS_LIMIT = 5_000;

// Looked at and not copied: a description may be large, and next to nothing of it is of use.
export const descriptionWire = z.custom<Json & { paths: Json }>(
  (value) => isRecord(value) && isRecord(value.paths) && Object.keys(value.paths).length <= PATHS_LIMIT,
);

/** Titles and versions are cut to this length. */
const NAME_LIMIT = 80;
/** How deep references and alternatives are followed, since a description may refer to itself. */
const DEPTH_LIMIT = 5;

/**
 * Reads an OpenAPI description. What it does not say, or says in a way that is not understood, stays open.
 * @param hide takes out of the API's own words what nobody is to see
 */
export function toDescription(
  document: z.output<typeof descriptionWire>,
  hide: (words: string) => string,
): ApiDescription {
  const { paths } = document;
  // One path may be told several times, each with other names for its parts and other methods.
  const items = Object.entries(paths).map(([path, item]) => ({ path: normalisePath(path), item }));
  const find = (name: Endpoint) =>
    items.find(({ path, item }) => path === ownPath(name) && hasMethod(item, ENDPOINTS[name].method))?.item;
  const endpoints = new Set(ENDPOINT_NAMES.filter((name) => find(name) !== undefined));
  const info = toRecord(document.info);
  const title = toName(info.title, hide);
  const version = toName(info.version, hide);
  const bodyOf = (name: Endpoint) => toRecord(readBody(toRecord(find(name)), document).properties);
  const take = bodyOf("take");
  return {
    ...(title ? { title } : {}),
    ...(version ? { version } : {}),
    endpoints,
    // Every workflows API has both: a description with only one of them is partial, or of another API.
    whole: endpoints.has("start") && endpoints.has("status"),
    takesCheck: "check" in take,
    takesAnswerer: "answerer" in bodyOf("answer"),
    takesNewBranch: "new_branch" in take,
    start: readStart(toRecord(find("start")), document),
  };
}

/** What comes before the router's own name is left out: a server may be mounted anywhere. */
function normalisePath(path: string): string {
  const at = path.lastIndexOf("/claude-code/");
  return path
    .slice(Math.max(0, at))
    .replace(/\{[^}]*\}/g, "{}")
    .replace(/\/$/, "");
}

function ownPath(name: Endpoint): string {
  return normalisePath(`/claude-code${ENDPOINTS[name].path}`);
}

/** A path whose operations are not spelled out here counts as having them all. */
function hasMethod(item: unknown, method: string): boolean {
  return !isRecord(item) || "$ref" in item || Object.hasOwn(item, method);
}

/** What fits into a header beside a key of our own. */
const KEY_PREFIX = /^[\x21-\x7e]{0,100}$/;

/** Where an operation, or its path, names the header `Idempotency-Key`: what keys begin with. */
function readKeyPrefix(item: Json, document: Json): string | undefined {
  const named = [item.parameters, toRecord(item.post).parameters].flatMap((all) =>
    Array.isArray(all) ? all : [],
  );
  const header = named
    .map((one) => toRecord(resolve(one, document)))
    .find(({ in: place, name }) => place === "header" && String(name).toLowerCase() === "idempotency-key");
  if (!header) return undefined;
  const prefix = String(header["x-key-prefix"] ?? "");
  return KEY_PREFIX.test(prefix) ? prefix : undefined;
}

/** The schema of what a path's POST takes. */
function readBody(item: Json, document: Json): Json {
  const content = toRecord(toRecord(resolve(toRecord(item.post).requestBody, document)).content);
  return toRecord(resolve(toRecord(content["application/json"]).schema, document));
}

function readStart(item: Json, document: Json): ApiDescription["start"] {
  const body = readBody(item, document);
  const properties = toRecord(body.properties);
  const maxTurns = readBounds(properties.max_turns, document);
  const timeoutS = readBounds(properties.timeout, document);
  const closed = body.additionalProperties === false;
  const open = body.additionalProperties !== undefined && !closed;
  // Only a body that is spelled out, and not by its one necessary field alone, tells what is not taken.
  const isSpelledOut = "message" in properties && Object.keys(properties).length > 1 && !("allOf" in body);
  const tells = isSpelledOut && !open;
  return {
    ...(maxTurns ? { maxTurns } : {}),
    ...(timeoutS ? { timeoutS } : {}),
    unknown: new Set(tells ? START_FIELDS.filter((field) => !(field in properties)) : []),
    closed: tells && closed,
    keyPrefix: readKeyPrefix(item, document),
    takesModel: "model" in properties,
    agents: readAgents(properties.agent),
    takesFrom: "start_from" in properties,
    takesPullRequest: "pull_request" in properties,
    takesOutputSchema: "output_schema" in properties,
    takesUserName: "user_name" in properties,
    takesCostLimit: "cost_limit_usd" in properties,
    takesIssue: "linked_issue" in properties,
  };
}

/** More kinds of agents than any API has. */
const AGENTS_LIMIT = 50;

function readAgents(property: unknown): ApiDescription["start"]["agents"] {
  const listed = toRecord(property)["x-agents"];
  return (Array.isArray(listed) ? listed.slice(0, AGENTS_LIMIT) : []).flatMap((one) => {
    const { name, tells_cost } = toRecord(one);
    return typeof name === "string" && /^[\w-]{1,50}$/.test(name)
      ? [{ name, tellsCost: tells_cost !== false }]
      : [];
  });
}

/** The bounds of a whole number, looked for behind references and beside null; undefined when it is not clear. */
function readBounds(schema: unknown, document: Json, depth = 0): Bounds | undefined {
  const own = toRecord(resolve(schema, document));
  const alternatives = [own.anyOf, own.oneOf, own.allOf].find(Array.isArray) as unknown[] | undefined;
  if (alternatives) {
    const real = alternatives.filter((one) => toRecord(one).type !== "null");
    return real.length === 1 && depth < DEPTH_LIMIT ? readBounds(real[0], document, depth + 1) : undefined;
  }
  const min = highest(toNumber(own.minimum), toNumber(own.exclusiveMinimum, Math.floor, 1));
  const max = lowest(toNumber(own.maximum), toNumber(own.exclusiveMaximum, Math.ceil, -1));
  if (min === undefined && max === undefined) return undefined;
  return { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
}

/** Follows references within the document. */
function resolve(value: unknown, document: Json): unknown {
  let found = value;
  for (let depth = 0; depth < DEPTH_LIMIT; depth++) {
    const { $ref } = toRecord(found);
    if (typeof $ref !== "string") return found;
    if (!$ref.startsWith("#/")) return undefined;
    found = $ref
      .slice(2)
      .split("/")
      .reduce<unknown>((at, step) => {
        const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
        const within = toRecord(at);
        return Object.hasOwn(within, key) ? within[key] : undefined;
      }, document);
  }
  return undefined;
}

function toRecord(value: unknown): Json {
  return isRecord(value) ? value : {};
}

function isRecord(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function toName(value: unknown, hide: (words: string) => string): string | undefined {
  return typeof value === "string" ? cleanLine(hide(value), NAME_LIMIT) || undefined : undefined;
}

function toNumber(value: unknown, round?: (value: number) => number, step = 0): number | undefined {
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  return round ? round(value) + step : value;
}

function highest(...values: (number | undefined)[]): number | undefined {
  const given = values.filter((value) => value !== undefined);
  return given.length > 0 ? Math.max(...given) : undefined;
}

function lowest(...values: (number | undefined)[]): number | undefined {
  const given = values.filter((value) => value !== undefined);
  return given.length > 0 ? Math.min(...given) : undefined;
}
