import { createMcpHandler } from "@modelcontextprotocol/server";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Log } from "../../shared/log.js";
import type { Streams } from "../fastmcp/stdio-transport.js";
import { withoutContents } from "../log-lines.js";
import { createResourceUpdates, type ResourceUpdates } from "../resource-updates.js";
import { createPaced } from "../throttle-by-key.js";
import { createHeldCalls } from "./held-calls.js";
import { watchListened } from "./listeners.js";
import { createModernServer, type ModernOptions } from "./modern-server.js";
import { createPollPace } from "./poll-pace.js";
import type { Sender } from "./request-context.js";
import { type Notify, serveModernStdio } from "./serve-modern-stdio.js";
import { createTaskIds } from "./task-ids.js";
import { resolveTaskSecret } from "./task-secret.js";
import { createTaskWork } from "./task-work.js";
import { createTasks } from "./tasks.js";

/** What is known of an HTTP request of this protocol besides its headers. */
export interface ModernRequest {
  /** Who has sent it. */
  owner: string;
  /** The name of their token, where there is one. */
  person?: string | undefined;
  body: unknown;
  /** Ends with the answer, and when the client has gone. */
  ended: AbortSignal;
}

/** The newer protocol's side of a server: calls and tasks of all its connections and requests. */
export interface ModernLeg {
  /** Serves one client over two streams, until it sends no more. */
  serveStdio(streams: Streams, onIdle: () => void): void;
  /**
   * Serves one HTTP request, whose sender is known and may send it.
   * @param request without its body, which was read; its signal ends when the client has gone
   */
  serveRequest(request: Request, how: ModernRequest): Promise<Response>;
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
  /** The list of workflows has been read, or was not to be had in time. */
  listed: Promise<unknown>;
};

/**
 * What says what the server can do waits so long for the names of the workflows, in ms, by which models choose the tool:
 * Claude Code 2.1 asks for 2.5 s, the start of the process included.
 */
const GREETING_BUDGET_MS = 1_000;
/** A client is told of runs that have begun or ended this often at most, in ms. */
const LIST_PAUSE_MS = 500;

/** Nothing is read or sent before it serves. @throws Error when no tasks can be made */
export async function createModernLeg(options: ModernLegOptions): Promise<ModernLeg> {
  const { services, tools, project, clock, log } = options;
  const { settings, catalogue, capabilities, sessions } = services;
  const secret = await resolveTaskSecret({ apiKey: settings.apiKey, stateFolder: options.stateFolder });
  const calls = createHeldCalls({ clock, elicitationTimeoutMs: settings.elicitationTimeoutS * 1000 });
  const work = createTaskWork({ services, tools, project });
  const pollMs = createPollPace(settings.httpRate);
  const tasks = createTasks({ calls, work, ids: createTaskIds(secret), clock, pollMs });
  const modern: ModernOptions = { ...options, calls, tasks, taskAfterMs: settings.taskAfterS * 1000 };
  const closers: (() => unknown)[] = [tasks.close];
  const named = withDeadline(clock, GREETING_BUDGET_MS, () => options.listed);
  async function create(sender: Sender) {
    await named;
    return createModernServer(modern, sender);
  }
  const onerror = ({ message }: Error) => log.debug(`The protocol's library: ${withoutContents([message])}`);

  function tellChanges(notify: Notify): ResourceUpdates {
    const { toolsChanged, resourcesChanged, promptsChanged, resourceUpdated } = notify;
    const lists = createPaced<"resources">(clock, LIST_PAUSE_MS, resourcesChanged);
    const updates = createResourceUpdates(services, resourceUpdated);
    closers.push(
      catalogue.onChange(toolsChanged),
      capabilities.onChange(toolsChanged),
      sessions.onChange(() => lists.touch("resources")),
      options.prompts.onChange(promptsChanged),
      () => lists.close(),
      () => updates.close(),
    );
    return updates;
  }

  const stopCalls = async (graceMs: number) => void (await withDeadline(clock, graceMs, () => calls.stop()));
  let http: { handler: ReturnType<typeof createMcpHandler>; updates: ResourceUpdates } | undefined;
  function openHttp() {
    if (http) return http;
    // Who sends the request was found out before.
    const handler = createMcpHandler(({ authInfo }) => create(senderOf(authInfo)), {
      legacy: "reject",
      onerror,
    });
    const { notify, close } = handler;
    const updates = tellChanges({
      toolsChanged: () => notify.toolsChanged(),
      resourcesChanged: () => notify.resourcesChanged(),
      resourceUpdated: (uri) => notify.resourceUpdated(uri),
      promptsChanged: () => notify.promptsChanged(),
    });
    closers.push(close);
    http = { handler, updates };
    return http;
  }

  return {
    serveStdio(streams, onIdle) {
      const { close } = serveModernStdio(streams, {
        create: () => create({ caller: "stdin" }),
        tellChanges,
        stopCalls,
        onIdle,
        onerror,
        onProblem: (problem) => log.warn(problem),
        clock,
      });
      closers.push(close);
    },
    serveRequest(request, { owner, person, body, ended }) {
      const { handler, updates } = openHttp();
      const stopWatching = watchListened(body, updates);
      if (ended.aborted) stopWatching();
      else ended.addEventListener("abort", stopWatching, { once: true });
      return handler.fetch(request, {
        parsedBody: body,
        authInfo: { token: "", clientId: owner, scopes: [], extra: { person } },
      });
    },
    isHolding: () => calls.isHolding(),
    stopCalls,
    async close() {
      for (const close of closers) await close();
    },
  };
}

/** What `serveRequest` has handed to the protocol's library. */
function senderOf(authInfo: { clientId: string; extra?: Record<string, unknown> } | undefined): Sender {
  return { caller: authInfo?.clientId ?? "", person: authInfo?.extra?.person as string | undefined };
}
