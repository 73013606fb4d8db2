import { lstatSync, readdirSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { type FileStamp, readPrivateFile, sameStamp } from "../../shared/private-files.js";
import { isRecordFileName, recordFileName } from "./file-names.js";
import { MAX_RECORD_BYTES, parseRecord, type SessionRecord } from "./session-record.js";
import type { StoreProblem } from "./session-store.js";

/** What a record's file holds. `unreadable`: the system would not let us look, so nothing is known. */
export type FileContent =
  | { kind: "record"; record: SessionRecord }
  | { kind: "absent" | "newer" | "damaged" }
  | { kind: "unreadable"; error: unknown };

/** Reading the folder of records. Records given out are the cache's own: copy before handing them on. */
export interface RecordFiles {
  /** The content of one file; a newer or an unreadable one is reported, once. Never throws. */
  read(name: string): Promise<FileContent>;
  /** All records, and the names of damaged files. Never throws. */
  readAll(): Promise<{ records: SessionRecord[]; damaged: string[] }>;
  /**
   * Moves a file into the subfolder `damaged` and reports it. Only for files that nobody can be replacing: under
   * the session's lock, or with a name that is not a record's. Never throws.
   */
  setAside(name: string): Promise<void>;
  /** Reports, once, a file that should be set aside but has to stay where it is. */
  leave(name: string): void;
}

/**
 * Times of files come in ticks: two commits within one tick can look alike, so a file is trusted to be unchanged only
 * when it was older than that as it was read. A time in whole seconds is taken for one of a coarse system's (FAT has
 * 2 s).
 */
const tickMs = (mtimeMs: number) => (mtimeMs % 1_000 === 0 ? 2_000 : 50);

/** Enough to keep the four threads that Node has for files busy, without thousands of open files. */
const AT_ONCE = 16;

export function createRecordFiles(options: {
  folder: string;
  clock: { now(): number };
  onProblem: (problem: StoreProblem) => void;
}): RecordFiles {
  const { folder, clock, onProblem } = options;
  const cache = new Map<string, { stamp: FileStamp; content: FileContent }>();
  const reported = new Set<string>();

  function reportOnce(name: string, problem: StoreProblem): void {
    const id = `${problem.kind} ${name}`;
    if (reported.has(id)) return;
    reported.add(id);
    onProblem(problem);
  }

  /**
   * What was read before and is still there unchanged. The system answers this from memory within microseconds; to
   * ask it in the background costs ten times that, which counts when every session is looked at.
   */
  function lookUp(name: string): FileContent | undefined {
    const cached = cache.get(name);
    if (!cached) return undefined;
    const stamp = lstatSync(join(folder, name), { throwIfNoEntry: false });
    return stamp && sameStamp(stamp, cached.stamp) ? cached.content : undefined;
  }

  async function load(name: string): Promise<FileContent> {
    const path = join(folder, name);
    const known = lookUp(name);
    if (known) return known;
    const readAt = clock.now();
    const { text, stamp } = await readPrivateFile(path, MAX_RECORD_BYTES);
    let content: FileContent = text === undefined ? { kind: "damaged" } : parseRecord(text);
    // A copied or renamed file would make two sessions of one key.
    if (content.kind === "record" && recordFileName(content.record.key) !== name)
      content = { kind: "damaged" };
    if (content.kind !== "damaged" && readAt - stamp.mtimeMs > tickMs(stamp.mtimeMs))
      cache.set(name, { stamp, content });
    else cache.delete(name);
    return content;
  }

  async function read(name: string): Promise<FileContent> {
    let content: FileContent;
    try {
      content = await load(name);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (isAbsent(code)) return { kind: "absent" };
      // A symbolic link or a folder in a record's place: not ours.
      if (code === "ELOOP" || code === "EISDIR" || code === "ENXIO") return { kind: "damaged" };
      content = { kind: "unreadable", error };
      reportOnce(name, {
        kind: "unreadable",
        message: `The session file ${name} could not be read (${code ?? "unknown error"}). It is left out.`,
      });
    }
    if (content.kind === "newer") {
      reportOnce(name, {
        kind: "newer-version",
        message: `The session file ${name} was written by a newer release. It is left as it is and not shown.`,
      });
    }
    return content;
  }

  async function readAll(): Promise<{ records: SessionRecord[]; damaged: string[] }> {
    const records: SessionRecord[] = [];
    const damaged: string[] = [];
    const names: string[] = [];
    for (const entry of entriesOf(folder)) {
      if (isRecordFileName(entry.name)) names.push(entry.name);
      // Hidden files are the system's (.DS_Store); folders are the locks and what was set aside.
      else if (!entry.isDirectory() && !entry.name.startsWith(".")) damaged.push(entry.name);
    }
    const present = new Set(names);
    for (const name of cache.keys()) if (!present.has(name)) cache.delete(name);

    const unread: string[] = [];
    for (const name of names) {
      const content = lookUpSafely(name);
      if (content?.kind === "record") records.push(content.record);
      else unread.push(name);
    }
    let next = 0;
    const worker = async () => {
      for (let name = unread[next++]; name !== undefined; name = unread[next++]) {
        const content = await read(name);
        if (content.kind === "record") records.push(content.record);
        if (content.kind === "damaged") damaged.push(name);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return { records, damaged };
  }

  /** What cannot be looked at is read, which finds out why. */
  function lookUpSafely(name: string): FileContent | undefined {
    try {
      return lookUp(name);
    } catch {
      return undefined;
    }
  }

  function entriesOf(path: string) {
    try {
      return readdirSync(path, { withFileTypes: true });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (!isAbsent(code)) {
        const message = `The folder of sessions could not be read (${code ?? "unknown error"}).`;
        reportOnce("", { kind: "unreadable", message });
      }
      return [];
    }
  }

  async function setAside(name: string): Promise<void> {
    const to = `${name}.damaged-${clock.now()}`;
    try {
      await mkdir(join(folder, "damaged"), { recursive: true, mode: 0o700 });
      await rename(join(folder, name), join(folder, "damaged", to));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Another process has set it aside, and has said so.
      if (code === "ENOENT") return;
      leave(name);
      return;
    }
    const message = `${shown(name)} among the sessions was not a session record. It was moved to the subfolder "damaged".`;
    onProblem({ kind: "damaged", message });
  }

  function leave(name: string): void {
    const message = `${shown(name)} among the sessions is not a session record and could not be moved away. It is left out.`;
    reportOnce(name, { kind: "damaged", message });
  }

  return { read, readAll, setAside, leave };
}

/** ENOTDIR: something else is where the state folder should be, which the store reports when it opens it. */
function isAbsent(code: string | undefined): boolean {
  return code === "ENOENT" || code === "ENOTDIR";
}

/** A file's name for a message: names that others chose may hold anything. */
function shown(name: string): string {
  return /^[\w. -]{1,80}$/.test(name) ? `The file ${name}` : "A file";
}
