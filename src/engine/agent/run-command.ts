import { type ChildProcess, spawn } from "node:child_process";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import { cleanText } from "../../shared/text.js";
import { CLAUDE_VARIABLES } from "./claude/environment.js";
import { buildEnvironment } from "./environment.js";
import { readBegan } from "./process-list.js";
import { endAgentProcesses, endLeftover, formatStartedAt } from "./process-tree.js";

/** One command that runs what an agent has written. */
export interface CommandRequest {
  /** For the system's shell. */
  command: string;
  cwd: string;
  /** Marks all that it starts, so that it is found again: 32 hexadecimal digits. */
  mark: string;
  /** Added to its environment. */
  env?: Record<string, string>;
  timeoutMs: number;
  /** Ends it. */
  signal?: AbortSignal | undefined;
}

/** How a command has ended; nothing of it is left then. */
export interface CommandEnd {
  /** Missing when it did not end by itself, or could not be started. */
  exitCode?: number;
  /** What has ended it. */
  signal?: string;
  /** It was ended because its time was over, or because of the signal. */
  endedBy?: "timeout" | "stop";
  ms: number;
  /** The last lines of what it wrote to stdout and stderr; text of strangers, fit to be shown. */
  output: string;
  /** It wrote more than that. */
  cut: boolean;
}

/** Commands in the environment of agents. */
export interface Commands {
  /** Runs it to its end. Never throws: what could not be started has no exit code, and the reason as output. */
  run(request: CommandRequest): Promise<CommandEnd>;
  /** Ends what is left of a command whose engine has gone. */
  endLeftover(mark: string): Promise<void>;
}

/** The end of the output that is kept as it comes, in bytes; most of it is cut afterwards. */
const KEPT_BYTES = 64 * 1024;
const SHOWN_LINES = 40;
const SHOWN_CHARACTERS = 4_000;
/** How long what is to end may take to end by itself, in ms. */
const GRACE_MS = 3_000;
/** How long output may still come after the command's end, in ms; what it left behind may hold the pipe open. */
const TRAILING_MS = 1_000;

/**
 * Creates them: each in a group of its own, with its input closed, and without what agents do not get either (this
 * product's key, credentials of other services).
 * @param options.passed see `buildEnvironment`; read at each command
 */
export function createCommands(options: {
  env: NodeJS.ProcessEnv;
  passed?: readonly string[];
  clock: Clock;
}): Commands {
  const { env, clock } = options;

  return {
    endLeftover: async (mark) => {
      await endLeftover({ pid: 0, startedAt: formatStartedAt("0", mark) }, clock);
    },

    async run({ command, cwd, mark, env: own, timeoutMs, signal }) {
      const began = clock.elapsed();
      const tail = createTail();
      const end = (how: Omit<CommandEnd, "ms" | "output" | "cut">): CommandEnd => ({
        ...how,
        ms: Math.round(clock.elapsed() - began),
        ...tail.read(),
      });
      if (signal?.aborted) return end({ endedBy: "stop" });
      let child: ChildProcess;
      try {
        child = spawn(command, {
          shell: true,
          cwd,
          env: buildEnvironment({ ...env, ...own }, mark, options.passed ?? [], CLAUDE_VARIABLES),
          detached: process.platform !== "win32",
          windowsHide: true,
          stdio: ["ignore", "pipe", "pipe"],
        });
      } catch (error) {
        tail.push(Buffer.from((error as Error).message));
        return end({});
      }
      const pid = child.pid ?? 0;
      const identity = { pid, startedAt: formatStartedAt(pid === 0 ? "0" : readBegan(pid), mark) };
      child.stdout?.on("data", tail.push);
      child.stderr?.on("data", tail.push);
      let endedBy: CommandEnd["endedBy"];
      const endNow = new AbortController();
      const stop = (why: "timeout" | "stop") => {
        endedBy ??= why;
        if (pid > 0) void endAgentProcesses(identity, { graceMs: GRACE_MS, clock, endNow: endNow.signal });
      };
      const cancelTimeout = clock.after(timeoutMs, () => stop("timeout"));
      const onAbort = () => stop("stop");
      signal?.addEventListener("abort", onAbort, { once: true });
      try {
        const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
        const [code, killedBy] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
          child.once("error", (error) => {
            tail.push(Buffer.from(error.message));
            resolve([null, null]);
          });
          child.once("exit", (...how) => resolve(how));
        });
        cancelTimeout();
        await withDeadline(clock, TRAILING_MS, () => closed);
        // What it has left in the background would go on writing in a folder that others use next.
        if (pid > 0) await endAgentProcesses(identity, { graceMs: GRACE_MS, clock, hasJustEnded: true });
        if (endedBy) return end({ endedBy });
        return end({
          ...(code === null ? {} : { exitCode: code }),
          ...(killedBy === null ? {} : { signal: killedBy }),
        });
      } finally {
        cancelTimeout();
        signal?.removeEventListener("abort", onAbort);
        endNow.abort();
        child.stdout?.destroy();
        child.stderr?.destroy();
      }
    },
  };
}

/** Keeps the end of what comes. */
function createTail(): { push(chunk: Buffer): void; read(): { output: string; cut: boolean } } {
  let chunks: Buffer[] = [];
  let size = 0;
  let dropped = false;
  return {
    push(chunk) {
      chunks.push(chunk);
      size += chunk.byteLength;
      if (size <= 2 * KEPT_BYTES) return;
      chunks = [Buffer.concat(chunks).subarray(-KEPT_BYTES)];
      size = KEPT_BYTES;
      dropped = true;
    },
    read() {
      // What a line was written over with is what a terminal shows of it.
      const raw = Buffer.concat(chunks)
        .toString("utf8")
        .replace(/\r\n/g, "\n")
        .replace(/[^\n]*\r(?=[^\n])/g, "");
      const lines = cleanText(raw).trimEnd().split("\n");
      const shown = lines.slice(-SHOWN_LINES).join("\n");
      const output = shown.slice(-SHOWN_CHARACTERS).replace(/^[\udc00-\udfff]/, "");
      return { output, cut: dropped || lines.length > SHOWN_LINES || shown.length > SHOWN_CHARACTERS };
    },
  };
}
