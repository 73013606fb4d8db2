import { realpathSync } from "node:fs";
import { expect, it, onTestFinished } from "vitest";
import { renderTable } from "../src/cli/sessions/render-sessions.js";
import { costOfSession } from "../src/sessions/session-cost.js";
import type { RunRecord } from "../src/sessions/store/session-record.js";
import { temporaryFolder } from "./support/bin.js";
import { COMPLETE, connectInMemory } from "./support/harness.js";
import { ENGINE_KEY, startLocalEngine, withScript } from "./support/local-engine.js";

it("a session tells what its runs have cost together, and at least that where it is not known of each", async () => {
  const home = realpathSync(temporaryFolder());
  const engine = await startLocalEngine(home);
  onTestFinished(() => engine.close());
  const { call } = await connectInMemory({
    home,
    locate: async () => ({ baseUrl: engine.url, apiKey: ENGINE_KEY }),
    settings: { ENGINE: "local", API_KEY: ENGINE_KEY },
  });
  const run = (message: string, more: object) =>
    call({ ...COMPLETE, repository_url: "", git_branch: "", ...more, message });
  const list = async () => (await call({ action: "list_sessions", active_only: false })).data.sessions[0];
  const spend = (cost: number) => withScript("Go", { steps: [{ text: "Done", cost }] });

  await run(spend(0.3), { session_name: "dear" });
  const one = await list();
  expect(one).toMatchObject({ cost_usd: 0.3, runs: 1 });
  expect(one).not.toHaveProperty("cost_at_least");
  const second = await run(spend(0.25), { continue_session: "dear", session_name: undefined });
  const { run_id } = second.data.run;
  const status = await call({ action: "status", run_id });
  expect(status.data).toMatchObject({
    summary: expect.stringMatching(/ The 2 runs of its session have cost \$0\.55\.$/),
    run: { cost_usd: 0.25, session_cost_usd: 0.55 },
  });

  const hangs = withScript("Go", { steps: [{ text: "On", cost: 0.2 }, { hang: true }] });
  const third = await run(hangs, { continue_session: "dear", session_name: undefined, wait_seconds: 0 });
  const target = { run_id: third.data.run.run_id };
  await expect
    .poll(async () => (await call({ action: "status", ...target, wait_seconds: 0 })).data.run.turn, {
      timeout: 60_000,
    })
    .toBe(1);
  await call({ action: "kill", ...target, force: true, confirm: true });
  const killed = await call({ action: "status", ...target });
  expect(killed.data.run).toMatchObject({ status: "killed", session_cost_at_least: true });
  expect(killed.text).toMatch(/The 3 runs of its session have cost at least \$0\.\d\d\./);
  const all = await list();
  expect(all).toMatchObject({ runs: 3, cost_at_least: true });
  const table = renderTable([all], { width: undefined, paint: (text) => text, now: Date.now() });
  expect(table).toMatch(/ \$0\.\d\d\+ /);
});

it("what a session has cost is never told as nothing where it is not known", () => {
  const record = (more: Partial<RunRecord>): RunRecord => ({
    runId: "r",
    workflowName: "fix",
    status: "completed",
    updatedAt: 0,
    ...more,
  });
  const cost = (...runs: Partial<RunRecord>[]) => costOfSession({ runs: runs.map(record) });
  expect(cost({})).toBeUndefined();
  expect(cost({ status: "running" }, { status: "failed" })).toBeUndefined();
  expect(cost({ costUsd: 0.1 }, {})).toEqual({ usd: 0.1, atLeast: true });
  expect(cost({ costUsd: 0.1 }, { costUsd: 0.2, status: "running" })).toEqual({ usd: 0.3, atLeast: true });
  expect(cost({ costUsd: 0.1 }, { costUsd: 0.2, costAtLeast: true })).toEqual({ usd: 0.3, atLeast: true });
  // What came to nothing, and what has not begun, has cost nothing.
  expect(cost({ costUsd: 0.1 }, { status: "failed", neverStarted: true }, { status: "pending" })).toEqual({
    usd: 0.1,
    atLeast: false,
  });
});

it("a start beyond the limit of a day is told as one that cost nothing, with what to do", async () => {
  const home = realpathSync(temporaryFolder());
  const engine = await startLocalEngine(home, { engineCostLimitPerDayUsd: 1 });
  onTestFinished(() => engine.close());
  const { call } = await connectInMemory({
    home,
    locate: async () => ({ baseUrl: engine.url, apiKey: ENGINE_KEY }),
    settings: { ENGINE: "local", API_KEY: ENGINE_KEY },
  });
  const run = (session_name: string, cost: number) =>
    call({
      ...COMPLETE,
      repository_url: "",
      git_branch: "",
      session_name,
      message: withScript("Go", { steps: [{ text: "Done", cost }] }),
    });
  expect((await run("one", 0.9)).text).toContain(
    "Today's runs have cost $0.90 of the $1.00 that a day may cost.",
  );
  // Said with the start, and again with the result.
  const near = await run("two", 0.2);
  expect(near.text).toMatch(/^Started [^\n]* Today's runs have cost \$0\.90 of the \$1\.00/);
  const refused = await run("three", 0.1);
  expect(refused.isError).toBe(true);
  expect(refused.text).toMatch(/Today's runs have cost \$1\.10 of the \$1\.00 that a day may cost\./);
  expect(refused.text).toMatch(/Not started; nothing was charged\./);
  const { sessions } = (await call({ action: "list_sessions", active_only: false })).data;
  expect(sessions.map(({ session_name }: { session_name: string }) => session_name)).toEqual(["two", "one"]);
});
