import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import type { Transport, TransportSendOptions } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Log } from "../../shared/log.js";
import { readAccept } from "../http/accept.js";
import type { Caller } from "../http/callers.js";
import { HttpRefusal } from "../http/refusal.js";
import { createUnreadLimit } from "../http/unread.js";
import type { WorkflowsServer } from "../server.js";
import { type Calls, createCalls, type Message } from "./calls.js";
import { createSessionEvents, type SessionEvents } from "./event-store.js";
import { createKeyServers } from "./key-servers.js";
import { sendAsJson, sendWebResponse, toWebRequest } from "./send-web-response.js";

/** One MCP session over HTTP. */
export interface HttpSession {
  owner: string;
  /** Serves a request of the session. Resolves when its answer has ended. */
  serve(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void>;
}

export interface HttpSessions {
  /**
   * Opens a session; it is to be found once its client has said hello.
   * @throws HttpRefusal 429 when the caller has as many as it may and all are in use
   */
  open(caller: Caller): Promise<HttpSession>;
  /** Opens one over the protocol's earlier transport, on the response. */
  openSse(caller: Caller, endpoint: string, response: ServerResponse): Promise<void>;
  /** The caller's session of that id; never one of somebody else. */
  find(id: string, caller: Caller, kind: "http" | "sse"): HttpSession | undefined;
  /** Makes all calls in flight answer now, and waits for that and for what is on its way, within `graceMs`. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

interface OpenSession extends HttpSession {
  number: number;
  caller: Caller;
  /** The server of all, or its key's when the caller has brought one. */
  server: WorkflowsServer;
  kind: "http" | "sse";
  id: string | undefined;
  calls: Calls;
  /** Responses being written: an open stream, or an answer under way. */
  responses: Set<ServerResponse>;
  /** Ids of requests whose clients read their answer and nothing else on it. */
  unstreamed: Set<string | number>;
  lastSeen: number;
  /** Until when a client that has said hello may take to go on. */
  openingUntil: number;
  cancelTimer(): void;
  close(): Promise<void>;
}

/** What a request of these methods sets off goes beyond what is at hand here. */
const COSTLY = ["tools/call", "resources/list", "resources/read", "prompts/get", "completion/complete"];
/** After a cut the client comes back after this long, in ms. */
const RETRY_MS = 1_000;
/** A resumed stream on which all has been sent is ended after this long, in ms; nothing else would end it. */
const ANSWERED_STREAM_MS = 1_000;
/** What is on its way to the clients when all calls are answered has this long to get there, in ms. */
const FLUSH_MS = 500;
/** A client that has said hello has this long to go on before its session counts as one that nobody uses, in ms. */
const OPENING_MS = 10_000;

/** All sessions of a server over HTTP. */
export function createHttpSessions(options: {
  /** Serves the sessions of all callers without a key of their own. */
  server: WorkflowsServer;
  /** Makes a server for the sessions of callers with that key of their own. */
  createServerForKey(apiKey: string): WorkflowsServer;
  clock: Clock;
  log: Log;
  maxSessions: number;
  maxCalls: number;
  idleMs: number;
  /** Session ids begin with it and a dot: a proxy before several replicas sees nothing else of whose a session is. */
  replica?: string | undefined;
}): HttpSessions {
  const { clock, log, replica } = options;
  const keyServers = createKeyServers(options.createServerForKey);
  const unread = createUnreadLimit({ clock });
  const sessions = new Set<OpenSession>();
  let opened = 0;

  /** Closes the caller's session that nobody has used longest, when it has as many as it may. */
  function makeRoom(caller: Caller): void {
    const own = [...sessions].filter((one) => one.caller.name === caller.name);
    if (own.length < options.maxSessions) return;
    const now = clock.now();
    // Clients seldom say that they are done. One that listens or waits is still there, and so is one that comes in.
    const [oldest] = own
      .filter((one) => one.responses.size === 0 && one.id !== undefined && one.openingUntil <= now)
      .sort((one, other) => one.lastSeen - other.lastSeen);
    if (!oldest) {
      throw new HttpRefusal(
        429,
        `Too many sessions: ${options.maxSessions} are open and in use. Close one and try again.`,
      );
    }
    void oldest.close().catch(() => {});
  }

  /** Registers a session over the transport; what is said on it is looked at for the limits. */
  function register(caller: Caller, kind: "http" | "sse", transport: Transport): OpenSession {
    const lent = caller.apiKey === undefined ? undefined : keyServers.borrow(caller.apiKey);
    const number = ++opened;
    let closed = false;
    const session: OpenSession = {
      number,
      caller,
      kind,
      server: lent?.server ?? options.server,
      owner: caller.owner,
      id: undefined,
      calls: createCalls(),
      responses: new Set(),
      unstreamed: new Set(),
      lastSeen: clock.now(),
      openingUntil: clock.now() + OPENING_MS,
      cancelTimer: () => {},
      serve: async () => {},
      async close() {
        if (closed) return;
        closed = true;
        session.cancelTimer();
        sessions.delete(session);
        // What was refused as a hello has never begun.
        if (session.id !== undefined) log.info(`Session ${number} of ${caller.name} has ended.`);
        await transport.close().catch(() => {});
        await lent?.giveBack();
      },
    };
    sessions.add(session);
    const send = transport.send.bind(transport);
    transport.send = async (message, sendOptions) => {
      try {
        await send(message, elsewhere(session, message, sendOptions));
      } finally {
        if (!("method" in message) && message.id !== undefined) session.calls.end(message.id);
      }
    };
    return session;
  }

  async function connect(session: OpenSession, transport: Transport): Promise<void> {
    await session.server.connect(transport);
    const { onclose } = transport;
    transport.onclose = () => {
      onclose?.();
      void session.close();
    };
  }

  /** Keeps count of the response, and of the time since the client was last heard of. */
  function note(session: OpenSession, response: ServerResponse): void {
    session.cancelTimer();
    session.responses.add(response);
    response.once("close", () => {
      session.responses.delete(response);
      session.lastSeen = clock.now();
      if (session.responses.size > 0 || !sessions.has(session)) return;
      session.cancelTimer();
      session.cancelTimer = clock.after(options.idleMs, () => void session.close());
    });
  }

  /** @throws HttpRefusal 429 when the caller has as many calls going on as it may */
  function countCalls(session: OpenSession, body: unknown, response: ServerResponse): void {
    const messages = (body === undefined ? [] : [body].flat()) as Message[];
    for (const { method, params } of messages) {
      if (method === "notifications/cancelled") session.calls.cancel(params?.requestId);
    }
    const added = messages.flatMap(({ method, id }) =>
      id !== undefined && COSTLY.includes(method ?? "") ? [id] : [],
    );
    const open = [...sessions]
      .filter((one) => one.caller.name === session.caller.name)
      .reduce((sum, one) => sum + one.calls.count(), 0);
    if (added.length > 0 && open + added.length > options.maxCalls) {
      throw new HttpRefusal(
        429,
        `Too many calls at once: ${options.maxCalls} are allowed. Nothing was done. Try again when one is answered.`,
      );
    }
    for (const id of added) session.calls.begin(id);
    // What was refused as a request is never answered as a call.
    response.once("finish", () => {
      if (response.statusCode >= 400) for (const id of added) session.calls.end(id);
    });
  }

  /**
   * Whoever reads no stream with its answer gets what else is to be told of the request on the stream that is open
   * all the time.
   * @throws when something is asked and there is no such stream: nobody would ever answer
   */
  function elsewhere(session: OpenSession, message: object, sendOptions?: TransportSendOptions) {
    const related = sendOptions?.relatedRequestId;
    if (related === undefined || !session.unstreamed.has(related) || !("method" in message)) {
      return sendOptions;
    }
    const listens = [...session.responses].some(({ req }) => req.method === "GET");
    if ("id" in message && !listens) throw new Error("The client reads nothing but the answer.");
    const { relatedRequestId: _, ...rest } = sendOptions ?? {};
    return rest;
  }

  /** Serves a request by the transport, in the form that its client reads. */
  async function answerBy(
    http: WebStandardStreamableHTTPServerTransport,
    session: OpenSession,
    request: IncomingMessage,
    response: ServerResponse,
    body: unknown,
  ): Promise<void> {
    const { stream, json } = readAccept(request.headers.accept);
    if (!stream && (!json || request.method === "GET")) {
      throw new HttpRefusal(406, "Not acceptable: the client must accept text/event-stream");
    }
    const ids = stream ? [] : ([body].flat() as Message[]).flatMap(({ id }) => id ?? []);
    for (const id of ids) session.unstreamed.add(id);
    response.once("close", () => {
      for (const id of ids) session.unstreamed.delete(id);
    });
    const onWritten = unread.watch(response, session.caller.name);
    const answer = await http.handleRequest(toWebRequest(request), { parsedBody: body });
    await (stream ? sendWebResponse : sendAsJson)(answer, response, onWritten);
  }

  /** The transport ends a resumed stream with the answer that comes on it, but not one that has come before. */
  function endWhenAnswered(events: SessionEvents, request: IncomingMessage, response: ServerResponse): void {
    const eventId = request.headers["last-event-id"];
    if (request.method !== "GET" || typeof eventId !== "string") return;
    const cancel = clock.after(ANSWERED_STREAM_MS, () => {
      if (events.isAnswered(eventId)) response.end();
    });
    response.once("close", cancel);
  }

  return {
    async open(caller) {
      makeRoom(caller);
      const events = createSessionEvents();
      const http = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: () => `${replica === undefined ? "" : `${replica}.`}${randomUUID()}`,
        eventStore: events,
        retryInterval: RETRY_MS,
        onsessioninitialized: (id) => {
          session.id = id;
          log.info(`Session ${session.number} of ${caller.name} has begun.`);
        },
      });
      const transport = http as Transport;
      const session = register(caller, "http", transport);
      session.serve = async (request, response, body) => {
        note(session, response);
        countCalls(session, body, response);
        endWhenAnswered(events, request, response);
        if (session.id !== undefined) session.openingUntil = 0;
        try {
          await answerBy(http, session, request, response, body);
        } finally {
          // It was no hello after all.
          if (session.id === undefined) await session.close();
        }
      };
      try {
        await connect(session, transport);
      } catch (error) {
        await session.close();
        throw error;
      }
      return session;
    },

    async openSse(caller, endpoint, response) {
      makeRoom(caller);
      const sse = new SSEServerTransport(endpoint, response);
      const onWritten = unread.watch(response, caller.name);
      const write = sse.send.bind(sse);
      sse.send = async (message) => {
        await write(message);
        onWritten();
      };
      const session = register(caller, "sse", sse);
      session.id = sse.sessionId;
      session.serve = async (request, answer, body) => {
        countCalls(session, body, answer);
        await sse.handlePostMessage(request, answer, body);
      };
      note(session, response);
      log.info(`Session ${session.number} of ${caller.name} has begun, over SSE.`);
      await connect(session, sse);
    },

    find(id, caller, kind) {
      for (const session of sessions) {
        if (session.id === id && session.kind === kind && session.owner === caller.owner) return session;
      }
      return undefined;
    },

    async drain(graceMs) {
      const servers = new Set([options.server, ...[...sessions].map((session) => session.server)]);
      await Promise.all([...servers].map((server) => server.drain(graceMs)));
      const answers = [...sessions].flatMap((session) =>
        // A stream that listens for news never ends by itself.
        [...session.responses].filter((response) => response.req.method === "POST" && !response.closed),
      );
      await withDeadline(clock, FLUSH_MS, () =>
        Promise.all(answers.map((response) => new Promise((resolve) => response.once("close", resolve)))),
      );
    },

    async close() {
      await Promise.allSettled([...sessions].map((session) => session.close()));
    },
  };
}
