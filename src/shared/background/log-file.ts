import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { systemClock } from "../clock.js";
import { assertOwn } from "../private-files.js";

/** Days of a process at work; with the older half it is twice this at most. */
const MAX_BYTES = 1024 * 1024;

/** Where a log lies, and what was in it before it grew too large. */
export interface LogPaths {
  log: string;
  oldLog: string;
}

/** The log of a process in the background. */
export interface BackgroundLog {
  /** Open for appending; for a process that writes to it directly. */
  fd: number;
  /** Writes the text behind the time of it. When the file has grown too large, its content is moved to the old log before. Never throws. */
  write(text: string): boolean;
  /** How large it is, in bytes. */
  size(): number;
  /** The last line behind a size that was told before, without its time and level; "" when there is none. */
  lastLine(behind: number): string;
  close(): void;
}

/**
 * Opens the log in a folder that exists (file mode 0600). Throws what the file system throws.
 * @param what names it in messages
 * @param maxBytes of the file; the old log has at most as many
 */
export function openBackgroundLog(
  { log, oldLog }: LogPaths,
  what: string,
  maxBytes = MAX_BYTES,
): BackgroundLog {
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
  const fd = openSync(log, flags, 0o600);
  try {
    assertOwn(fstatSync(fd), what);
    // A file that was there before keeps its mode.
    if (process.platform !== "win32") fchmodSync(fd, 0o600);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  const size = () => fstatSync(fd).size;

  function read(from: number, to: number): Buffer {
    const buffer = Buffer.alloc(Math.max(0, to - from));
    return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, from));
  }

  /** Emptied and not renamed: the process's own output goes to this very file until it ends. */
  function makeRoom(bytes: number): void {
    const length = size();
    if (length + bytes <= maxBytes) return;
    // What was written past us may have made it larger than it should be.
    writeFileSync(oldLog, read(Math.max(0, length - maxBytes), length), { mode: 0o600 });
    ftruncateSync(fd);
  }

  makeRoom(0);
  return {
    fd,
    size,
    write(text) {
      try {
        const at = new Date(systemClock.now()).toISOString();
        const bytes = Buffer.from(`${at} ${text}`).subarray(0, maxBytes);
        makeRoom(bytes.length);
        writeSync(fd, bytes);
      } catch {
        // A full disk must not end a working process.
      }
      return true;
    },
    lastLine(behind) {
      const length = size();
      // Smaller than before: it was emptied since.
      const from = Math.max(length < behind ? 0 : behind, length - 8192);
      const lines = read(from, length).toString("utf8").split("\n");
      return (lines.findLast((line) => line.trim() !== "") ?? "")
        .replace(/^(?:\d[\d:.T-]+Z )?\[\w+\] /, "")
        .trim();
    },
    close: () => closeSync(fd),
  };
}
