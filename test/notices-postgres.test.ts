import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { noticeOfEnd } from "../src/notices/notice.js";
import type { createNotifier, Notifier } from "../src/notices/notifier.js";
import { openOutboxes } from "../src/notices/open-outboxes.js";
import { temporaryFolder } from "./support/bin.js";
import { createHandClock } from "./support/hand-clock.js";
import { silentLog } from "./support/harness.js";
import { storedNotices } from "./support/notices.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";

const programs = await findPostgres();
const PATIENT = { timeout: 30_000, interval: 20 };
const HOUR_MS = 3_600_000;

type Channels = Parameters<typeof createNotifier>[0]["channels"];

describe.skipIf(!programs)("notices of servers that share a database", () => {
  let postgres: PostgresServer;
  let address: string;
  beforeAll(async () => {
    postgres = await startPostgres(programs as string, { durable: true });
  }, 60_000);
  afterAll(() => postgres.dispose());
  beforeEach(async () => {
    address = await postgres.createDatabase();
  });

  const ask = <Row extends Record<string, unknown>>(sql: string) =>
    postgres.query<Row>(sql, new URL(address).pathname.slice(1));
  const states = async () =>
    (await ask<{ state: string }>("select state from notices")).map(({ state }) => state);
  /** As if the time had passed in which a window may say that its person knows. */
  const pass = () => ask("update notices set due_at = due_at - 10000, created_at = created_at - 10000");

  /** A machine whose clock goes by hand. */
  function openMachine(
    more: {
      aheadMs?: number;
      send?: (title: string) => Promise<void>;
      names?: ("command" | "desktop")[];
    } = {},
  ) {
    const { aheadMs = 0, names = ["command"] } = more;
    const told: string[] = [];
    const clock = createHandClock();
    clock.advance(aheadMs);
    const channels: Channels = names.map((name) => ({
      name,
      async send({ title }) {
        await more.send?.(title);
        told.push(`${name}: ${title}`);
      },
    }));
    const folder = temporaryFolder();
    const notifier = openOutboxes({ folder, address, channels, clock, log: silentLog });
    onTestFinished(() => notifier.close());
    return { notifier, clock, told, folder };
  }

  function addEnd(notifier: Notifier, { now }: { now(): number }, runId = "login"): void {
    const notice = noticeOfEnd({ runId, sessionName: runId, status: "completed" }, now());
    if (notice) notifier.add(runId, notice, now());
  }

  test("one is told by one of them, whoever has noted it", async () => {
    const machines = [openMachine(), openMachine(), openMachine()];
    for (const { notifier, clock } of machines) addEnd(notifier, clock);
    await vi.waitFor(async () => expect(await states()).toEqual(["waiting"]), PATIENT);
    await pass();
    for (const { notifier } of machines) notifier.look();
    await vi.waitFor(
      async () => expect(await ask("select 1 from deliveries where state = 'sent'")).toHaveLength(1),
      PATIENT,
    );
    for (const { notifier } of machines) await notifier.close();
    expect(machines.flatMap(({ told }) => told)).toEqual(["command: login: finished"]);
  });

  test("what one has noted and cannot tell any more another one tells, without being asked to look", async () => {
    const [one, two] = [openMachine(), openMachine()];
    two.notifier.look();
    await vi.waitFor(() => expect(two.clock.pending()).toBe(1), PATIENT);
    addEnd(one.notifier, one.clock);
    await vi.waitFor(async () => expect(await states()).toEqual(["waiting"]), PATIENT);
    await one.notifier.close();
    await pass();
    two.clock.advance(60_000);
    await vi.waitFor(() => expect(two.told).toEqual(["command: login: finished"]), PATIENT);
  });

  test("it is due by the database's clock, however wrong those of the machines are", async () => {
    const [late, early] = [openMachine(), openMachine({ aheadMs: 10 * HOUR_MS })];
    addEnd(late.notifier, late.clock);
    await vi.waitFor(async () => expect(await states()).toEqual(["waiting"]), PATIENT);
    early.notifier.look();
    await vi.waitFor(() => expect(early.clock.pending()).toBe(1), PATIENT);
    expect([await states(), early.told]).toEqual([["waiting"], []]);
    const [row] = await ask<{ late: number }>(
      "select due_at - 10000 - extract(epoch from clock_timestamp())::float8 * 1000 as late from notices",
    );
    expect(Math.abs(row?.late ?? HOUR_MS)).toBeLessThan(60_000);
  });

  test("while the database is away it is kept, and noted when that is back", async () => {
    const { notifier, clock, told } = openMachine();
    addEnd(notifier, clock, "first");
    await vi.waitFor(async () => expect(await states()).toHaveLength(1), PATIENT);
    await postgres.kill();
    addEnd(notifier, clock, "second");
    await vi.waitFor(() => expect(clock.pending()).toBeGreaterThan(1), PATIENT);
    await postgres.start();
    await vi.waitFor(async () => {
      clock.advance(30_000);
      expect(await states()).toHaveLength(2);
    }, PATIENT);
    await pass();
    notifier.look();
    await vi.waitFor(
      () => expect(told.sort()).toEqual(["command: first: finished", "command: second: finished"]),
      PATIENT,
    );
  }, 60_000);

  test("what is shown on a desktop is the business of that machine alone", async () => {
    const { notifier, clock, folder } = openMachine({ names: ["command", "desktop"] });
    const other = openMachine({ names: ["desktop"] });
    addEnd(notifier, clock);
    await vi.waitFor(async () => expect(await states()).toEqual(["waiting"]), PATIENT);
    await vi.waitFor(() => expect(Object.keys(storedNotices(folder))).toEqual(["login/ended"]), PATIENT);
    other.notifier.look();
    await other.notifier.close();
    expect(storedNotices(other.folder)).toEqual({});
  });
});
