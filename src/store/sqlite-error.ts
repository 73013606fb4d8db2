import { StoreError, type StoreErrorKind } from "./store-error.js";

const ELSEWHERE = "Name a folder on a disk of this machine in AUTOMAGIK_WORKFLOWS_STATE_DIR.";

/** By the beginning of SQLite's own word for the error (https://www.sqlite.org/rescode.html); the first that fits. */
const MEANINGS: [code: RegExp, kind: StoreErrorKind, message: string][] = [
  [
    /^SQLITE_(BUSY|LOCKED)/,
    "busy",
    "The database is locked by another process; nothing was changed. Try again.",
  ],
  [/^SQLITE_FULL/, "full", "The disk is full, so the database cannot be written. Free some space."],
  [/^SQLITE_(CORRUPT|NOTADB)/, "damaged", "The database is damaged."],
  [
    /^SQLITE_(PROTOCOL|NOLFS|IOERR_(LOCK|UNLOCK|RDLOCK|CHECKRESERVEDLOCK|SHM\w*))/,
    "unavailable",
    `Files cannot be locked in the state folder, as is common on network file systems. ${ELSEWHERE}`,
  ],
  [/^SQLITE_(READONLY|PERM|AUTH)/, "unwritable", "The database is read-only."],
  [/^SQLITE_CANTOPEN/, "unwritable", "The database cannot be opened."],
  [/^SQLITE_IOERR/, "unwritable", "The database cannot be read or written."],
];

/** The library's error for a file that cannot be opened has SQLite's number and the path, and no word. */
const UNOPENED = /^ConnectionFailed\(.*: (\d+)"\)$/s;
const BY_NUMBER: Record<string, string> = {
  8: "SQLITE_READONLY",
  10: "SQLITE_IOERR",
  13: "SQLITE_FULL",
  14: "SQLITE_CANTOPEN",
  26: "SQLITE_NOTADB",
};

/** SQLite's word for what went wrong; empty for an error of something else. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const { code } = error as { code?: unknown };
  if (typeof code === "string" && code.startsWith("SQLITE_")) return code;
  const [, number] = UNOPENED.exec(error.message) ?? [];
  return number === undefined ? "" : (BY_NUMBER[number] ?? "SQLITE_CANTOPEN");
}

/** What SQLite's word for an error means to a person; undefined where it is a mistake in a query. */
export function explainCode(code: string): StoreError | undefined {
  const [, kind, message] = MEANINGS.find(([pattern]) => pattern.test(code)) ?? [];
  return message ? new StoreError(`${message} (${code})`, code, kind) : undefined;
}

/** What the library says of a connection that was closed meanwhile: a server that stops does not wait for everyone. */
const CLOSED = "The database connection is not open";

/** @throws errors of SQLite as a person should read them; a mistake in a query, and every other error, as it is */
export function explained<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof Error && error.message === CLOSED)
      throw new StoreError("The database is closed, since this server is stopping. Nothing was changed.");
    throw explainCode(codeOf(error)) ?? error;
  }
}
