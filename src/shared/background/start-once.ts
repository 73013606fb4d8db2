import type { Clock } from "../clock.js";
import { ensurePrivateFolder, NotPrivateError, UnwritableError } from "../private-files.js";
import { type ProcessLock, takeLock } from "./process-lock.js";
import type { StartedProcess } from "./spawn.js";

/**
 * Starts a process of which there is one at a time, once, and only when nobody else is doing so.
 * @param options.folder its own folder, which is made when it is not there
 * @param options.what names it in messages, as a sentence's beginning
 * @param options.whereMore where its log is, in words
 * @param options.alreadyRunning its exit code when there is one already
 * @param options.unavailable makes the error for a message
 * @param options.timeoutMs how long the caller waits for it
 */
export function createStarter(options: {
  folder: string;
  what: string;
  whereMore: string;
  spawn: () => Promise<StartedProcess>;
  alreadyRunning: number;
  unavailable: (message: string) => Error;
  clock: Clock;
  timeoutMs: number;
}) {
  const { folder, what, whereMore, spawn, alreadyRunning, unavailable, clock, timeoutMs } = options;
  const since = clock.elapsed();
  // Whoever starts at the same time would lose against the process's own lock, but ten windows are ten processes.
  let turn: ProcessLock | undefined;
  let child: StartedProcess | undefined;
  let exit: number | string | undefined;

  async function takeTurn(): Promise<void> {
    await ensurePrivateFolder(folder);
    const taken = await takeLock(folder, "start-lock", clock.now()).catch((error: NodeJS.ErrnoException) => {
      const isOurs = error instanceof NotPrivateError || error.syscall === undefined;
      throw isOurs ? error : new UnwritableError(error.code);
    });
    if ("lock" in taken) turn = taken.lock;
  }

  return {
    pid: () => child?.pid,
    /** To be called whenever none is seen; does nothing while one is on its way. @throws what `unavailable` makes */
    async start(): Promise<void> {
      if (child && exit === undefined) return;
      if (exit !== undefined && exit !== alreadyRunning) {
        const words = child?.lastWords();
        throw unavailable(
          `${what} could not be started (${typeof exit === "number" ? `exit code ${exit}` : exit}).` +
            `${words ? ` Its last output: ${words}` : ""} More is in ${whereMore}.`,
        );
      }
      // A window that hangs while it has its turn must not keep the others from one.
      if (!turn && clock.elapsed() - since < timeoutMs / 2) {
        // To be looked again with the turn in hand: it may have been started since the last look.
        return takeTurn();
      }
      exit = undefined;
      child = await spawn().catch((error: Error) => {
        throw unavailable(`${what} could not be started: ${error.message}`);
      });
      void child.ended.then((code) => {
        exit = code;
      });
    },
    async close(): Promise<void> {
      await turn?.release();
    },
  };
}
