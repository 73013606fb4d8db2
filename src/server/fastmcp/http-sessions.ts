import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Caller } from "../http/callers.js";
import { createUnreadLimit } from "../http/unread.js";
import { createHttpTransport } from "./http-transport.js";
import {
  createOpenSessions,
  type HttpSession,
  type OpenSession,
  type OpenSessionsOptions,
  type SessionKind,
} from "./open-sessions.js";

/** Opens, finds and ends the sessions of a server. */
export interface HttpSessions {
  /**
   * Opens a session; `find` finds it once its client has initialized it.
   * @throws HttpRefusal 429 when the caller has as many as it may and all are in use
   */
  open(caller: Caller): Promise<HttpSession>;
  /** Opens one over the protocol's earlier transport, on the response. */
  openSse(caller: Caller, endpoint: string, response: ServerResponse): Promise<void>;
  /** The caller's session of that id; never one of somebody else. */
  find(id: string, caller: Caller, kind: SessionKind): HttpSession | undefined;
  /** Makes all calls in progress answer now, and waits until the answers are sent, within `graceMs`. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

/** After the last answer, what is still being sent to the clients has this long to arrive, in ms. */
const FLUSH_MS = 500;

/** All sessions of a server over HTTP. */
export function createHttpSessions(
  options: OpenSessionsOptions & {
    /** Session ids begin with it and a dot: by that alone a proxy before several replicas knows whose a session is. */
    replica?: string | undefined;
  },
): HttpSessions {
  const { clock, log, replica } = options;
  const unread = createUnreadLimit({ clock });
  const sessions = createOpenSessions(options);

  return {
    async open(caller) {
      sessions.makeRoom(caller);
      const http = createHttpTransport({
        clock,
        createId: () => `${replica === undefined ? "" : `${replica}.`}${randomUUID()}`,
        onInitialized: (id) => {
          session.id = id;
          log.info(`Session ${session.number} of ${caller.name} has begun.`);
        },
        isListening: () => [...session.responses].some(({ req }) => req.method === "GET"),
        onAnswer: (response) => unread.watch(response, caller.name),
      });
      const session: OpenSession = sessions.register(
        caller,
        "http",
        http.transport,
        async (request, response, body) => {
          sessions.trackResponse(session, response);
          sessions.countCalls(session, body, response);
          if (session.id !== undefined) session.openingUntil = 0;
          try {
            await http.answer(request, response, body);
          } finally {
            // The request did not initialize the session after all.
            if (session.id === undefined) await session.close();
          }
        },
      );
      try {
        await sessions.connect(session, http.transport);
      } catch (error) {
        await session.close();
        throw error;
      }
      return session;
    },

    async openSse(caller, endpoint, response) {
      sessions.makeRoom(caller);
      const sse = new SSEServerTransport(endpoint, response);
      const onWritten = unread.watch(response, caller.name);
      const write = sse.send.bind(sse);
      sse.send = async (message) => {
        await write(message);
        onWritten();
      };
      const session: OpenSession = sessions.register(caller, "sse", sse, async (request, answer, body) => {
        sessions.countCalls(session, body, answer);
        await sse.handlePostMessage(request, answer, body);
      });
      session.id = sse.sessionId;
      sessions.trackResponse(session, response);
      log.info(`Session ${session.number} of ${caller.name} has begun, over SSE.`);
      await sessions.connect(session, sse);
    },

    find(id, caller, kind) {
      return sessions
        .all()
        .find((one) => one.id === id && one.kind === kind && one.caller.owner === caller.owner);
    },

    async drain(graceMs) {
      const open = sessions.all();
      const servers = new Set([options.server, ...open.map((session) => session.server)]);
      await Promise.all([...servers].map((server) => server.drain(graceMs)));
      const answers = sessions.all().flatMap((session) =>
        // A stream that belongs to no request never ends by itself.
        [...session.responses].filter((response) => response.req.method === "POST" && !response.closed),
      );
      await withDeadline(clock, FLUSH_MS, () =>
        Promise.all(answers.map((response) => new Promise((resolve) => response.once("close", resolve)))),
      );
    },

    async close() {
      await Promise.allSettled(sessions.all().map((session) => session.close()));
    },
  };
}
