import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { joinWorkers } from "../src/engine/workers/workers.js";
import { systemClock } from "../src/shared/clock.js";
import type { SharedDatabase } from "../src/store/database.js";
import { openStore } from "../src/store/open-store.js";
import { createHandClock } from "./support/hand-clock.js";
import { silentLog } from "./support/harness.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";

const programs = await findPostgres();
const TIMEOUT_MS = 3_000;
/** Workers say that they are there several times within that. */
const STEP_MS = 250;
const HOUR_MS = 3_600_000;

let server: PostgresServer;

/** Two workers of a database whose clock can be set, each with a clock of its own. */
async function openPlace() {
  let aheadMs = 0;
  const database = await openStore({
    folder: "",
    address: await server.createDatabase(),
    clock: systemClock,
  });
  onTestFinished(() => database.destroy());
  const real = database.shared as SharedDatabase;
  const shared: SharedDatabase = {
    ...real,
    get now() {
      return sql<number>`${real.now} + ${aheadMs}::double precision`;
    },
    readNow: async (db) => (await real.readNow(db)) + aheadMs,
  };
  async function join(name: string) {
    const clock = createHandClock();
    const gone: string[] = [];
    const worker = await joinWorkers({
      ...{ database, shared, name, clock, timeoutMs: TIMEOUT_MS, log: silentLog, former: [] },
      ...{ id: randomUUID(), instance: randomUUID(), places: () => 1, busy: () => 0 },
      onGone: (workers) => gone.push(...workers.map((one) => one.name)),
      onLost: () => gone.push(`${name} itself`),
      onCopied: () => {},
    });
    onTestFinished(() => worker.close());
    /** Time passes for it, and it says that it is there. */
    async function live(ms: number): Promise<void> {
      for (let passed = 0; passed < ms; passed += STEP_MS) {
        clock.advance(STEP_MS);
        await worker.beat();
      }
    }
    return { ...worker, live, gone };
  }
  const [a, b] = [await join("a"), await join("b")];
  await Promise.all([a.live(TIMEOUT_MS / 2), b.live(TIMEOUT_MS / 2)]);
  return {
    a,
    b,
    setClock(ms: number) {
      aheadMs = ms;
    },
  };
}

describe.skipIf(!programs)("a worker of a database whose clock is set", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string);
  });
  afterAll(() => server?.dispose());

  it("ahead takes no other one for gone that says that it is there", async () => {
    const { a, b, setClock } = await openPlace();
    setClock(HOUR_MS);
    await a.live(STEP_MS);
    expect(a.isThere(b.own.id)).toBe(true);
    await b.live(STEP_MS);
    await a.live(STEP_MS);
    expect(a.get(b.own.id)).toMatchObject({ state: "ready", silentMs: 0 });
    expect([...a.gone, ...b.gone]).toEqual([]);
  });

  it("back takes one for gone all the same that is silent for too long", async () => {
    const { a, b, setClock } = await openPlace();
    // Its last word, which the other one hears at once.
    await b.live(STEP_MS);
    await a.live(STEP_MS);
    setClock(-HOUR_MS);
    await a.live(TIMEOUT_MS - STEP_MS);
    expect(a.gone).toEqual([]);
    await a.live(STEP_MS * 2);
    expect(new Set(a.gone)).toEqual(new Set(["b"]));
    // It is back, as its next word tells.
    await b.live(STEP_MS);
    await a.live(STEP_MS);
    expect(a.isThere(b.own.id)).toBe(true);
  });
});
