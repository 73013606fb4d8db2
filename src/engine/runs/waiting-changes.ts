import { type FileHandle, open, readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import type { RunEvent } from "./events.js";

/** Of what tells only what an agent does at the moment nothing more is kept from this size on, in bytes. */
const PASSING_BYTES = 64 * 2 ** 20;
/** Nothing more is kept from this size on, in bytes. */
const MOST_BYTES = 128 * 2 ** 20;
/** What tells only what an agent does at the moment: nothing follows from it. */
export const PASSING: ReadonlySet<RunEvent["type"]> = new Set(["action", "output"]);

/** Names a change for good, so that it is made once: it is the `number`th of the `process`th process of this worker. */
export interface ChangeId {
  process: number;
  number: number;
}

/** A change that the database has not got, which counts all the same. */
export interface WaitingChange {
  id: ChangeId;
  runId: string;
  event: RunEvent;
}

/** Changes that wait for a database that is away, on this machine's disk: they survive the end of the process. */
export interface WaitingChanges {
  /** What former processes have left, in the order in which it happened. */
  readonly former: readonly WaitingChange[];
  /** The newest process that has left something; 0 for none. */
  readonly newestProcess: number;
  /**
   * Keeps them. They are on the disk when it resolves, but for what is beyond the size.
   * @returns false when what happened is not kept any more, since there is too much of it
   * @throws what the file system throws
   */
  keep(changes: readonly WaitingChange[]): Promise<boolean>;
  /** The database has all of them. @throws what the file system throws */
  clear(): Promise<void>;
  /** What is there stays. Never rejects. */
  close(): Promise<void>;
}

/**
 * Opens them. What cannot be read, the end of what was being written when the machine lost power, is left out.
 * @param folder a folder of their own, which no agent may read: it is made where there is none
 * @param limits in bytes; `passing` for what tells only what an agent does at the moment
 * @throws what the file system throws
 */
export async function openWaitingChanges(
  folder: string,
  limits = { passing: PASSING_BYTES, most: MOST_BYTES },
): Promise<WaitingChanges> {
  await ensurePrivateFolder(folder);
  const processes = (await readdir(folder)).flatMap((name) => processOf(name) ?? []).sort((a, b) => a - b);
  const read = (process: number) => readChanges(join(folder, nameOf(process)), process);
  const former = (await Promise.all(processes.map(read))).flat();
  const left = new Set(processes);
  let file: { handle: FileHandle; process: number; bytes: number; isTorn?: boolean } | undefined;

  /** A folder's new entry is on the disk when the folder is. */
  async function begin(process: number): Promise<NonNullable<typeof file>> {
    const handle = await open(join(folder, nameOf(process)), "a", 0o600);
    left.add(process);
    const directory = await open(folder).catch(() => undefined);
    await directory?.sync().catch(() => {});
    await directory?.close();
    return { handle, process, bytes: 0 };
  }

  return {
    former,
    newestProcess: processes.at(-1) ?? 0,
    async keep(changes) {
      const [first] = changes;
      if (!first) return true;
      file ??= await begin(first.id.process);
      const room = file.bytes < limits.passing;
      if (file.bytes > limits.most) return false;
      const kept = changes.filter(({ event }) => room || !PASSING.has(event.type));
      const text = kept
        .map(({ id, runId, event }) => `${JSON.stringify([id.number, runId, event])}\n`)
        .join("");
      const whole = file.isTorn ? `\n${text}` : text;
      file.isTorn = true;
      file.bytes += Buffer.byteLength(whole);
      await file.handle.appendFile(whole);
      file.isTorn = false;
      await file.handle.datasync();
      return true;
    },
    async clear() {
      const ended = file;
      file = undefined;
      await ended?.handle.close();
      for (const process of left) {
        await unlink(join(folder, nameOf(process)));
        left.delete(process);
      }
    },
    async close() {
      await file?.handle.close().catch(() => {});
    },
  };
}

const nameOf = (process: number) => `waiting-${process}.jsonl`;

function processOf(name: string): number | undefined {
  const [, process] = /^waiting-(\d+)\.jsonl$/.exec(name) ?? [];
  return process === undefined ? undefined : Number(process);
}

async function readChanges(path: string, process: number): Promise<WaitingChange[]> {
  const changes: WaitingChange[] = [];
  for (const line of (await readFile(path, "utf8")).split("\n")) {
    const found = parse(line);
    if (!found) continue;
    const [number, runId, event] = found;
    changes.push({ id: { process, number }, runId, event });
  }
  return changes;
}

function parse(line: string): [number: number, runId: string, event: RunEvent] | undefined {
  try {
    const found: unknown = JSON.parse(line);
    return Array.isArray(found) && found.length === 3 ? (found as ReturnType<typeof parse>) : undefined;
  } catch {
    return undefined;
  }
}
