import type { Server } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import { createStdioTransport, type Streams } from "../fastmcp/stdio-transport.js";
import type { ResourceUpdates } from "../resource-updates.js";
import { createListeners } from "./listeners.js";

/** What a connection, or all requests together, is told of changes by. */
export interface Notify {
  toolsChanged(): void;
  resourcesChanged(): void;
  resourceUpdated(uri: string): void;
  promptsChanged(): void;
}

/** A client that sends no more is mostly gone: what it has asked is answered within this, in ms, as usual … */
const END_GRACE_MS = 1_000;
/** … and then calls are told to end. */
const END_STOP_MS = 3_300;

/**
 * Serves one client over two streams on protocol 2026-07-28. When it sends no more, what it has asked is answered, and
 * the session ends; runs and plans go on.
 */
export function serveModernStdio(
  streams: Streams,
  options: {
    create: () => Promise<Server>;
    tellChanges: (notify: Notify) => ResourceUpdates;
    stopCalls: (graceMs: number) => Promise<void>;
    onIdle: () => void;
    onerror: (error: Error) => void;
    onProblem: (problem: string) => void;
    clock: Clock;
  },
): { close(): Promise<void> } {
  const { clock } = options;
  const transport = createStdioTransport(streams, options.onProblem);
  let server: Server | undefined;
  const updates = options.tellChanges({
    toolsChanged: () => void server?.sendToolListChanged().catch(() => {}),
    resourcesChanged: () => void server?.sendResourceListChanged().catch(() => {}),
    promptsChanged: () => void server?.sendPromptListChanged().catch(() => {}),
    resourceUpdated: (uri) => void server?.sendResourceUpdated({ uri }).catch(() => {}),
  });
  const handle = serveStdio(
    async () => {
      server = await options.create();
      return server;
    },
    { legacy: "reject", transport: transport as never, onerror: options.onerror },
  );
  const listeners = createListeners(updates);
  // The library tells nobody what a client listens for.
  const deliver = transport.onmessage;
  transport.onmessage = (message, extra) => {
    deliver?.(message, extra);
    listeners.see(message);
  };

  async function endSession(): Promise<void> {
    const alive = setInterval(() => {}, END_GRACE_MS);
    const waiting = transport.answered();
    await withDeadline(clock, END_GRACE_MS, () => waiting);
    await withDeadline(clock, END_STOP_MS, () => Promise.all([waiting, options.stopCalls(END_STOP_MS)]));
    await transport.flushed();
    clearInterval(alive);
    options.onIdle();
  }
  void transport.ended.then(endSession);
  return {
    async close() {
      listeners.close();
      await handle.close();
    },
  };
}
