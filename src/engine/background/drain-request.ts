import * as z from "zod";
import { lastingIdentity, sameProcess } from "../../shared/background/process-life.js";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import type { ProcessIdentity } from "../../shared/process-identity.js";
import { readRecord, removeRecord, writeRecord } from "../../shared/record-file.js";
import { engineFiles } from "./engine-files.js";

/*
 * That an engine is to end when nothing goes on any more is a file of its private part, as its settings are: only the
 * account that it works for can write there; over HTTP whoever has the key of a whole team could end its engines.
 */

const requestSchema = z.object({
  /** The engine that is meant: a later one of the folder is not. */
  pid: z.number().int().positive(),
  began: z.string(),
  place: z.string(),
  /** When what still goes on is interrupted, in epoch ms; left out, never. */
  interruptAt: z.number().optional(),
});

/** Asks an engine to begin nothing more and to end. @throws what the file system throws */
export function writeDrainRequest(
  stateFolder: string,
  { pid, began, place }: ProcessIdentity,
  interruptAt: number | undefined,
): void {
  const asked = { pid, began, place, ...(interruptAt === undefined ? {} : { interruptAt }) };
  writeRecord(engineFiles(stateFolder).drain, asked);
}

/** Takes the request away. Only for the owner of the engine's lock. Never throws. */
export function removeDrainRequest(stateFolder: string): void {
  removeRecord(engineFiles(stateFolder).drain);
}

/**
 * Follows what this process is asked as the engine of the folder.
 * @param options.onDrained nothing goes on any more
 * @returns looks whether something is asked. Never rejects
 */
export function followDrainRequest(options: {
  stateFolder: string;
  drain: () => Promise<void>;
  interrupt: (why: string) => Promise<void>;
  onDrained: () => void;
  clock: Clock;
  log: Log;
}): () => Promise<void> {
  const { stateFolder, drain, interrupt, onDrained, clock, log } = options;
  let isDraining = false;
  let interruptAt: number | undefined;
  let cancelInterrupt = () => {};
  let looking: Promise<void> | undefined;

  async function look(): Promise<void> {
    const asked = await readRecord(engineFiles(stateFolder).drain, requestSchema);
    if (!asked || !sameProcess(asked, await lastingIdentity())) return;
    if (!isDraining) {
      isDraining = true;
      log.info("The engine begins nothing more: it was told to end when what goes on has ended.");
      void drain().then(onDrained);
    }
    if (asked.interruptAt === interruptAt) return;
    interruptAt = asked.interruptAt;
    cancelInterrupt();
    if (interruptAt === undefined) return;
    cancelInterrupt = clock.after(Math.max(0, interruptAt - clock.now()), () => {
      log.info("What still goes on is interrupted, as was asked.");
      void interrupt("The engine was told to end, and the time that was given to its runs is over");
    });
  }

  return () => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
    return looking;
  };
}
