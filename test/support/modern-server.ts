import { PassThrough } from "node:stream";
import { onTestFinished } from "vitest";
import { createServer, type ServerOptions, type WorkflowsServer } from "../../src/server/server.js";
import { SUPER_TOOL } from "../../src/server/tools/registry.js";
import { silentLog, testSettings, until } from "./harness.js";
import { createModernFrames, type Frame, type ModernFrames } from "./modern-frames.js";
import { createSkippingClock, type SkippingClock } from "./skipping-clock.js";

/** A server in this process, and a client of protocol 2026-07-28 on its streams. */
export interface ModernInMemory extends ModernFrames {
  server: WorkflowsServer;
  clock: SkippingClock;
  /** Calls the one tool. */
  call(args: object, more?: object, meta?: object): Promise<Frame>;
  /** The same call again, with an answer to the form of that result. */
  retry(args: object, asked: Frame, reply: object, meta?: object): Promise<Frame>;
  /** Asks for a task as its client does, until it fits; resolves with the task. */
  poll(taskId: string, fits: (task: Frame) => boolean): Promise<Frame>;
  /** Gives a request up, by its id. */
  cancel(requestId: number): void;
}

export function connectModern(
  options: Omit<Partial<ServerOptions>, "settings"> & {
    /** Variables without their common prefix. */
    settings?: Record<string, string>;
    about?: object;
  } = {},
): ModernInMemory {
  const { settings, about, ...more } = options;
  const clock = createSkippingClock();
  const server = createServer({
    sharesMachine: true,
    env: { PATH: process.env.PATH },
    log: silentLog,
    clock,
    ...more,
    settings: testSettings({ ERA: "auto", TASK_AFTER: "0", ...settings }),
  });
  const [input, output] = [new PassThrough(), new PassThrough()];
  void server.serveStdio({ input, output });
  onTestFinished(() => server.close(0));
  const frames = createModernFrames({ stdin: input, stdout: output }, about);
  const call: ModernInMemory["call"] = (args, and = {}, meta = {}) =>
    frames.request("tools/call", { name: SUPER_TOOL, arguments: args, ...and }, meta);
  return {
    ...frames,
    server,
    clock,
    call,
    retry(args, { result }, reply, meta) {
      const [key = ""] = Object.keys(result.inputRequests);
      const brings = { inputResponses: { [key]: reply }, requestState: result.requestState };
      return call(args, brings, meta);
    },
    poll: (taskId, fits) =>
      until(async () => {
        const { result, error } = await frames.request("tasks/get", { taskId });
        if (error) throw new Error(error.message);
        return fits(result) && result;
      }, "the task"),
    cancel: (requestId) => frames.notify("notifications/cancelled", { requestId }),
  };
}
