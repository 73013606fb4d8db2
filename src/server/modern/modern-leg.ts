import { createMcpHandler } from "@modelcontextprotocol/server";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Log } from "../../shared/log.js";
import { createPaced } from "../../shared/throttle-by-key.js";
import type { Streams } from "../fastmcp/stdio-transport.js";
import { createHeldCalls } from "./held-calls.js";
import { createModernServer, type ModernOptions } from "./modern-server.js";
import { type Notify, serveModernStdio } from "./serve-modern-stdio.js";
import { resolveTaskSecret } from "./task-secret.js";
import { createTaskWork } from "./task-work.js";
import { createTasks } from "./tasks.js";

/** The newer protocol's side of a server: calls and tasks of all its connections and requests. */
export interface ModernLeg {
  /** Serves one client over two streams, until it sends no more. */
  serveStdio(streams: Streams, onIdle: () => void): void;
  /**
   * Serves one HTTP request, whose sender is known and may send it.
   * @param request without its body, which was read; its signal ends when the client has gone
   */
  serveRequest(request: Request, how: { owner: string; body: unknown }): Promise<Response>;
  /** Whether a call of it waits for an answer that only this process can take. */
  isHolding(): boolean;
  /** Makes calls answer now; resolves when they have, or after `graceMs`. */
  stopCalls(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

export type ModernLegOptions = Omit<ModernOptions, "calls" | "tasks" | "taskAfterMs"> & {
  clock: Clock;
  log: Log;
  /** Where what has to be the same after a restart is kept. */
  stateFolder?: string | undefined;
};

/** A client is told of runs that have begun or ended this often at most, in ms. */
const LIST_PAUSE_MS = 500;

/** Nothing is read or sent before it serves. @throws Error when no tasks can be made */
export async function createModernLeg(options: ModernLegOptions): Promise<ModernLeg> {
  const { services, tools, project, clock, log } = options;
  const { settings, catalogue, capabilities, sessions } = services;
  const secret = await resolveTaskSecret({ apiKey: settings.apiKey, stateFolder: options.stateFolder });
  const calls = createHeldCalls({ clock, elicitationTimeoutMs: settings.elicitationTimeoutS * 1000 });
  const work = createTaskWork({ services, tools, project });
  const tasks = createTasks({ calls, work, secret, clock });
  const modern: ModernOptions = { ...options, calls, tasks, taskAfterMs: settings.taskAfterS * 1000 };
  const closers: (() => unknown)[] = [];
  const onerror = ({ message }: Error) => log.debug(`The protocol's library: ${message}`);

  function tellChanges({ toolsChanged, resourcesChanged }: Notify): void {
    const lists = createPaced<"resources">(clock, LIST_PAUSE_MS, resourcesChanged);
    closers.push(
      catalogue.onChange(toolsChanged),
      capabilities.onChange(toolsChanged),
      sessions.onChange(() => lists.touch("resources")),
      () => lists.close(),
    );
  }

  const stopCalls = async (graceMs: number) => void (await withDeadline(clock, graceMs, () => calls.stop()));
  let handler: ReturnType<typeof createMcpHandler> | undefined;
  function handlerOnce() {
    if (handler) return handler;
    // Who sends the request was found out before.
    handler = createMcpHandler(({ authInfo }) => createModernServer(modern, authInfo?.clientId ?? ""), {
      legacy: "reject",
      onerror,
    });
    const { notify, close } = handler;
    tellChanges({
      toolsChanged: () => notify.toolsChanged(),
      resourcesChanged: () => notify.resourcesChanged(),
    });
    closers.push(close);
    return handler;
  }

  return {
    serveStdio(streams, onIdle) {
      const { close } = serveModernStdio(streams, {
        create: () => createModernServer(modern, "stdin"),
        tellChanges,
        stopCalls,
        onIdle,
        onerror,
        onProblem: (problem) => log.warn(problem),
        clock,
      });
      closers.push(close);
    },
    serveRequest: (request, { owner, body }) =>
      handlerOnce().fetch(request, {
        parsedBody: body,
        authInfo: { token: "", clientId: owner, scopes: [] },
      }),
    isHolding: () => calls.isHolding(),
    stopCalls,
    async close() {
      for (const close of closers) await close();
    },
  };
}
