import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Libsql from "libsql";
import type { Notice } from "../../src/notices/notice.js";
import { DATABASE_FILE } from "../../src/shared/state-folder.js";

/** A command that appends what it is told to a file, and what the file has. */
export function recordingCommand(folder: string): { command: string; told(): Notice[]; titles(): string[] } {
  const file = join(folder, "told");
  const told = () => (existsSync(file) ? readLines(file).map((line) => JSON.parse(line) as Notice) : []);
  return { command: `cat >> '${file}'`, told, titles: () => told().map(({ title }) => title) };
}

/** A `notify-send` that writes its arguments, one JSON list a line. Gives the folder for the PATH. */
export function recordingDesktop(folder: string): { path: string; shown(): string[][] } {
  const path = join(folder, "bin");
  const file = join(folder, "shown");
  mkdirSync(path, { recursive: true });
  const program = join(path, "notify-send");
  const script = `require("fs").appendFileSync(${JSON.stringify(file)}, JSON.stringify(process.argv.slice(2)) + "\\n")`;
  writeFileSync(program, `#!${process.execPath}\n${script}\n`);
  chmodSync(program, 0o755);
  return { path, shown: () => (existsSync(file) ? readLines(file).map((line) => JSON.parse(line)) : []) };
}

function readLines(file: string): string[] {
  return readFileSync(file, "utf8").split("\n").filter(Boolean);
}

/** The notices in the database of a state folder, by key; none where it is only being made. */
export function storedNotices(folder: string): Record<string, { state: string; kind: string }> {
  const path = join(folder, DATABASE_FILE);
  if (!existsSync(path)) return {};
  const db = new Libsql(path);
  try {
    if (!db.prepare("select 1 from sqlite_master where name = 'notices'").get()) return {};
    const rows = db.prepare("select key, state, kind from notices").all() as {
      key: string;
      state: string;
      kind: string;
    }[];
    return Object.fromEntries(rows.map(({ key, state, kind }) => [key, { state, kind }]));
  } finally {
    db.close();
  }
}

export interface StoredDelivery {
  id: string;
  target: string;
  kind: string;
  payload: string;
  state: string;
  tries: number;
  remote_id: string | null;
  note: string | null;
  /** When it is to be tried, epoch ms. */
  next_at: number;
  /** Until when a process is at it, epoch ms. */
  lease_until: number | null;
}

/** What is in the outbox of a state folder; nothing where it is only being made. */
export function storedDeliveries(folder: string): StoredDelivery[] {
  const path = join(folder, DATABASE_FILE);
  if (!existsSync(path)) return [];
  const db = new Libsql(path);
  try {
    if (!db.prepare("select 1 from sqlite_master where name = 'deliveries'").get()) return [];
    const columns = "id, target, kind, payload, state, tries, remote_id, note, next_at, lease_until";
    return db.prepare(`select ${columns} from deliveries order by created_at, id`).all() as StoredDelivery[];
  } finally {
    db.close();
  }
}

/** As after the minute for which a process holds what it has taken on: what an ended one was at is free. */
export function endLeases(folder: string): void {
  const db = new Libsql(join(folder, DATABASE_FILE));
  try {
    db.prepare("update deliveries set lease_until = 0 where lease_until is not null").run();
  } finally {
    db.close();
  }
}

/** How the questions that other services were given stand, in the order in which they were asked. */
export function questionStates(folder: string): string[] {
  const db = new Libsql(join(folder, DATABASE_FILE));
  try {
    const rows = db.prepare("select state from outside_questions order by created_at").all() as {
      state: string;
    }[];
    return rows.map(({ state }) => state);
  } finally {
    db.close();
  }
}
