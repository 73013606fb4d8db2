import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createCostReader } from "../src/engine/agent/claude/cost-reader.js";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { addCost, costSince, costsByDay, dayOf } from "../src/engine/runs/costs.js";
import type { EngineRun } from "../src/engine/runs/run.js";
import { type Clock, systemClock } from "../src/shared/clock.js";
import { type ContractClient, createContractClient } from "./contract/upstream.js";
import { runBin, toVariables } from "./support/bin.js";
import { ENGINE_KEY, engineFolder, QUESTION, startLocalEngine, withScript } from "./support/local-engine.js";

let place: ReturnType<typeof engineFolder>;
let engine: LocalEngine;
let client: ContractClient;
/** What the engine's clock is ahead of the real one, in ms. */
let aheadMs = 0;
const clock: Clock = { ...systemClock, now: () => Date.now() + aheadMs };

async function open(
  settings: Parameters<typeof startLocalEngine>[1] = {},
  more: Parameters<typeof startLocalEngine>[3] = {},
): Promise<void> {
  engine = await startLocalEngine(place.folder, settings, {}, { clock, ...more });
  client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
}

beforeEach(() => {
  aheadMs = 0;
  place = engineFolder();
});
afterEach(async () => {
  await engine.close();
  place.remove();
});

const START = { input_format: "stream-json" };
/** An agent that takes a turn for each of these costs. */
const spend = (...costs: number[]) =>
  withScript("Go", { steps: costs.map((cost) => ({ text: "On", cost })) });
/** One that takes a turn for the cost, and then waits for a message before it takes another one. */
const spendAndWait = (cost: number) =>
  withScript("Go", { steps: [{ text: "On", cost }, { listen: 1 }, { text: "More" }, { text: "Done" }] });

describe("what a run costs", () => {
  it("is told while it goes on, and is exact when it has ended", async () => {
    await open();
    const { run_id } = await client.start({ message: spendAndWait(0.5) });
    const running = await client.until(run_id, ({ metrics }) => metrics.cost_usd > 0);
    // The agent rounds what it tells in the midst of its work.
    expect(running.metrics.cost_usd).toBeCloseTo(0.5, 3);
    expect(running.metrics).not.toHaveProperty("cost_at_least");
    await client.post(`/run/${run_id}/add-message`, { message_type: "user", content: "Go on" });
    const { metrics } = await client.ended(run_id);
    expect(metrics.cost_usd).toBeCloseTo(0.52, 9);
    expect(metrics.cost_at_least).toBe(false);
  });

  it("does not count what the conversation had cost before", () => {
    const asked: string[] = [];
    const told: number[] = [];
    const costs = createCostReader({
      continued: true,
      write: (message) => asked.push(String(message.request_id)) > 0,
      onCost: (usd) => told.push(usd),
    });
    const answer = (text: string) =>
      costs.answered({ response: { subtype: "success", request_id: asked.at(-1), response: { text } } });
    costs.begun();
    // It is asked one thing after another, and nothing of this is lost.
    costs.turn();
    expect(asked).toHaveLength(1);
    answer("Estimated cost:        $1,012.35 (costs may be inaccurate)\nTotal duration (API):  0s");
    expect(asked).toHaveLength(2);
    answer("Total cost:            $1,014.35");
    expect(told).toEqual([expect.closeTo(1.99, 6)]);
    // What the program says in other words tells nothing, and does no harm.
    costs.turn();
    answer("You are using your subscription");
    costs.result(2.004);
    costs.begun();
    answer("Estimated cost: $1,014.35");
    costs.turn();
    answer("Estimated cost: $1,014.40");
    expect(told.slice(1)).toEqual([expect.closeTo(0.04, 6)]);
    // A program of an earlier version does not know the question, and is not asked again.
    costs.turn();
    costs.answered({ response: { subtype: "error", request_id: asked.at(-1), error: "Unsupported" } });
    costs.turn();
    expect(asked).toHaveLength(6);
  });

  it("is told as more than that when the agent was ended before it could tell", async () => {
    await open();
    const message = withScript("Go", { steps: [{ text: "On", cost: 0.4 }, { hang: true }] });
    const { run_id } = await client.start({ message });
    await client.until(run_id, ({ current_turn }) => current_turn === 1);
    await client.post(`/run/${run_id}/kill`, undefined, { force: "true" });
    const { metrics } = await client.ended(run_id);
    expect(metrics.cost_at_least).toBe(true);
    const { runs } = await client.product.listRuns();
    expect(runs[0]).toMatchObject({ runId: run_id, costAtLeast: true });
  });
});

describe("the limit of a day", () => {
  const LIMIT = { engineCostLimitPerDayUsd: 1 };

  it("lets nothing start when it is reached, also after a restart, and begins anew at midnight", async () => {
    await open(LIMIT);
    const first = await client.start({ message: spend(0.6, 0.5) });
    // By itself, or by the limit: its second turn costs more than is left.
    await client.ended(first.run_id);
    await engine.close();
    await open(LIMIT);
    const refused = await client.post("/run/implement", { ...START, message: "Once more" });
    expect(refused).toMatchObject({ status: 409, body: { started: false, error_code: "day_cost_limit" } });
    expect(refused.body.detail).toMatch(
      /^The cost limit of the day is reached\. Today's runs have cost \$1\.10 of the \$1\.00 that a day may cost\. The day begins anew at midnight \(local time\), in (\d+ h )?\d+ min\. To allow more, set AUTOMAGIK_WORKFLOWS_ENGINE_COST_LIMIT_PER_DAY to a higher sum/,
    );
    await expect(
      client.product.startRun({ workflowName: "implement", message: "Again", inputFormat: "stream-json" }),
    ).rejects.toMatchObject({
      mayHaveActed: false,
      message: expect.stringContaining("Not started; nothing was charged."),
    });
    expect((await client.get("/runs")).body.total_count).toBe(1);
    aheadMs = dayOf(Date.now()).to - Date.now() + 1_000;
    const next = await client.start({ message: spend(0.1) });
    expect(next).not.toHaveProperty("note");
    await client.ended(next.run_id);
    // Set back, the clock is in a day of which nothing is left; what was spent "tomorrow" counts, too.
    aheadMs = 0;
    expect((await client.post("/run/implement", { ...START, message: "Once more" })).status).toBe(409);
  });

  it("is told of when little is left: with the start and with the result", async () => {
    await open(LIMIT);
    const first = await client.start({ message: spend(0.85) });
    expect(first).not.toHaveProperty("note");
    const { result } = await client.ended(first.run_id);
    // The second run may have told its own cost by the third start.
    const near = /Today's runs have cost \$0\.8[56] of the \$1\.00 that a day may cost\. The day begins anew/;
    expect(result.final_output).toMatch(near);
    const second = await client.start({ message: spend(0.01) });
    expect(second.note).toMatch(near);
    const run = await client.product.startRun({
      workflowName: "implement",
      message: spend(0.01),
      inputFormat: "stream-json",
    });
    expect(run.startNote).toMatch(near);
    await client.ended(run.runId);
  });

  it("gives a run what is left of it, and says why it was ended", async () => {
    await open({ ...LIMIT, engineCostLimitUsd: 5 });
    await client.ended((await client.start({ message: spend(0.7) })).run_id);
    const { run_id } = await client.start({ message: spend(0.2, 0.2, 0.2, 0.2) });
    const ended = await client.ended(run_id);
    expect(ended).toMatchObject({ status: "failed", error_code: "day_cost_limit" });
    expect(ended.error_message).toMatch(/^The cost limit of the day was reached\. .* continue the session/);
    // Two turns used up the 0.30 that were left: the limit was passed by less than a turn.
    expect(ended.metrics.cost_usd).toBeCloseTo(0.4, 6);
  });

  it("ends what goes on when others have used it up, after one more turn at most", async () => {
    await open(LIMIT);
    const steps = [{ text: "On", cost: 0.1 }, { listen: 1 }, { text: "More" }, { hang: true }];
    const waiting = await client.start({ message: withScript("Go", { steps }) });
    await client.until(waiting.run_id, ({ metrics }) => metrics.cost_usd > 0);
    const other = await client.start({ message: spend(0.5, 0.6, 0.6) });
    expect(await client.ended(other.run_id)).toMatchObject({ error_code: "day_cost_limit" });
    await client.post(`/run/${waiting.run_id}/add-message`, { message_type: "user", content: "Go on" });
    const ended = await client.ended(waiting.run_id);
    expect(ended).toMatchObject({ status: "failed", error_code: "day_cost_limit", current_turn: 2 });
  });

  it("is looked at again when a run that waited begins", async () => {
    // The second message opens a turn after the result.
    await open({ ...LIMIT, engineConcurrency: 1 }, { lingerMs: 1_000 });
    const first = await client.start({ message: spendAndWait(0.1) });
    await client.until(first.run_id, ({ current_turn }) => current_turn === 1);
    const waiting = await client.start({ message: spend(0.1) });
    expect((await client.get(`/run/${waiting.run_id}/status`)).body.status).toBe("pending");
    const content = '#script [{ "text": "Dear", "cost": 2 }]';
    await client.post(`/run/${first.run_id}/add-message`, { message_type: "user", content });
    await client.post(`/run/${first.run_id}/add-message`, { message_type: "user", content });
    const ended = await client.ended(waiting.run_id);
    expect(ended).toMatchObject({ status: "failed", started: false, error_code: "day_cost_limit" });
    expect(ended.error_message).toMatch(
      /^Not started; nothing was charged\. The cost limit of the day was reached while the run waited\. Today's runs/,
    );
    expect(ended.metrics).toMatchObject({ cost_usd: 0, cost_at_least: false });
  });

  it("counts what runs that go on may still cost, where a run has a limit", async () => {
    await open({ ...LIMIT, engineCostLimitUsd: 0.5 });
    const message = withScript("Ask", { steps: [{ ask: [QUESTION], cost: 0.1 }, { text: "Done" }] });
    for (let index = 0; index < 2; index++) {
      const { run_id } = await client.start({ message });
      await client.until(run_id, ({ metrics }) => metrics.cost_usd > 0);
    }
    const refused = await client.post("/run/implement", { ...START, message: "A third one" });
    expect(refused.body.detail).toMatch(
      /Today's runs have cost \$0\.\d\d of the \$1\.00 that a day may cost, and the runs that go on or wait may cost \$0\.\d\d more\. Wait until one of them has ended\./,
    );
  });
});

describe("the limit of a caller's day", () => {
  const LIMIT = { engineCostLimitPerDayAndCallerUsd: 1 };
  const anna = { user_id: "8a1f2f0e-5a0c-4f4e-9d0a-3d8c8f3b1c11", user_name: "anna" };
  const ben = { user_id: "ben" };

  it("lets this caller start nothing more when it is reached, and others do", async () => {
    await open(LIMIT);
    await client.ended((await client.start({ ...anna, message: spend(0.6, 0.5) })).run_id);
    const refused = await client.post("/run/implement", { ...START, ...anna, message: "Once more" });
    expect(refused).toMatchObject({ status: 409, body: { started: false, error_code: "day_cost_limit" } });
    expect(refused.body.detail).toMatch(
      /^The cost limit of the day is reached\. Today's runs of anna have cost \$1\.10 of the \$1\.00 that a caller's day may cost\. The day begins anew at .* set AUTOMAGIK_WORKFLOWS_ENGINE_COST_LIMIT_PER_DAY_AND_CALLER to a higher sum/,
    );
    for (const caller of [ben, {}]) {
      const started = await client.start({ ...caller, message: spend(0.85) });
      expect(started).not.toHaveProperty("note");
      await client.ended(started.run_id);
    }
    // Near the limit its caller is told so, and who names nobody is a caller, too.
    expect((await client.start({ ...ben, message: spend(0.01) })).note).toMatch(
      /^Today's runs of ben have cost \$0\.8\d of the \$1\.00/,
    );
    expect((await client.start({ message: spend(0.01) })).note).toMatch(
      /^Today's runs that name no caller have cost \$0\.8\d of the \$1\.00/,
    );
  });

  it("ends what goes on of this caller when it is used up, and leaves the day's own limit as it is", async () => {
    await open({ ...LIMIT, engineCostLimitPerDayUsd: 2 });
    await client.ended((await client.start({ ...anna, message: spend(0.7) })).run_id);
    const ended = await client.ended((await client.start({ ...anna, message: spend(0.2, 0.2, 0.2) })).run_id);
    expect(ended).toMatchObject({ status: "failed", error_code: "day_cost_limit" });
    expect(ended.error_message).toMatch(
      /^The cost limit of the day was reached\. Today's runs of anna have .* continue the session/,
    );
    await client.ended((await client.start({ ...ben, message: spend(0.95) })).run_id);
    const refused = await client.post("/run/implement", { ...START, user_id: "carl", message: "Go" });
    expect(refused.body.detail).toMatch(
      /Today's runs have cost \$2\.\d\d of the \$2\.00 that a day may cost/,
    );
  });

  it("counts what runs of this caller that go on may still cost", async () => {
    await open({ ...LIMIT, engineCostLimitUsd: 0.5 });
    const message = withScript("Ask", { steps: [{ ask: [QUESTION], cost: 0.1 }, { text: "Done" }] });
    for (let index = 0; index < 2; index++) {
      const { run_id } = await client.start({ ...anna, message });
      await client.until(run_id, ({ metrics }) => metrics.cost_usd > 0);
    }
    const refused = await client.post("/run/implement", { ...START, ...anna, message: "A third one" });
    expect(refused.body.detail).toMatch(
      /Today's runs of anna have cost .* and the runs that go on or wait may cost \$0\.\d\d more\. Wait until/,
    );
    expect((await client.start({ ...ben, message: spend(0.1) })).run_id).toBeTruthy();
  });
});

describe("`engine cost`", () => {
  it("shows what days have cost, by workflow, without an engine and beside one", async () => {
    await open();
    aheadMs = dayOf(Date.now()).from - 60_000 - Date.now();
    await client.ended((await client.start({ message: spend(0.25) }, "review")).run_id);
    aheadMs = 0;
    await client.ended((await client.start({ message: spend(1.5) }, "implement")).run_id);
    const killed = await client.start(
      { message: withScript("Go", { steps: [{ text: "On" }, { hang: true }] }) },
      "fix",
    );
    await client.until(killed.run_id, ({ current_turn }) => current_turn === 1);
    await client.post(`/run/${killed.run_id}/kill`, undefined, { force: "true" });
    await client.ended(killed.run_id);
    const env = {
      HOME: place.folder,
      ...toVariables({ STATE_DIR: place.folder, ENGINE_COST_LIMIT_PER_DAY: "5" }),
    };
    const beside = await runBin(["engine", "cost", "--days", "2", "--json"], env);
    await engine.close();
    const told = await runBin(["engine", "cost", "--days", "2"], env);
    expect(JSON.parse(beside.stdout)).toMatchObject({
      at_least: true,
      runs: 3,
      days: [
        {
          runs: 2,
          at_least: true,
          workflows: [
            { name: "implement", cost_usd: 1.5, at_least: false, runs: 1 },
            { name: "fix", at_least: true, runs: 1 },
          ],
        },
        { cost_usd: 0.25, at_least: false, runs: 1, workflows: [{ name: "review", cost_usd: 0.25 }] },
      ],
    });
    expect(told).toMatchObject({ code: 0, stderr: "" });
    const cells = told.stdout.split("\n").map((line) => line.trim().split(/ {2,}/));
    expect(cells.slice(1, 8)).toEqual([
      [
        expect.stringMatching(/^\d{4}-\d\d-\d\d \(today\)$/),
        expect.stringMatching(/^at least \$1\.5/),
        "2 runs",
      ],
      ["implement", "$1.50", "1 run"],
      ["fix", expect.stringMatching(/^at least \$0\.0/), "1 run"],
      [expect.stringMatching(/^\d{4}-\d\d-\d\d$/), "$0.25", "1 run"],
      ["review", "$0.25", "1 run"],
      ["2 days", expect.stringMatching(/^at least \$1\.7/), "3 runs"],
      [expect.stringMatching(/^"at least": a run goes on/)],
    ]);
    expect(told.stdout).toMatch(/Limit of a day: \$5\.00, \$3\.\d\d of it left today\./);
    const status = await runBin(["engine", "status"], env);
    expect(status.stdout).toMatch(
      /\n {2}cost today +at least \$1\.5\d; `automagik-workflows-mcp engine cost` shows more\n/,
    );
    expect(await runBin(["engine", "cost", "--days", "0"], env)).toMatchObject({ code: 2 });
  });
});

describe("a day", () => {
  /** In a time zone, which Node takes up at once. */
  function inZone(zone: string): void {
    const { TZ } = process.env;
    process.env.TZ = zone;
    onTestFinished(() => {
      if (TZ === undefined) delete process.env.TZ;
      else process.env.TZ = TZ;
    });
  }
  const HOUR = 3_600_000;
  const run = (spent: [at: string, usd: number][]): EngineRun =>
    spent.reduce(
      (costly, [at, usd]) => Object.assign(costly, addCost(costly, costly.costUsd + usd, Date.parse(at))),
      { createdAt: 0, costUsd: 0, turn: 1, request: { workflowName: "fix" } } as unknown as EngineRun,
    );

  beforeEach(() => open());

  it("has 23 or 25 hours when the clocks change, and begins at the place's own midnight", () => {
    inZone("Europe/Berlin");
    const spring = dayOf(Date.parse("2026-03-29T12:00:00Z"));
    expect(spring).toEqual({
      from: Date.parse("2026-03-28T23:00:00Z"),
      to: Date.parse("2026-03-29T22:00:00Z"),
    });
    const autumn = dayOf(Date.parse("2026-10-25T12:00:00Z"));
    expect((autumn.to - autumn.from) / HOUR).toBe(25);
    process.env.TZ = "Asia/Kathmandu";
    expect(dayOf(Date.parse("2026-01-01T18:14:00Z")).to).toBe(Date.parse("2026-01-01T18:15:00Z"));
  });

  it("gets of a run that works over midnight what was spent on it, whatever zone it is looked at from", () => {
    inZone("Europe/Berlin");
    const over = run([
      ["2026-11-28T22:50:00Z", 1],
      ["2026-11-28T22:58:00Z", 1],
      ["2026-11-28T23:02:00Z", 4],
    ]);
    expect(over.costs).toHaveLength(2);
    const now = Date.parse("2026-11-29T09:00:00Z");
    expect(costSince([over], dayOf(now).from)).toBe(4);
    expect(costsByDay([over], now, 3).map(({ day, usd, runs }) => [day, usd, runs])).toEqual([
      ["2026-11-29", 4, 1],
      ["2026-11-28", 2, 1],
      ["2026-11-27", 0, 0],
    ]);
    process.env.TZ = "America/Los_Angeles";
    expect(costsByDay([over], now, 2).map(({ day, usd }) => [day, usd])).toEqual([
      ["2026-11-29", 0],
      ["2026-11-28", 6],
    ]);
  });

  it("counts a run of an earlier version on the day on which it ended", () => {
    inZone("UTC");
    const { costs: _, ...earlier } = run([["2026-11-28T10:00:00Z", 2]]);
    const ended = { ...earlier, endedAt: Date.parse("2026-11-28T12:00:00Z") } as EngineRun;
    expect(costSince([ended], Date.parse("2026-11-28T11:00:00Z"))).toBe(2);
    expect(costSince([ended], Date.parse("2026-11-29T00:00:00Z"))).toBe(0);
  });
});
