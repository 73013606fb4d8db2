import { createHash } from "node:crypto";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CompiledQuery, sql } from "kysely";
import Libsql from "libsql";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type Database, openDatabase, transaction } from "../src/store/database.js";
import { listDatabaseFiles } from "../src/store/database-file.js";
import { SqliteConnection } from "../src/store/sqlite-connection.js";
import type { StoreProblem } from "../src/store/store-error.js";
import { MIGRATIONS } from "../src/store/tables.js";
import { compileWorkers, ended, linesOf } from "./state-workers/worker-processes.js";

let folder: string;
let file: string;
let problems: StoreProblem[];

beforeEach(async () => {
  // Below the given one, so that the folder itself is made.
  folder = join(await mkdtemp(join(tmpdir(), "store-")), "automagik-workflows-mcp");
  file = join(folder, "automagik.db");
  problems = [];
});
afterEach(() => rm(join(folder, ".."), { recursive: true, force: true }));

async function open(giveUpAfterMs?: number): Promise<Database> {
  const db = await openDatabase({
    folder,
    onProblem: (problem) => problems.push(problem),
    ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
  });
  onTestFinished(() => db.destroy());
  return db;
}

function rowOf(key: string) {
  return { upstream: "test", key, changed: key.charCodeAt(0), record: "{}" };
}

function insert(db: Database, key: string) {
  return transaction(db, async (trx) => void (await trx.insertInto("sessions").values(rowOf(key)).execute()));
}

async function keysIn(db: Database): Promise<string[]> {
  const rows = await db.selectFrom("sessions").select("key").orderBy("key").execute();
  return rows.map(({ key }) => key);
}

/** Another program that holds the write lock. */
function lockFromOutside(): { release(): void } {
  const other = new Libsql(file);
  other.exec("begin immediate");
  return {
    release() {
      other.exec("rollback");
      other.close();
    },
  };
}

describe("the database", () => {
  it("keeps what a transaction has stored, for others and for later", async () => {
    const [one, two] = [await open(), await open()];
    await insert(one, "a");
    expect(await keysIn(two)).toEqual(["a"]);
    await one.destroy();
    await two.destroy();
    expect(await keysIn(await open())).toEqual(["a"]);
  });

  it("keeps nothing of a transaction that fails", async () => {
    const db = await open();
    const failing = transaction(db, async (trx) => {
      await trx.insertInto("sessions").values(rowOf("a")).execute();
      throw new RangeError("no");
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect(await keysIn(db)).toEqual([]);
    await insert(db, "b");
    expect(await keysIn(db)).toEqual(["b"]);
  });

  it("refuses a value that its library would end the process for", async () => {
    const db = await open();
    for (const value of [true, undefined, {}, () => {}]) {
      await expect(db.executeQuery(CompiledQuery.raw("select ?", [value]))).rejects.toThrow(TypeError);
    }
  });

  it("is private to its owner, also where its files were not", async () => {
    const before = await open();
    await insert(before, "a");
    await chmod(file, 0o666);
    await chmod(folder, 0o777);
    await insert(await open(), "b");
    const modes = await Promise.all(
      [folder, ...(await readdir(folder)).map((name) => join(folder, name))].map(async (path) =>
        ((await stat(path)).mode & 0o777).toString(8),
      ),
    );
    expect(modes).toEqual(["700", "600", "600", "600"]);
  });

  it.skipIf(process.platform === "win32")("follows no link in its place", async () => {
    await mkdir(folder);
    await symlink("/dev/null", file);
    await expect(open()).rejects.toMatchObject({ name: "StoreError", kind: "unwritable" });
  });

  it("is in memory without a folder", async () => {
    const db = await openDatabase({});
    await insert(db, "a");
    expect(await keysIn(db)).toEqual(["a"]);
    await db.destroy();
  });

  it("fails when its file was removed, and can be opened anew", async () => {
    const db = await open();
    await rm(folder, { recursive: true });
    await expect(insert(db, "lost")).rejects.toMatchObject({ name: "StoreError", kind: "removed" });
    await expect(keysIn(db)).rejects.toMatchObject({ kind: "removed" });
    const again = await open();
    await insert(again, "kept");
    expect(await keysIn(again)).toEqual(["kept"]);
  });

  it("takes nothing from the one that is in its place by now, when it is closed without ever having been read", async () => {
    const former = await open();
    for (const suffix of ["", "-wal", "-shm"]) await rm(`${file}${suffix}`);
    const present = await open();
    await insert(present, "present");
    await former.destroy();
    // As after a crash: what is on the disk now.
    await cp(folder, `${folder}-copy`, { recursive: true });
    const copy = await openDatabase({ folder: `${folder}-copy` });
    onTestFinished(() => copy.destroy());
    expect(await keysIn(copy)).toEqual(["present"]);
  });
});

describe("a database that cannot be used", () => {
  it.each([
    ["text", Buffer.from("not a database, only a long text\n".repeat(500))],
    ["zeros after a good beginning", undefined],
  ])("is moved aside and reported when it is %s", async (_kind, content) => {
    if (content) {
      await mkdir(folder, { mode: 0o700 });
      await writeFile(file, content);
    } else {
      const good = await open();
      await insert(good, "a");
      await good.destroy();
      const bytes = await readFile(file);
      await writeFile(file, bytes.fill(0, 100));
    }
    const db = await open();
    await insert(db, "new");
    expect(await keysIn(db)).toEqual(["new"]);
    expect(problems.map(({ kind }) => kind)).toEqual(["damaged"]);
    expect(problems[0]?.message).toMatch(/moved to automagik\.db\.damaged-\d+/);
    expect(problems[0]?.message).not.toContain(folder);
    const aside = (await readdir(folder)).filter((name) => /\.db\.damaged-/.test(name));
    expect(aside).toHaveLength(1);
    // No agent may read it.
    expect(listDatabaseFiles(folder)).toEqual(
      expect.arrayContaining([file, ...aside.map((name) => join(folder, name))]),
    );
  });

  it("is refused by its version, and untouched, when a newer release has changed it", async () => {
    const db = await open();
    const row = { name: "900-later", release: "9.1.0", applied_at: 1 };
    await transaction(
      db,
      async (trx) => void (await trx.insertInto("schema_migrations").values(row).execute()),
    );
    await db.destroy();
    const digest = async () =>
      createHash("sha256")
        .update(await readFile(file))
        .digest("hex");
    const before = await digest();
    const opening = open();
    await expect(opening).rejects.toMatchObject({ name: "StoreError", kind: "newer-version" });
    await expect(opening).rejects.toThrow(/version 9\.1\.0 .*AUTOMAGIK_WORKFLOWS_STATE_DIR/);
    expect(await digest()).toBe(before);
  });

  it("goes on where a newer release has only added to it and says so, until one step is of another kind", async () => {
    const db = await open();
    await db.destroy();
    const later = new Libsql(file);
    onTestFinished(() => void later.close());
    later.exec("alter table sessions add column later text");
    const insert = "insert into schema_migrations (name, release, applied_at, older_may_go_on) values";
    later.exec(`${insert} ('900-later', '9.1.0', 1, 1)`);
    const again = await open();
    expect(await again.selectFrom("schema_migrations").select("name").orderBy("name").execute()).toEqual([
      ...MIGRATIONS.map(({ name }) => ({ name })),
      { name: "900-later" },
    ]);
    await again.destroy();
    later.exec(`${insert} ('901-other', '9.2.0', 1, 0), ('902-more', '9.3.0', 1, 1)`);
    await expect(open()).rejects.toThrow(/changed by version 9\.2\.0 /);
  });

  it("has no step with which older releases go on that does more than add to it", () => {
    const adds =
      /^(create table \w+ \(|create index |alter table \w+ add column \w+ (text|integer|bigint|double precision)( not null default \S+)?$)/;
    for (const { name, statements } of MIGRATIONS.filter(({ olderMayGoOn }) => olderMayGoOn))
      for (const statement of statements) expect(statement.trim(), name).toMatch(adds);
  });

  it("is told as one that cannot be locked when its lock is never given", async () => {
    await mkdir(folder, { mode: 0o700 });
    const other = new Libsql(file);
    onTestFinished(() => void other.close());
    other.exec("create table t (a); begin exclusive");
    const opening = open(100);
    await expect(opening).rejects.toMatchObject({ name: "StoreError", kind: "unavailable" });
    await expect(opening).rejects.toThrow(/cannot be locked .*AUTOMAGIK_WORKFLOWS_STATE_DIR/);
  });

  it("is told without its path when something is in the folder's place", async () => {
    await writeFile(folder, "a file");
    const opening = open();
    await expect(opening).rejects.toMatchObject({ name: "StoreError", kind: "unwritable" });
    await expect(opening).rejects.not.toThrow(folder);
  });
});

describe("a change while somebody else writes", () => {
  it("waits without holding up the process, and is made afterwards", async () => {
    const db = await open();
    const lock = lockFromOutside();
    const order: string[] = [];
    const change = insert(db, "a").then(() => order.push("changed"));
    for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setTimeout(resolve, 1));
    order.push("released");
    lock.release();
    await change;
    expect(order).toEqual(["released", "changed"]);
    expect(await keysIn(db)).toEqual(["a"]);
  });

  it("fails clearly when that takes too long, and can be made later", async () => {
    const db = await open(50);
    const lock = lockFromOutside();
    await expect(insert(db, "a")).rejects.toMatchObject({ name: "StoreError", kind: "busy" });
    lock.release();
    await insert(db, "a");
    expect(await keysIn(db)).toEqual(["a"]);
  });

  it("fails after no longer a time when others are before it, and keeps nobody from reading", async () => {
    const db = await open(1_000);
    await insert(db, "a");
    const lock = lockFromOutside();
    const began = performance.now();
    const inserted = ["b", "c", "d", "e", "f"].map((key) => insert(db, key));
    const settled = Promise.allSettled(inserted);
    const read = await Promise.race([keysIn(db), settled]);
    expect(read).toEqual(["a"]);
    for (const result of await settled) expect(result).toMatchObject({ reason: { kind: "busy" } });
    // One after the other would take five seconds.
    expect(performance.now() - began).toBeLessThan(4_000);
    lock.release();
    await insert(db, "b");
    expect(await keysIn(db)).toEqual(["a", "b"]);
  });

  it("is made after those that were asked for before it, and not seen by halves", async () => {
    const db = await open();
    const order: string[] = [];
    const first = transaction(db, async (trx) => {
      for (const key of ["a", "b"]) await trx.insertInto("sessions").values(rowOf(key)).execute();
      expect(await keysIn(db)).toEqual([]);
      await trx.insertInto("sessions").values(rowOf("c")).execute();
      order.push("first");
    });
    const removing = transaction(db, (trx) => trx.deleteFrom("sessions").where("key", "=", "a").execute());
    const removed = removing.then(() => order.push("removed"));
    const last = insert(db, "d").then(() => order.push("last"));
    await Promise.all([first, removed, last]);
    expect(order).toEqual(["first", "removed", "last"]);
    expect(await keysIn(db)).toEqual(["b", "c", "d"]);
  });

  it("is not seen by halves in memory either", async () => {
    const db = await openDatabase({});
    onTestFinished(() => db.destroy());
    let reading: Promise<string[]> | undefined;
    await transaction(db, async (trx) => {
      await trx.insertInto("sessions").values(rowOf("a")).execute();
      reading = keysIn(db);
      await trx.insertInto("sessions").values(rowOf("b")).execute();
    });
    expect(await reading).toEqual(["a", "b"]);
  });

  it("is made in a transaction only", async () => {
    const db = await open();
    await expect(db.insertInto("sessions").values(rowOf("a")).execute()).rejects.toThrow("read-only");
    expect(await keysIn(db)).toEqual([]);
  });

  it("does not keep others from reading", async () => {
    const db = await open();
    await insert(db, "a");
    const lock = lockFromOutside();
    expect(await keysIn(db)).toEqual(["a"]);
    lock.release();
  });
});

describe("several processes on one database", () => {
  let workers: ReturnType<typeof compileWorkers>;
  beforeAll(() => {
    workers = compileWorkers();
  }, 60_000);
  afterAll(() => workers.dispose());

  async function told(worker: ReturnType<typeof workers.start>): Promise<string[]> {
    const lines: string[] = [];
    for await (const line of { [Symbol.asyncIterator]: () => linesOf(worker) }) lines.push(line);
    return lines;
  }

  it("make it once when ten open it at the same time, and lose no change", async () => {
    const all = Array.from({ length: 10 }, () => workers.start("count-in-database", [folder, "n", "20"]));
    const lines = await Promise.all(all.map(told));
    expect(
      lines
        .flat()
        .map(Number)
        .sort((a, b) => a - b),
    ).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    const db = await open();
    const applied = await db.selectFrom("schema_migrations").select("name").execute();
    expect(applied.map(({ name }) => name)).toEqual(MIGRATIONS.map(({ name }) => name));
  }, 60_000);

  it("begin one new database when all find a damaged one", async () => {
    await mkdir(folder, { mode: 0o700 });
    await writeFile(file, "not a database, only a long text\n".repeat(500));
    const all = Array.from({ length: 5 }, () => workers.start("count-in-database", [folder, "n", "5"]));
    const lines = (await Promise.all(all.map(told))).flat();
    expect(lines.filter((line) => line.startsWith("problem: "))).toHaveLength(1);
    const numbers = lines.filter((line) => !line.startsWith("problem: ")).map(Number);
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
  }, 60_000);

  it("keep every acknowledged change when they are killed while they write", async () => {
    for (let round = 0; round < 8; round += 1) {
      const pair = ["a", "b"].map((key) => ({
        key,
        worker: workers.start("count-in-database", [folder, key]),
      }));
      const acknowledged = await Promise.all(
        pair.map(async ({ key, worker }) => {
          const lines = linesOf(worker);
          let last = 0;
          for (let seen = 0; seen < 1 + (round % 7); seen += 1) last = Number((await lines.next()).value);
          worker.kill("SIGKILL");
          for (let rest = await lines.next(); !rest.done; rest = await lines.next())
            last = Number(rest.value);
          await ended(worker);
          return { key, last };
        }),
      );
      const db = await open();
      const check = await sql<{ integrity_check: string }>`pragma integrity_check`.execute(db);
      expect(check.rows).toEqual([{ integrity_check: "ok" }]);
      for (const { key, last } of acknowledged) {
        const row = await db
          .selectFrom("sessions")
          .select("record")
          .where("key", "=", key)
          .executeTakeFirstOrThrow();
        expect(Number(row.record) - last).toBeGreaterThanOrEqual(0);
        expect(Number(row.record) - last).toBeLessThanOrEqual(1);
      }
      await db.destroy();
    }
    expect(problems).toEqual([]);
  }, 120_000);
});

it("a query that comes when the connection is closed is told in plain words, and is no defect", () => {
  const library = new Libsql(":memory:");
  const connection = new SqliteConnection(library);
  library.close();
  expect(() => connection.prepare("select 1")).toThrow(
    expect.objectContaining({ name: "StoreError", message: expect.stringContaining("Nothing was changed") }),
  );
});
