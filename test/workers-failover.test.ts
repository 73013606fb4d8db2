import { connect, createServer, type Socket } from "node:net";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { Body } from "./contract/upstream.js";
import { freePort } from "./support/free-port.js";
import { withScript } from "./support/local-engine.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";
import { startWorker, type WorkerProcess } from "./support/workers.js";

const programs = await findPostgres();
const PATIENT = { timeout: 60_000, interval: 50 };
/** Longer than a failover takes on a busy machine. */
const SETTINGS = { ENGINE_WORKER_TIMEOUT: "60" };

let primary: PostgresServer;
let replica: PostgresServer;

/** From now on what was acknowledged is at both. */
async function waitForReplica(): Promise<void> {
  await primary.query("alter system set synchronous_standby_names = '*'");
  await primary.query("select pg_reload_conf()");
}

/** One address of the database, which is moved from one server to the other. */
async function openAddress(database: string) {
  let to = primary;
  const sockets = new Set<Socket>();
  const server = createServer((from) => {
    const target = connect(to.port, "127.0.0.1");
    for (const socket of [from, target]) {
      sockets.add(socket);
      socket
        .on("error", () => {})
        .on("close", () => {
          sockets.delete(socket);
          from.destroy();
          target.destroy();
        });
    }
    from.pipe(target).pipe(from);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    address: Object.assign(new URL(database), { port: `${port}` }).href,
    moveTo(next: PostgresServer) {
      to = next;
      for (const socket of sockets) socket.destroy();
    },
  };
}

const is = (action: string) => (status: Body) => status.current_action === action;
const start = async (at: WorkerProcess, message: string): Promise<string> =>
  (await at.start({ message })).run_id;
const say = (at: WorkerProcess, runId: string, content: string) =>
  at.post(`/run/${runId}/add-message`, { content, message_type: "user" });
const LISTENS = withScript("Work", {
  steps: [{ text: "One" }, { listen: 1 }, { text: "Two" }, { listen: 2 }, { text: "Heard {{messages}}" }],
});

describe.skipIf(!programs)("a database whose replica takes over", () => {
  beforeEach(async () => {
    primary = await startPostgres(programs as string, { durable: true });
    replica = await startPostgres(programs as string, { durable: true, replicaOf: primary });
    return () => Promise.all([primary.dispose(), replica.dispose()]).then(() => {});
  }, 60_000);
  test("is the same one to all workers: their agents go on, and nothing that was acknowledged is lost", async () => {
    await waitForReplica();
    const { address, moveTo } = await openAddress(await primary.createDatabase());
    const [a, b] = await Promise.all([startWorker(address, SETTINGS), startWorker(address, SETTINGS)]);
    const runId = await start(a, LISTENS);
    await Promise.all([a, b].map((at) => at.until(runId, is("One"))));
    expect((await say(b, runId, "first")).status).toBe(200);
    await Promise.all([a, b].map((at) => at.until(runId, is("Two"))));

    await primary.kill();
    // Before it is the primary, it answers and takes no writes.
    moveTo(replica);
    const refused = await vi.waitFor(async () => {
      const answer = await b.call("POST", "/run/implement", {
        body: { message: "x", input_format: "stream-json" },
      });
      expect(answer.status).toBe(503);
      return answer;
    }, PATIENT);
    expect((refused.body as Body).detail).toContain("Nothing was started.");

    await replica.promote();
    await vi.waitFor(async () => expect((await say(b, runId, "second")).status).toBe(200), PATIENT);
    for (const at of [a, b]) {
      const ended = await at.ended(runId);
      expect(ended).toMatchObject({ status: "completed", error_message: null });
      expect(ended.result.message).toContain('first","second"');
    }
    for (const at of [a, b])
      expect(
        await at.ended(await start(at, withScript("Do it", { steps: [{ text: "Done" }] }))),
      ).toMatchObject({
        status: "completed",
      });
    expect(a.log() + b.log()).not.toContain("The database lacks what was written last");
  }, 120_000);

  test("that lacks the last changes is noticed: its agents end, and the engine goes on with what it knows", async () => {
    const { address, moveTo } = await openAddress(await primary.createDatabase());
    const a = await startWorker(address, SETTINGS);
    const known = await start(a, LISTENS);
    await a.until(known, is("One"));
    const [{ at } = { at: "" }] = await primary.query<{ at: string }>("select pg_current_wal_lsn() as at");
    await vi.waitFor(async () => {
      const has = `select 1 as one where pg_last_wal_replay_lsn() >= '${at}'::pg_lsn`;
      expect(await replica.query(has)).toHaveLength(1);
    }, PATIENT);
    await replica.kill();
    const unknown = await start(a, withScript("Work", { steps: [{ text: "Working" }, { hang: true }] }));
    await a.until(unknown, is("Working"));
    await primary.kill();
    await replica.start();
    await replica.promote();
    moveTo(replica);
    await vi.waitFor(async () => expect((await a.get(`/run/${unknown}/status`)).status).toBe(404), PATIENT);
    expect(a.log()).toContain("The database lacks what was written last");
    expect(await a.ended(known)).toMatchObject({
      error_code: "interrupted",
      error_message: expect.stringContaining("The database was replaced by an earlier copy"),
    });
    await vi.waitFor(() => expect(a.agents()).toEqual([]), PATIENT);
    const next = withScript("Do it", { steps: [{ text: "Done" }] });
    expect(await a.ended(await start(a, next))).toMatchObject({ status: "completed" });
  }, 120_000);
});
