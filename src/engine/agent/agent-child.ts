import type { ChildProcess } from "node:child_process";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import { cleanText } from "../../shared/text.js";
import type { AgentExit } from "./events.js";
import { readBegan } from "./process-list.js";
import { type AgentIdentity, endAgentProcesses, formatStartedAt } from "./process-tree.js";
import { createLineReader } from "./split-lines.js";

/** What a run leaves in the background gets this long, in ms, to end by itself. */
const LEFTOVER_GRACE_MS = 2_000;
/** How long output may still come after the end of the process, in ms; another process may hold the pipe open. */
const TRAILING_MS = 1_000;
/** With `force`, the time in ms to write the conversation down before SIGKILL. */
const FORCED_GRACE_MS = 1_000;
/** A process that even SIGKILL has not ended hangs in the kernel; the run must not hang with it. In ms. */
const HANGING_MS = 5_000;
const STDERR_CHARS = 2_000;

/** The process of an agent that is spoken with in lines. */
export interface AgentChild {
  identity: AgentIdentity;
  /** False when it cannot be written to any more. */
  write(line: string): boolean;
  inputOpen(): boolean;
  closeInput(): void;
  /** Writes nothing to it any more, and ends it with everything that it has started; resolves when nothing is left. */
  end(how: { force: boolean; graceMs: number }): Promise<void>;
  /** Resolves when the process has ended and nothing that it has started is left. */
  exited: Promise<AgentExit>;
}

/**
 * @param options.endNow ends the wait for what is left to end by itself
 * @param options.describeFailure for the person: why there is no process
 * @param options.onOutput it has written something, which was read
 * @param options.onEnd the process has ended, and all that it has written was read
 * @param options.onExit nothing of it is left
 */
export function watchChild(
  child: ChildProcess,
  options: {
    mark: string;
    clock: Clock;
    endNow: AbortSignal;
    describeFailure: (error: Error) => string;
    onLine: (line: string) => void;
    onTooLong: () => void;
    onOutput?: () => void;
    onEnd: () => void;
    onExit: (exit: AgentExit) => void;
  },
): AgentChild {
  const { mark, clock, endNow } = options;
  const pid = child.pid ?? 0;
  const identity = { pid, startedAt: formatStartedAt(pid === 0 ? "0" : readBegan(pid), mark) };
  const lines = createLineReader({ onLine: options.onLine, onTooLong: options.onTooLong });
  let inputOpen = true;
  let stderr = "";

  child.stdout?.on("data", (chunk: Buffer) => {
    lines.push(chunk);
    options.onOutput?.();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    // More than is shown, because cleaning takes some of it away.
    stderr = (stderr + chunk.toString("utf8")).slice(-4 * STDERR_CHARS);
  });
  // A process that ends may close the pipe in mid-write; its exit says the rest.
  child.stdin?.on("error", () => {
    inputOpen = false;
  });

  async function finish(failure: string | undefined, code: number | null, signal: string | null) {
    inputOpen = false;
    lines.end();
    child.stdout?.destroy();
    child.stderr?.destroy();
    options.onEnd();
    if (pid > 0 && process.platform !== "win32")
      await endAgentProcesses(identity, { graceMs: LEFTOVER_GRACE_MS, clock, endNow, hasJustEnded: true });
    const said = cleanText(failure ?? stderr).trim();
    const exit: AgentExit = { type: "exit", code, signal, stderr: said.slice(-STDERR_CHARS) };
    options.onExit(exit);
    return exit;
  }

  const exited = new Promise<AgentExit>((resolve) => {
    let failure: string | undefined;
    child.once("error", (error) => {
      failure = options.describeFailure(error);
      if (child.pid === undefined) resolve(finish(failure, null, null));
    });
    child.once("exit", (code, signal) => {
      const closed = new Promise<void>((done) => child.once("close", () => done()));
      resolve(withDeadline(clock, TRAILING_MS, () => closed).then(() => finish(failure, code, signal)));
    });
  });

  return {
    identity,
    write(line) {
      if (!inputOpen || !child.stdin?.writable) return false;
      child.stdin.write(`${line}\n`);
      return true;
    },
    inputOpen: () => inputOpen,
    closeInput() {
      inputOpen = false;
      child.stdin?.end();
    },
    async end({ force, graceMs }) {
      inputOpen = false;
      if (pid > 0)
        await endAgentProcesses(identity, {
          graceMs: force ? Math.min(graceMs, FORCED_GRACE_MS) : graceMs,
          clock,
          ...(force ? {} : { endNow }),
        });
      await withDeadline(clock, HANGING_MS, () => exited);
    },
    exited,
  };
}
