import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { planStatus } from "../src/plans/machine/plan-status.js";
import type { PlanState } from "../src/plans/machine/state.js";
import { createContractClient } from "./contract/upstream.js";
import { runBin, startBin, temporaryFolder, toVariables } from "./support/bin.js";
import { startServeBin } from "./support/http.js";
import { SCRIPTED_AGENT } from "./support/local-engine.js";
import { closeWindow, createMachine, endAll, processesWith } from "./support/one-machine.js";
import { openStoredPlans } from "./support/stored-plans.js";

// The process that drives plans, started by the published bin.

const LIMIT_MS = 60_000;
const machineWith = (steps: object[]) =>
  createMachine({ claudePath: SCRIPTED_AGENT, env: { SCRIPTED_AGENT: JSON.stringify(steps) } });

const isDone = (state: PlanState) => planStatus(state) === "completed";
const attemptsOf = ({ steps }: PlanState) => Object.values(steps).flatMap(({ attempts }) => attempts);
const isGoingOn = (step: string) => (state: PlanState) =>
  state.steps[step]?.attempts.some(({ status }) => status === "running") === true;

/** All runs that this machine's engine knows of. */
async function runsAt(home: string): Promise<string[]> {
  const { url } = JSON.parse(readFileSync(join(home, "engine", "engine.json"), "utf8"));
  const apiKey = readFileSync(join(home, "engine-private", "key"), "utf8").trim();
  const { body } = await createContractClient({ url, apiKey }).get("/runs");
  return body.runs.map((run: { run_id: string }) => run.run_id);
}

/** Processes of this home that drive plans. */
const driversOf = (home: string) =>
  processesWith(home).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes("plan-driver");
    } catch {
      return false;
    }
  });

const TWO_STEPS = {
  name: "two",
  steps: [
    { id: "first", run: "implement", task: "Begin" },
    { id: "second", run: "review", task: "Look at it", continue: "first", needs: ["first"] },
  ],
};

it(
  "a plan goes on when the window is closed that has begun it",
  async () => {
    const { home, repository, openWindow } = machineWith([{ wait: 300 }, { text: "Done" }]);
    const plans = await openStoredPlans(home);
    const planId = await plans.begin(TWO_STEPS, repository);
    const window = await openWindow();
    await plans.until(planId, isGoingOn("first"));
    const pid = plans.driverPid();
    await closeWindow(window);
    expect(attemptsOf(await plans.until(planId, isDone))).toHaveLength(2);
    expect(plans.driverPid()).toBe(pid);
  },
  LIMIT_MS,
);

it(
  "when the driver is killed the next window carries the plan on, and no run is started twice",
  async () => {
    const { home, repository, openWindow } = machineWith([{ wait: 1_500 }, { text: "Done" }]);
    const plans = await openStoredPlans(home);
    const planId = await plans.begin(TWO_STEPS, repository);
    const former = await openWindow();
    await plans.until(planId, isGoingOn("first"));
    await closeWindow(former);
    const pid = plans.driverPid();
    endAll([pid]);
    const window = await openWindow();
    const state = await plans.until(planId, isDone);
    expect(plans.driverPid()).not.toBe(pid);
    const started = attemptsOf(state).map(({ runId }) => runId);
    expect(started).toHaveLength(2);
    expect((await runsAt(home)).sort()).toEqual([...started].sort());
    await closeWindow(window);
  },
  LIMIT_MS,
);

it(
  "when the engine is killed in a parallel build the plan goes on by itself to the same end, and each start is one run",
  async () => {
    const script = [{ wait: 1_000 }, { text: 'Done.\n```json\n{"parts": ["one", "two"]}\n```' }];
    const { home, repository, openWindow, enginePid } = machineWith(script);
    const plans = await openStoredPlans(home);
    const build = { id: "build", run: "implement", needs: ["design"], task: "Build ${item}", retry: 1 };
    const planId = await plans.begin(
      {
        name: "parallel",
        steps: [
          { id: "design", run: "architect", task: "Design it", output: { parts: { type: "list" } } },
          { ...build, for_each: "${steps.design.output.parts}" },
          { id: "review", run: "review", needs: ["build"], task: "Review it" },
        ],
      },
      repository,
    );
    const window = await openWindow();
    await plans.until(planId, isGoingOn("design"));
    await closeWindow(window);
    await plans.until(
      planId,
      ({ steps }) => steps.build?.attempts.filter(({ status }) => status === "running").length === 2,
    );
    const [driver, engine] = [plans.driverPid(), enginePid()];
    endAll([engine]);
    const state = await plans.until(planId, isDone);
    expect(plans.driverPid()).toBe(driver);
    expect(enginePid()).not.toBe(engine);
    const started = attemptsOf(state).map(({ runId }) => String(runId));
    // The design, two builds that were cut off and began again, the review.
    expect(started).toHaveLength(6);
    expect(new Set(await runsAt(home))).toEqual(new Set(started));
  },
  LIMIT_MS,
);

it.skipIf(process.platform !== "linux")(
  "of windows that open at once one starts the driver",
  async () => {
    const { home, repository, openWindow } = machineWith([{ wait: 500 }, { text: "Done" }]);
    const plans = await openStoredPlans(home);
    const planId = await plans.begin(TWO_STEPS, repository);
    const windows = await Promise.all([openWindow(), openWindow(), openWindow()]);
    await plans.until(planId, isGoingOn("first"));
    expect(driversOf(home)).toEqual([plans.driverPid()]);
    expect(attemptsOf(await plans.until(planId, isDone))).toHaveLength(2);
    await Promise.all(windows.map(closeWindow));
  },
  LIMIT_MS,
);

const GATED = {
  name: "gated",
  steps: [
    { id: "design", run: "architect", task: "Design it" },
    { id: "ok", gate: "Build this?", needs: ["design"] },
    { id: "build", run: "implement", needs: ["ok"], task: "Build it" },
  ],
};

it(
  "a driver that has ended at a gate is started again by the answer, and `engine stop` ends it and says what is left open",
  async () => {
    const { home, repository, openWindow, engine } = machineWith([{ text: "Done" }]);
    const command = (...args: string[]) =>
      runBin(args, { HOME: home, ...toVariables({ STATE_DIR: home, ENGINE: "local" }) });
    const plans = await openStoredPlans(home);
    const planId = await plans.begin(GATED, repository);
    const window = await openWindow();
    await plans.until(planId, (state) => planStatus(state) === "waiting");
    const pid = plans.driverPid();
    const waits =
      /1 open, carried out by process \d+ since .*: "gated" \(waits since .* at ok: Build this\?\)/;
    expect((await engine("status")).stdout).toMatch(waits);
    expect((await command("doctor")).stdout).toMatch(waits);
    const stopped = await engine("stop");
    expect(stopped.stdout).toContain(
      "has ended.\nThis plan stays open and goes on with the next chat window",
    );
    expect(stopped.code).toBe(0);
    expect(plans.driverPid).toThrow("ENOENT");
    expect((await command("doctor")).stdout).toContain(
      "1 open, waiting for you; an answer goes on with them: ",
    );

    const shown = await window.call({ action: "status", plan_id: planId });
    const { question_id } = shown.data.next_step.arguments;
    expect(plans.driverPid).toThrow("ENOENT");
    await window.call({ action: "answer", plan_id: planId, question_id, answer: "approve", confirm: true });
    await plans.until(planId, isDone);
    expect(plans.driverPid()).not.toBe(pid);
    await closeWindow(window);
  },
  LIMIT_MS,
);

const KEY = "a-key-that-nobody-else-may-see-7391";

/** A workflows API elsewhere, and a home whose windows use it. */
async function openElsewhere() {
  const api = await serveSimulatedApi({ apiKey: KEY, paceMs: 100 });
  const home = temporaryFolder();
  onTestFinished(async () => {
    endAll(processesWith(home));
    await api.close();
  });
  const plans = await openStoredPlans(home, api.url);
  const openWindow = (apiKey = KEY) =>
    startBin({ url: api.url, stateFolder: home, settings: { API_KEY: apiKey } });
  return { home, url: api.url, plans, openWindow };
}

/** The texts of all files below a folder. */
function readAll(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, "latin1"));
}

it.skipIf(process.platform !== "linux")(
  "with an API elsewhere the key is in the driver's memory, and in no file, argument or environment",
  async () => {
    const { home, plans, openWindow } = await openElsewhere();
    const planId = await plans.begin(TWO_STEPS);
    const window = await openWindow();
    await plans.until(planId, isGoingOn("first"));
    await closeWindow(window);
    const pid = plans.driverPid();
    for (const name of ["cmdline", "environ"])
      expect(readFileSync(`/proc/${pid}/${name}`, "latin1"), name).not.toContain(KEY);
    expect(existsSync(`/proc/${pid}/fd/0`)).toBe(true);
    expect(attemptsOf(await plans.until(planId, isDone))).toHaveLength(2);
    const files = readAll(home);
    expect(files.length).toBeGreaterThan(3);
    expect(files.filter((text) => text.includes(KEY))).toEqual([]);
  },
  LIMIT_MS,
);

it(
  "a driver whose key the API refuses says so at the plan, and gives way to a window with another key",
  async () => {
    const { plans, openWindow } = await openElsewhere();
    const planId = await plans.begin(TWO_STEPS);
    const former = await openWindow("a-key-that-was-taken-back");
    const seen = await vi.waitFor(
      async () => {
        const sight = await plans.runner.look(planId);
        if (!sight || sight.troubles.length === 0) throw new Error("Nothing is told.");
        return sight;
      },
      { timeout: 20_000, interval: 50 },
    );
    expect(seen.troubles[0]?.reason).toContain("refused the key");
    expect(planStatus(seen.state)).not.toBe("failed");
    const pid = plans.driverPid();
    await closeWindow(former);
    const window = await openWindow();
    expect(attemptsOf(await plans.until(planId, isDone))).toHaveLength(2);
    expect(plans.driverPid()).not.toBe(pid);
    await closeWindow(window);
  },
  LIMIT_MS,
);

it(
  "`serve` carries plans on from its start, without a session and without another process",
  async () => {
    const { home, url, plans } = await openElsewhere();
    const planId = await plans.begin(TWO_STEPS);
    await startServeBin({ settings: { BASE_URL: url, API_KEY: KEY, STATE_DIR: home } });
    expect(attemptsOf(await plans.until(planId, isDone))).toHaveLength(2);
    expect(existsSync(join(home, "plan-drivers"))).toBe(false);
  },
  LIMIT_MS,
);
