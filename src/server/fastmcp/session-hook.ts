import { AsyncLocalStorage } from "node:async_hooks";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ErrorCode } from "@modelcontextprotocol/sdk/types.js";
import { FastMCPSession } from "fastmcp";

/** The session and request that a handler serves; the framework hands out neither. */
export interface CallScope {
  session: FastMCPSession;
  requestId: string | number | undefined;
  progressToken: string | number | undefined;
  /** Who has the session, where that is known. */
  person: string | undefined;
  /** Resolves when the answer has left, or when none will: the request was cancelled or the client has gone. */
  answered: Promise<void>;
}

const scope = new AsyncLocalStorage<CallScope>();

/** The request being handled, or undefined outside of one. */
export function currentScope(): CallScope | undefined {
  return scope.getStore();
}

interface Message {
  id?: string | number;
  method?: string;
  params?: {
    uri?: unknown;
    name?: unknown;
    ref?: { name?: unknown };
    _meta?: { progressToken?: string | number };
    requestId?: string | number;
  };
  result?: {
    tools?: { name: string }[];
    resources?: { uri: string }[];
    serverInfo?: unknown;
    instructions?: string;
  };
  error?: { code: number; message: string; data?: unknown };
}

/** What a session's first answers wait for. */
interface Held {
  /** The answers to tools/list wait for this, so that a client that was greeted at once gets a complete first list. */
  lists: Promise<unknown> | undefined;
  /** The answer to initialize waits for this … */
  greeting: Promise<unknown>;
  /** … and its instructions are written only then: the framework takes them when the session is made. */
  instructions: () => string;
}

/** What is done before a request is handled; it must end by itself. */
type Prepare = (request: { id: string | number | undefined; params: Message["params"] }) => Promise<unknown>;

/** Counts what happens in order: sessions being set up and changes of what is published. */
let sequence = 0;
const setUpAt = new WeakMap<object, number>();
const subscribers = new WeakMap<object, (uri: string, subscribed: boolean) => void>();
const subscriptions = new WeakMap<object, Set<string>>();
const refine = new WeakMap<object, (tool: { name: string }) => object | undefined>();
const listed = new WeakMap<object, (resource: { uri: string }) => boolean>();
const prepared = new WeakMap<object, Map<string, Prepare>>();
const silent = new WeakSet<object>();
let installed = false;
const held = new WeakMap<Transport, Held>();
const persons = new WeakMap<Transport, string>();

/** What one session may subscribe to. */
const MAX_SUBSCRIPTIONS = 100;
const MAX_URI_LENGTH = 2_000;
/** What the protocol says of a resource that is not there. */
const RESOURCE_NOT_FOUND = -32002;

/**
 * Repairs what fastmcp 4.20 gets wrong in a session, by the session's public parts only. Installed once for the
 * process, before the first server is made:
 * - `tools.listChanged` is advertised, since the notification is sent;
 * - a session over HTTP does not wait a second for capabilities that come only after the wait, and has them later;
 * - handlers learn their request's id and progress token, without which a form would travel on a stream that not
 *   every client opens;
 * - the first request id that the server uses is not 0: the SDK's clients never cancel a request of that id, so
 *   the first form would stay open after its time;
 * - it is known when an answer has left: a tool's result travels on for a while after the tool has returned, and
 *   a server that stopped in between would lose it;
 * - reading a resource that is not there is answered without the addresses of all that are.
 */
export function installSessionHook(): void {
  if (installed) return;
  installed = true;
  const connect = FastMCPSession.prototype.connect;
  FastMCPSession.prototype.connect = function (this: FastMCPSession, transport: Transport) {
    setUpAt.set(this, ++sequence);
    const server = this.server;
    const capabilities = server.getClientCapabilities.bind(server);
    server.registerCapabilities({ tools: { listChanged: true } });
    server.getClientCapabilities = () => capabilities() ?? {};
    Object.defineProperty(this, "clientCapabilities", { get: () => capabilities() ?? null });
    const unanswered = createUnanswered();
    const first = held.get(transport);
    const person = persons.get(transport);
    const send = transport.send.bind(transport);
    transport.send = async (message, options) => {
      // While lists are held back, nobody has one that could be out of date.
      if (first?.lists && (message as Message).method === "notifications/tools/list_changed") return;
      if (silent.has(this) && (message as Message).method === "notifications/prompts/list_changed") return;
      try {
        const refined = withInstructions(first, withRefinedLists(this, message as Message));
        await send(unanswered.withoutOthers(refined) as typeof message, options);
      } finally {
        if (!("method" in message)) unanswered.settle(message.id);
      }
    };
    const connected = connect.call(this, transport);
    const { onmessage: receive, onclose } = transport;
    transport.onmessage = ((message: Message, extra: unknown) => {
      const { id, method, params } = message;
      if (method === "notifications/cancelled") unanswered.settle(params?.requestId);
      const isRequest = method !== undefined && id !== undefined;
      const answered = isRequest ? unanswered.add(id, message) : Promise.resolve();
      const handle = () =>
        scope.run(
          { session: this, requestId: id, progressToken: params?._meta?.progressToken, person, answered },
          () => (receive as (message: Message, extra: unknown) => void)(message, extra),
        );
      const refusal = isRequest ? refuseSubscription(this, message) : undefined;
      if (refusal) {
        const answer = {
          jsonrpc: "2.0" as const,
          id,
          error: { code: ErrorCode.InvalidParams, message: refusal },
        };
        void transport.send(answer).catch(() => {});
        return;
      }
      noteSubscription(this, message);
      const prepare = isRequest ? prepared.get(this)?.get(method) : undefined;
      if (method === "tools/list" && first?.lists) void first.lists.then(handle, handle);
      else if (method === "initialize" && first) void first.greeting.then(handle, handle);
      else if (prepare) void prepare({ id, params }).then(handle, handle);
      else handle();
    }) as NonNullable<Transport["onmessage"]>;
    transport.onclose = () => {
      unanswered.settleAll();
      onclose?.();
    };
    return connected;
  };
}

/** The requests of one session that are still to be answered. */
function createUnanswered() {
  const open = new Map<string | number, { request: Message; answered: () => void }>();
  function settle(id: string | number | undefined): void {
    if (id === undefined) return;
    open.get(id)?.answered();
    open.delete(id);
  }
  return {
    add: (id: string | number, request: Message) =>
      new Promise<void>((answered) => open.set(id, { request, answered })),
    settle,
    settleAll: () => [...open.keys()].forEach(settle),
    /** The answer as it is, unless it says that there is no such resource: the framework lists all there are. */
    withoutOthers(answer: Message): Message {
      const request = answer.id === undefined ? undefined : open.get(answer.id)?.request;
      const notFound =
        answer.error?.code === ErrorCode.MethodNotFound && request?.method === "resources/read";
      if (!notFound) return answer;
      const uri = String(request.params?.uri);
      const message = `There is no resource ${JSON.stringify(uri)}.`;
      return { ...answer, error: { code: RESOURCE_NOT_FOUND, message, data: { uri } } };
    },
  };
}

/** Tells of each address that a session subscribes to or leaves; the framework keeps that to itself. */
export function observeSubscriptions(
  session: FastMCPSession,
  listener: (uri: string, subscribed: boolean) => void,
): void {
  subscribers.set(session, listener);
}

/** Sets what is waited for before a session's requests of that method are handled; it must end by itself. */
export function prepareRequests(session: FastMCPSession, method: string, prepare: Prepare): void {
  const own = prepared.get(session) ?? new Map<string, Prepare>();
  own.set(method, prepare);
  prepared.set(session, own);
}

/** Changes a session's prompts without a word to its client, which is about to be given the list. */
export async function changeSilently(session: FastMCPSession, change: () => void): Promise<void> {
  silent.add(session);
  try {
    change();
    // The framework sends its word in the same turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    silent.delete(session);
  }
}

/** Why a subscription is refused, which would be kept, and what it is about be watched, until the session ends. */
function refuseSubscription(session: FastMCPSession, { method, params }: Message): string | undefined {
  if (method !== "resources/subscribe" || typeof params?.uri !== "string") return undefined;
  if (params.uri.length > MAX_URI_LENGTH) {
    return `A resource's address has at most ${MAX_URI_LENGTH} characters.`;
  }
  const own = subscriptions.get(session);
  if (!own || own.size < MAX_SUBSCRIPTIONS || own.has(params.uri)) return undefined;
  return `Too many subscriptions: ${MAX_SUBSCRIPTIONS} are allowed. Unsubscribe from one first.`;
}

function noteSubscription(session: FastMCPSession, { method, params }: Message): void {
  if (typeof params?.uri !== "string") return;
  const own = subscriptions.get(session) ?? new Set();
  subscriptions.set(session, own);
  if (method === "resources/subscribe") {
    own.add(params.uri);
    subscribers.get(session)?.(params.uri, true);
  }
  if (method === "resources/unsubscribe") {
    own.delete(params.uri);
    subscribers.get(session)?.(params.uri, false);
  }
}

/** Says who has the session that will be connected to this transport. */
export function namePerson(transport: Transport, person: string): void {
  persons.set(transport, person);
}

/** Holds back the first answers of the session that will be connected to this transport. */
export function holdFirstAnswers(
  transport: Transport,
  until: { lists: Promise<unknown>; greeting: Promise<unknown>; instructions: () => string },
): void {
  const first: Held = { ...until };
  const release = () => {
    first.lists = undefined;
  };
  void until.lists.then(release, release);
  held.set(transport, first);
}

function withInstructions(first: Held | undefined, message: Message): Message {
  if (!first || message.result?.serverInfo === undefined) return message;
  return { ...message, result: { ...message.result, instructions: first.instructions() } };
}

/** A mark in time, to be compared by {@link wasSetUpBefore}. */
export function markNow(): number {
  return ++sequence;
}

/** Whether the session took its tools before the mark: a change made while it was being set up passes it by. */
export function wasSetUpBefore(session: FastMCPSession, mark: number): boolean {
  return (setUpAt.get(session) ?? 0) < mark;
}

/** Uses up request id 0 of a session that is ready; see {@link installSessionHook}. */
export function spendFirstRequestId(session: FastMCPSession): void {
  void session.server.ping().catch(() => {});
}

/**
 * Sets what is done to each entry of a session's tools/list before it leaves, where the framework drops fields.
 * An entry for which nothing comes back is left out; the tool can be called all the same.
 */
export function refineTools(
  session: FastMCPSession,
  change: (tool: { name: string }) => object | undefined,
): void {
  refine.set(session, change);
}

/** Sets which resources stand in a session's resources/list; what is left out can be read all the same. */
export function refineResources(
  session: FastMCPSession,
  isListed: (resource: { uri: string }) => boolean,
): void {
  listed.set(session, isListed);
}

function withRefinedLists(session: FastMCPSession, message: Message): Message {
  const isListed = listed.get(session);
  if (isListed && Array.isArray(message.result?.resources)) {
    return {
      ...message,
      result: { ...message.result, resources: message.result.resources.filter(isListed) },
    };
  }
  const change = refine.get(session);
  if (!change || !Array.isArray(message.result?.tools)) return message;
  return {
    ...message,
    result: {
      ...message.result,
      tools: message.result.tools.map(change).filter((tool) => tool !== undefined) as { name: string }[],
    },
  };
}
