import type { IncomingMessage, ServerResponse } from "node:http";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import type { Caller } from "../http/callers.js";
import { HttpRefusal } from "../http/refusal.js";
import type { WorkflowsServer } from "../server.js";
import { type Calls, COSTLY, createCalls, type Message } from "./calls.js";
import type { OwnServers } from "./own-servers.js";
import { namePerson } from "./session-hook.js";

/** `sse` is the protocol's earlier transport. */
export type SessionKind = "http" | "sse";

/** One MCP session over HTTP. */
export interface HttpSession {
  /** Serves a request of the session. Resolves when its answer has ended. */
  serve(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void>;
}

/** An open session, with what its limits are counted by. */
export interface OpenSession extends HttpSession {
  /** Counted from the server's start, for the log. */
  number: number;
  caller: Caller;
  /** The shared server, or the caller's own. */
  server: WorkflowsServer;
  kind: SessionKind;
  /** Undefined until the client has initialized the session. */
  id: string | undefined;
  calls: Calls;
  /** Responses being written: an open stream, or an answer under way. */
  responses: Set<ServerResponse>;
  /** By the clock's `elapsed`. */
  lastSeen: number;
  /** Until then (by the clock's `elapsed`) the session counts as in use, since its client is still initializing it. */
  openingUntil: number;
  cancelTimer(): void;
  close(): Promise<void>;
}

/** The open sessions of all callers, and how many sessions and calls each caller may have. */
export interface OpenSessions {
  /**
   * Makes room for one more session: closes the caller's least recently used one if it has as many as it may.
   * @throws HttpRefusal 429 when all of them are in use
   */
  makeRoom(caller: Caller): void;
  /**
   * Adds a session over the transport, and from now on counts a call as over when its answer is sent.
   * @param serve serves a request of the session by the transport
   */
  register(caller: Caller, kind: SessionKind, transport: Transport, serve: HttpSession["serve"]): OpenSession;
  /** Connects the session's server to the transport; the session is closed together with it. */
  connect(session: OpenSession, transport: Transport): Promise<void>;
  /** Keeps count of a response, and closes the session `idleMs` after its last one. */
  trackResponse(session: OpenSession, response: ServerResponse): void;
  /**
   * Counts the calls of a request's body.
   * @throws HttpRefusal 429 when the caller has as many calls in progress as it may
   */
  countCalls(session: OpenSession, body: unknown, response: ServerResponse): void;
  all(): readonly OpenSession[];
}

/** What sessions are made of, and their limits. */
export interface OpenSessionsOptions {
  /** Serves the sessions of all callers without a server of their own. */
  server: WorkflowsServer;
  /** The servers of the others. */
  ownServers: OwnServers;
  clock: Clock;
  log: Log;
  maxSessions: number;
  maxCalls: number;
  idleMs: number;
}

/** A new session counts as in use for this long, in ms, until its client sends its next request. */
const OPENING_MS = 10_000;

/** See {@link OpenSessions}. */
export function createOpenSessions(options: OpenSessionsOptions): OpenSessions {
  const { clock, log, ownServers } = options;
  const sessions = new Set<OpenSession>();
  let opened = 0;

  const sessionsOf = (caller: Caller) => [...sessions].filter((one) => one.caller.name === caller.name);

  return {
    makeRoom(caller) {
      const own = sessionsOf(caller);
      if (own.length < options.maxSessions) return;
      const now = clock.elapsed();
      // Clients seldom close a session. One with an open response is still in use, and so is one being initialized.
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
    },

    register(caller, kind, transport, serve) {
      const lent = ownServers.borrow(caller);
      if (caller.person !== undefined) namePerson(transport, caller.person);
      const number = ++opened;
      let closed = false;
      const session: OpenSession = {
        number,
        caller,
        kind,
        server: lent?.server ?? options.server,
        id: undefined,
        calls: createCalls(),
        responses: new Set(),
        lastSeen: clock.elapsed(),
        openingUntil: clock.elapsed() + OPENING_MS,
        cancelTimer: () => {},
        serve,
        async close() {
          if (closed) return;
          closed = true;
          session.cancelTimer();
          sessions.delete(session);
          // Without an id the client's initialize was refused, so the log has no beginning of it either.
          if (session.id !== undefined) log.info(`Session ${number} of ${caller.name} has ended.`);
          await transport.close().catch(() => {});
          await lent?.giveBack();
        },
      };
      sessions.add(session);
      const send = transport.send.bind(transport);
      transport.send = async (message, sendOptions) => {
        try {
          await send(message, sendOptions);
        } finally {
          if (!("method" in message) && message.id !== undefined) session.calls.end(message.id);
        }
      };
      return session;
    },

    async connect(session, transport) {
      await session.server.connect(transport);
      const { onclose } = transport;
      transport.onclose = () => {
        onclose?.();
        void session.close();
      };
    },

    trackResponse(session, response) {
      session.cancelTimer();
      session.responses.add(response);
      response.once("close", () => {
        session.responses.delete(response);
        session.lastSeen = clock.elapsed();
        if (session.responses.size > 0 || !sessions.has(session)) return;
        session.cancelTimer();
        session.cancelTimer = clock.after(options.idleMs, () => void session.close());
      });
    },

    countCalls(session, body, response) {
      const messages = (body === undefined ? [] : [body].flat()) as Message[];
      for (const { method, params } of messages) {
        if (method === "notifications/cancelled") session.calls.cancel(params?.requestId);
      }
      const added = messages.flatMap(({ method, id }) =>
        id !== undefined && COSTLY.includes(method ?? "") ? [id] : [],
      );
      const open = sessionsOf(session.caller).reduce((sum, one) => sum + one.calls.count(), 0);
      if (added.length > 0 && open + added.length > options.maxCalls) {
        throw new HttpRefusal(
          429,
          `Too many calls at once: ${options.maxCalls} are allowed. Nothing was done. Try again when one is answered.`,
        );
      }
      for (const id of added) session.calls.begin(id);
      // A request that is refused by its HTTP status gets no answer to its calls.
      response.once("finish", () => {
        if (response.statusCode >= 400) for (const id of added) session.calls.end(id);
      });
    },

    all: () => [...sessions],
  };
}
