import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../../shared/clock.js";
import type { Caller } from "../http/callers.js";
import { HttpRefusal, idOf } from "../http/refusal.js";
import { createUnreadLimit } from "../http/unread.js";
import { eraOf, isModernVersion } from "../modern/peek-era.js";
import type { WorkflowsServer } from "../server.js";
import { COSTLY } from "./calls.js";
import type { Lent, OwnServers } from "./own-servers.js";
import { sendWebResponse, toModernRequest } from "./send-web-response.js";

/** Requests of protocol 2026-07-28, which has no sessions: each says all that is needed of its client. */
export interface ModernRequests {
  /** Serves one; its sender may send it. @throws HttpRefusal 429 when the caller has as many open as it may */
  serve(caller: Caller, request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void>;
  /** Makes the calls of callers with servers of their own answer now. */
  drain(graceMs: number): Promise<void>;
  /** Ends the open streams, and gives back what was borrowed. */
  close(): Promise<void>;
}

const VERSION_HEADER = "mcp-protocol-version";
const LISTEN = "subscriptions/listen";

/** Whether a body was sent by a client of that protocol. */
export function isModernRequest(request: IncomingMessage, body: unknown): boolean {
  const version = request.headers[VERSION_HEADER];
  if (typeof version === "string" && isModernVersion(version)) return true;
  return !Array.isArray(body) && eraOf(body) === "modern";
}

export function createModernRequests(options: {
  server: WorkflowsServer;
  ownServers: OwnServers;
  clock: Clock;
  /** Calls of one caller at once, and streams of changes. */
  maxCalls: number;
  maxSessions: number;
  /** After the last request of a caller with a server of its own, that is kept so long, in ms. */
  idleMs: number;
}): ModernRequests {
  const { clock } = options;
  const unread = createUnreadLimit({ clock });
  const callers = new Map<string, CallerState>();
  const responses = new Set<ServerResponse>();

  function enter(caller: Caller): CallerState {
    const known = callers.get(caller.owner);
    const lent = known?.lent ?? options.ownServers.borrow(caller);
    const state = known ?? { lent, calls: 0, streams: 0, open: 0, cancelTimer: () => {} };
    callers.set(caller.owner, state);
    state.cancelTimer();
    state.open++;
    return state;
  }

  function leave({ owner }: Caller, state: CallerState): void {
    if (--state.open > 0) return;
    const whenIdle = () => {
      // The person may take longer to answer a form.
      if (state.lent?.server.isHolding()) {
        state.cancelTimer = clock.after(options.idleMs, whenIdle);
        return;
      }
      callers.delete(owner);
      void state.lent?.giveBack();
    };
    state.cancelTimer = clock.after(options.idleMs, whenIdle);
  }

  return {
    async serve(caller, request, response, body) {
      const { method } = (body ?? {}) as { method?: string };
      // What is asked of tasks is answered at once, and has to get through while calls wait.
      const kind = method === LISTEN ? "streams" : COSTLY.includes(method ?? "") ? "calls" : undefined;
      const state = enter(caller);
      const most = kind === "streams" ? options.maxSessions : options.maxCalls;
      if (kind && state[kind] >= most) {
        leave(caller, state);
        throw new HttpRefusal(
          429,
          `Too many ${kind} at once: ${most} are allowed. Nothing was done. Try again when one is over.`,
          { id: idOf(body) },
        );
      }
      if (kind) state[kind]++;
      const gone = new AbortController();
      const onClose = () => gone.abort();
      response.once("close", onClose);
      responses.add(response);
      try {
        const server = state.lent?.server ?? options.server;
        const answer = await server.serveRequest(toModernRequest(request, gone.signal), {
          owner: caller.owner,
          person: caller.person,
          body,
          ended: gone.signal,
        });
        await sendWebResponse(answer, response, unread.watch(response, caller.name));
      } finally {
        responses.delete(response);
        if (kind) state[kind]--;
        leave(caller, state);
      }
    },
    async drain(graceMs) {
      await Promise.all([...callers.values()].map(({ lent }) => lent?.server.drain(graceMs)));
    },
    async close() {
      for (const response of responses) response.end();
      for (const state of callers.values()) {
        state.cancelTimer();
        await state.lent?.giveBack();
      }
      callers.clear();
    },
  };
}

interface CallerState {
  /** The caller's own server. */
  lent: Lent | undefined;
  calls: number;
  streams: number;
  open: number;
  cancelTimer: () => void;
}
