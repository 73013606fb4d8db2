import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  truncateSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import type { StoreProblem } from "../../sessions/store/session-store.js";
import { PLAIN_FILE } from "./durable-files.js";
import { codeOf } from "./event-numbers.js";
import { type ParsedRunFile, parseHead, parseRunFile, type RunContent } from "./run-lines.js";
import type { StoredEvent } from "./run-store.js";

export interface LoadedRun {
  path: string;
  /** Bytes of the file that count; the next line goes there. */
  size: number;
  /** Without events when `compact`. */
  content: RunContent;
  /** The file is in its compact form. */
  compact: boolean;
}

/** An ended run fits in here with most of its events; a larger first line costs a second read. */
const HEAD_BYTES = 64 * 1024;

/** Rewriting keeps a file at some MB, so a larger one is not ours, and reading it must not fill the memory. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;

/**
 * The file of a run: its id when that is a UUID, for people who look for it, else a hash, so that no id can name a
 * place outside the folder.
 */
export function runFileName(runId: string): string {
  const plain = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(runId);
  return `${plain ? runId : createHash("sha256").update(runId).digest("hex").slice(0, 32)}.jsonl`;
}

/**
 * Reads the folder of runs, before anything else works in it, and leaves it in order: an unfinished last line is
 * cut off, a file that is not a run's goes to the subfolder `damaged`, one that was damaged in the middle is copied
 * there and goes on with what could be read. Each is reported. Throws only when the folder itself cannot be read.
 */
export function loadRuns(options: {
  folder: string;
  now: number;
  onProblem: (problem: StoreProblem) => void;
}): LoadedRun[] {
  const { folder, now, onProblem } = options;
  const damaged = join(folder, "damaged");
  const runs: LoadedRun[] = [];

  function setAside(name: string): void {
    try {
      mkdirSync(damaged, { recursive: true, mode: 0o700 });
      renameSync(join(folder, name), join(damaged, `${name}.${now}`));
      const message = `${shown(name)} among the runs could not be read as a run. It was moved to the subfolder "damaged".`;
      onProblem({ kind: "damaged", message });
    } catch (error) {
      const message = `${shown(name)} among the runs could not be read as a run, nor moved away (${codeOf(error)}). It is left out.`;
      onProblem({ kind: "damaged", message });
    }
  }

  function mend(name: string, content: RunContent, fileSize: number): void {
    const { runId } = content.run;
    if (content.lostInside) {
      mkdirSync(damaged, { recursive: true, mode: 0o700 });
      copyFileSync(join(folder, name), join(damaged, `${name}.${now}`));
      const message = `Some entries of run ${runId} were damaged and are lost. Its file as found was copied to the subfolder "damaged".`;
      onProblem({ kind: "damaged", message });
    }
    if (fileSize > content.goodBytes) {
      truncateSync(join(folder, name), content.goodBytes);
      const message = `The last entry of run ${runId} was not complete and was cut off.`;
      onProblem({ kind: "damaged", message });
    }
  }

  function load(name: string): void {
    const path = join(folder, name);
    const read = readFrom(path);
    const { parsed } = read;
    if (parsed.kind === "newer") {
      const message = `${shown(name)} was written by a newer release. The run is left as it is and not shown.`;
      onProblem({ kind: "newer-version", message });
    } else if (parsed.kind === "unfinished") {
      // The process ended while it created the file: nobody was told of this run.
      unlinkSync(path);
    } else if (parsed.kind === "damaged" || runFileName(parsed.content.run.runId) !== name) {
      setAside(name);
    } else if (!parsed.content.confirmed) {
      // The process ended, or the disk failed, while the run was taken: nobody was told that it would be carried out.
      if (parsed.content.lostInside) setAside(name);
      else unlinkSync(path);
    } else {
      mend(name, parsed.content, read.fileSize);
      runs.push({ path, size: parsed.content.goodBytes, content: parsed.content, compact: read.compact });
    }
  }

  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name.endsWith(".tmp") && entry.isFile()) unlinkSync(join(folder, entry.name));
    if (!entry.name.endsWith(".jsonl")) continue;
    try {
      if (entry.isFile()) load(entry.name);
      else setAside(entry.name);
    } catch (error) {
      const message = `${shown(entry.name)} among the runs could not be read (${codeOf(error)}). It is left out.`;
      onProblem({ kind: "unreadable", message });
    }
  }
  return runs;
}

function readFrom(path: string): { parsed: ParsedRunFile; fileSize: number; compact: boolean } {
  const fd = openSync(path, constants.O_RDONLY | PLAIN_FILE);
  try {
    const { size: fileSize, mode } = fstatSync(fd);
    if (process.platform !== "win32" && (mode & 0o077) !== 0) fchmodSync(fd, 0o600);
    if (fileSize > MAX_FILE_BYTES) return { parsed: { kind: "damaged" }, fileSize, compact: false };
    const head = readUpTo(fd, Math.min(fileSize, HEAD_BYTES));
    const content = parseHead(head, fileSize);
    if (content) return { parsed: { kind: "run", content }, fileSize, compact: true };
    const whole = fileSize > head.length ? readUpTo(fd, fileSize) : head;
    // A long result: the first line alone goes beyond the head.
    const longHead = fileSize > head.length ? parseHead(whole, fileSize) : undefined;
    if (longHead) return { parsed: { kind: "run", content: longHead }, fileSize, compact: true };
    return { parsed: parseRunFile(whole), fileSize, compact: false };
  } finally {
    closeSync(fd);
  }
}

function readUpTo(fd: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes);
  let done = 0;
  while (done < bytes) {
    const count = readSync(fd, buffer, done, bytes - done, done);
    if (count === 0) break;
    done += count;
  }
  return buffer.subarray(0, done);
}

/**
 * The newest events of the loaded runs, at least `count` if there are so many, oldest first; complete after the
 * number `low`. Only the files of the runs that were at work last are read for it.
 */
export function newestEvents(runs: LoadedRun[], count: number): { events: StoredEvent[]; low: number } {
  let events: StoredEvent[] = [];
  let low = Math.max(0, ...runs.map((run) => run.content.droppedThrough));
  for (const run of [...runs].sort((a, b) => b.content.lastEventId - a.content.lastEventId)) {
    const { lastEventId } = run.content;
    if (lastEventId <= low) break;
    // The events of all files that are still unread lie at or before this number.
    if (events.length >= count && events.filter((event) => event.id > lastEventId).length >= count) {
      low = Math.max(low, lastEventId);
      break;
    }
    try {
      const parsed = run.compact ? readWhole(run.path) : ({ kind: "run", content: run.content } as const);
      if (parsed.kind !== "run") throw new Error("The file has changed.");
      events.push(...parsed.content.events);
      low = Math.max(low, parsed.content.droppedThrough);
    } catch {
      low = Math.max(low, lastEventId);
    }
  }
  events = events.filter((event) => event.id > low).sort((a, b) => a.id - b.id);
  return { events, low };
}

function readWhole(path: string): ParsedRunFile {
  const fd = openSync(path, constants.O_RDONLY | PLAIN_FILE);
  try {
    return parseRunFile(readUpTo(fd, fstatSync(fd).size));
  } finally {
    closeSync(fd);
  }
}

/** A file's name for a message: names that others chose may hold anything. */
function shown(name: string): string {
  return /^[\w. -]{1,80}$/.test(name) ? `The file ${name}` : "A file";
}
