import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Log } from "../../shared/log.js";
import { createPaced } from "../../shared/throttle-by-key.js";
import { createStdioTransport, type Streams } from "../fastmcp/stdio-transport.js";
import { createHeldCalls } from "./held-calls.js";
import { createModernServer, type ModernOptions } from "./modern-server.js";
import { createTaskWork } from "./task-work.js";
import { createTasks } from "./tasks.js";

/** A client that sends no more is mostly gone: what it has asked is answered within this, in ms, as usual … */
const END_GRACE_MS = 1_000;
/** … and then calls are told to end. */
const END_STOP_MS = 3_300;

/** A client is told of runs that have begun or ended this often at most, in ms. */
const LIST_PAUSE_MS = 500;

/** What serves one client, and how it is made to end. */
export interface ModernStdio {
  /** Makes calls answer now; resolves when they have, or after `graceMs`. */
  stopCalls(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Serves one client over two streams on protocol 2026-07-28. When it sends no more, what it has asked is answered, and
 * the session ends; runs and plans go on.
 */
export function serveModernStdio(
  streams: Streams,
  options: Omit<ModernOptions, "calls" | "tasks" | "taskAfterMs"> & {
    log: Log;
    clock: Clock;
    onIdle: () => void;
  },
): ModernStdio {
  const { services, tools, project, clock, log } = options;
  const { settings } = services;
  const calls = createHeldCalls({ clock, elicitationTimeoutMs: settings.elicitationTimeoutS * 1000 });
  const work = createTaskWork({ services, tools, project });
  // Whoever writes to stdin may do everything anyway: ids need to be the same in the next process, and no secret.
  const tasks = createTasks({ calls, work, secret: () => "stdin", clock });
  const transport = createStdioTransport(streams, (problem) => log.warn(problem));
  const modern = { ...options, calls, tasks, taskAfterMs: settings.taskAfterS * 1000 };
  const { catalogue, capabilities, sessions } = services;
  const stops: (() => void)[] = [];
  const handle = serveStdio(
    () => {
      const server = createModernServer(modern, "stdin");
      const tell = (send: () => Promise<void>) => () => void send().catch(() => {});
      stops.push(
        catalogue.onChange(tell(() => server.sendToolListChanged())),
        capabilities.onChange(tell(() => server.sendToolListChanged())),
      );
      const lists = createPaced<"resources">(
        clock,
        LIST_PAUSE_MS,
        tell(() => server.sendResourceListChanged()),
      );
      stops.push(
        sessions.onChange(() => lists.touch("resources")),
        () => lists.close(),
      );
      return server;
    },
    {
      legacy: "reject",
      transport: transport as never,
      onerror: ({ message }) => log.debug(`The protocol's library: ${message}`),
    },
  );

  const stopCalls = async (graceMs: number) => void (await withDeadline(clock, graceMs, () => calls.stop()));

  async function endSession(): Promise<void> {
    const alive = setInterval(() => {}, END_GRACE_MS);
    const waiting = transport.answered();
    await withDeadline(clock, END_GRACE_MS, () => waiting);
    await withDeadline(clock, END_STOP_MS, () => Promise.all([waiting, stopCalls(END_STOP_MS)]));
    await transport.flushed();
    clearInterval(alive);
    options.onIdle();
  }
  void transport.ended.then(endSession);

  return {
    stopCalls,
    async close() {
      for (const stop of stops) stop();
      await handle.close();
    },
  };
}
