import { describe, expect, it, onTestFinished } from "vitest";
import { type ContractClient, createContractClient } from "./contract/upstream.js";
import { ENGINE_KEY, engineFolder, QUESTION, startLocalEngine, withScript } from "./support/local-engine.js";
import { createSkippingClock } from "./support/skipping-clock.js";

/** Goes on until it is killed. */
const HANGS = [{ text: "Working" }, { hang: true }];
const QUICK = [{ text: "Done" }];
const ASKS = [{ ask: [QUESTION] }, { text: "Settled" }];

/** An engine that several people's servers use, each of which says for whom it starts a run. */
async function openEngine(slots: number) {
  const place = engineFolder();
  const clock = createSkippingClock();
  const engine = await startLocalEngine(place.folder, { engineConcurrency: slots }, {}, { clock });
  onTestFinished(async () => {
    await engine.close();
    place.remove();
  });
  const client: ContractClient = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
  const status = async (runId: string) => (await client.get(`/run/${runId}/status`)).body;
  return {
    ...client,
    clock,
    status,
    async startRun(caller: string | undefined, name: string, steps: object[]): Promise<string> {
      const message = withScript(`Do ${name}`, { steps });
      return (await client.start({ message, session_name: name, user_id: caller })).run_id;
    },
    working: (runId: string) => client.until(runId, (one) => one.current_action === "Working"),
    kill: (runId: string) => client.post(`/run/${runId}/kill`, undefined, { force: "true" }),
    /** Who waits, in the order that is told. */
    async waiting(): Promise<string[]> {
      const { waiting } = (await client.get("/slots")).body;
      return waiting.map(({ session_name }: { session_name: string }) => session_name);
    },
  };
}

describe("callers of one engine", () => {
  it("do not wait for all the runs of another one: their first begins with the next free slot", async () => {
    const { startRun, working, kill, status, ended } = await openEngine(1);
    const busy = await startRun("anna", "busy", HANGS);
    await working(busy);
    await Promise.all(Array.from({ length: 40 }, (_, index) => startRun("anna", `anna-${index}`, QUICK)));
    const ben = await startRun("ben", "ben", QUICK);
    expect((await status(ben)).current_action).toBe(
      "Waiting for a free slot, position 1 (1 of 1 busy: busy)",
    );
    await kill(busy);
    expect(await ended(ben)).toMatchObject({ status: "completed" });
  });

  it("take turns, and runs begin in the order that was told", async () => {
    const { startRun, working, kill, status, ended, waiting } = await openEngine(1);
    const busy = await startRun("anna", "busy", HANGS);
    await working(busy);
    const runs: string[] = [];
    for (const name of ["anna-1", "anna-2", "anna-3"]) runs.push(await startRun("anna", name, QUICK));
    for (const name of ["ben-1", "ben-2"]) runs.push(await startRun("ben", name, QUICK));
    runs.push(await startRun(undefined, "unnamed", QUICK));
    const told = await waiting();
    expect(told).toEqual(["ben-1", "unnamed", "anna-1", "ben-2", "anna-2", "anna-3"]);
    expect(await status(runs[0] ?? "")).toMatchObject({ waits_for_slot: { position: 3 } });
    await kill(busy);
    const begun: { name: string; at: number }[] = [];
    for (const runId of runs) {
      await ended(runId);
      const { session_name: name, started_at } = await status(runId);
      begun.push({ name, at: Date.parse(started_at) });
    }
    expect(begun.sort((a, b) => a.at - b.at).map(({ name }) => name)).toEqual(told);
  });

  it("share the slots: whoever has the fewest runs going on comes first", async () => {
    const { startRun, working, kill, waiting } = await openEngine(2);
    const first = await startRun("anna", "anna-1", HANGS);
    const second = await startRun("anna", "anna-2", HANGS);
    const ofBen = [await startRun("ben", "ben-1", HANGS), await startRun("ben", "ben-2", HANGS)];
    const third = await startRun("anna", "anna-3", HANGS);
    for (const runId of [first, second]) await working(runId);
    await kill(first);
    await working(ofBen[0] ?? "");
    expect(await waiting()).toEqual(["anna-3", "ben-2"]);
    await kill(second);
    await working(third);
    expect(await waiting()).toEqual(["ben-2"]);
  });

  it("do not keep others out by agents that wait for a person: the last place for one is not theirs", async () => {
    const { startRun, until: seen, clock, status, ended } = await openEngine(1);
    for (const name of ["a", "b", "c", "d"]) {
      const runId = await startRun("anna", name, ASKS);
      await seen(runId, ({ waiting_for }) => waiting_for === "question");
      clock.skip(60_000);
    }
    const fifth = await startRun("anna", "e", ASKS);
    expect((await status(fifth)).current_action).toBe(
      "Waiting until a session is answered, position 1: 4 wait for a person, and no more agents are kept alive (a, b, " +
        "c and 1 more)",
    );
    expect(await ended(await startRun("ben", "ben", QUICK))).toMatchObject({ status: "completed" });
    expect(await status(fifth)).toMatchObject({ status: "pending" });
  });
});
