import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Script, StartInfo } from "../mocks/types.js";
import { describePlan } from "../src/plans/machine/describe-plan.js";
import { planStatus } from "../src/plans/machine/plan-status.js";
import type { PlanState } from "../src/plans/machine/state.js";
import { upstreamFolderName } from "../src/sessions/store/file-names.js";
import { type Clock, systemClock } from "../src/shared/clock.js";
import { compileWorkers, ended, linesOf } from "./state-workers/worker-processes.js";
import { type BranchingApi, serveBranchingApi } from "./support/branching-api.js";
import { hasEnded, openDrivenPlans } from "./support/driven-plans.js";
import { silentLog } from "./support/harness.js";
import { endAll, processesWith } from "./support/one-machine.js";
import { decideAtGates, FEATURE, openPlans } from "./support/plan-place.js";
import { createPlanTerminal } from "./support/plan-terminal.js";

function scriptOf({ workflowName }: StartInfo): Script {
  const result = workflowName === "architect" ? '```json\n{"parts": ["one", "two"]}\n```' : "Done.";
  return { result, costUsd: 0.5, actions: ["Working"] };
}

/** Pauses between looks are short for whoever goes on; time limits are as they are. */
const HURRIED: Clock = {
  ...systemClock,
  after: (ms, task) => systemClock.after(ms < 5_000 ? Math.min(ms, 20) : ms, task),
};

let workers: ReturnType<typeof compileWorkers>;
beforeAll(() => {
  workers = compileWorkers(["run-plan"]);
});
afterAll(() => workers.dispose());

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "plan-kills-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Goes on with the plan in this process, deciding at its gates, until it fits. */
async function goOn(
  api: BranchingApi,
  folder: string,
  planId: string,
  fits = (state: PlanState) => planStatus(state) === "completed",
): Promise<PlanState> {
  let newest: PlanState | undefined;
  const plans = await openPlans({
    ...{ url: api.url, folder, log: silentLog, clock: HURRIED },
    onChange(state) {
      newest = state;
      void decideAtGates(plans.runner, state);
    },
  });
  try {
    plans.runner.start();
    // One that has ended is carried out by nobody.
    newest ??= (await plans.runner.look(planId))?.state;
    return await vi.waitFor(
      () => {
        if (!newest || !fits(newest))
          throw new Error(`It does not end: ${newest && JSON.stringify(describePlan(newest))}`);
        return newest;
      },
      { timeout: 60_000, interval: 10 },
    );
  } finally {
    await plans.close();
  }
}

/** What a person sees of it, and what was paid for: the same, however often it was interrupted. */
function outcomeOf(state: PlanState, api: BranchingApi) {
  const { steps, status, runs, costUsd } = describePlan(state);
  return {
    status,
    runs: runs.started,
    costUsd,
    steps: steps.map(({ id, status: of, attempt }) => [id, of, attempt]),
    paid: api.runs
      .map(({ workflow, session, continues }) => [workflow, session, continues !== undefined])
      .sort(),
    merges: api.merged.length,
    mergesAtOnce: api.mergesAtOnce,
  };
}

const WHOLE = {
  status: "completed",
  runs: 5,
  costUsd: 2.5,
  steps: [
    ["design", "succeeded", 2],
    ["ok", "succeeded", 2],
    ["build", "succeeded", 1],
    ["join", "succeeded", 1],
    ["review", "succeeded", 1],
  ],
  paid: [
    ["architect", "feature-design", false],
    ["architect", "feature-design", true],
    ["implement", "feature-build-1", false],
    ["implement", "feature-build-2", false],
    ["review", "feature-review", false],
  ],
  merges: 2,
  mergesAtOnce: 1,
};

describe("rule 8: a plan whose process is killed", () => {
  it("after any write of its journal comes to the same end, with no run twice", async () => {
    /** @returns whether it was killed before its end */
    async function killAfter(writes: number): Promise<boolean> {
      const api = await serveBranchingApi({ script: scriptOf, keepsKeys: true });
      const folder = temporaryFolder();
      const planId = randomUUID();
      const worker = workers.start("run-plan", [folder, api.url, planId, String(writes)]);
      const first = await linesOf(worker).next();
      worker.kill("SIGKILL");
      await ended(worker);
      expect(outcomeOf(await goOn(api, folder, planId), api), `killed after write ${writes}`).toEqual(WHOLE);
      return first.done === true;
    }
    let kills = 0;
    for (let isThrough = false; !isThrough; ) {
      const killed = await Promise.all([1, 2, 3, 4].map((more) => killAfter(kills + more)));
      kills += killed.length;
      isThrough = killed.includes(false);
    }
    // The starts and ends of runs, decisions and merges; what is begun is written with what it follows from.
    expect(kills).toBeGreaterThanOrEqual(16);
  });

  it.each([true, false])(
    "before it hears of a start or a merge comes to the same end (keys: %s)",
    async (keepsKeys) => {
      // While one of two parallel starts is answered the other may be on its way: without keys nobody can know of it.
      for (const acts of keepsKeys ? [1, 2, 3, 4, 5, 6, 7] : [1, 2, 4, 5, 6, 7]) {
        const api = await serveBranchingApi({ script: scriptOf, keepsKeys });
        const folder = temporaryFolder();
        const planId = randomUUID();
        const worker = workers.start("run-plan", [folder, api.url, planId]);
        let acted = 0;
        api.onActed = async () => {
          if (++acted !== acts) return;
          worker.kill("SIGKILL");
          await ended(worker);
        };
        expect(await ended(worker)).toBeNull();
        expect(outcomeOf(await goOn(api, folder, planId), api), `killed in act ${acts}`).toEqual(WHOLE);
      }
    },
  );

  it("before a start was sent to an API without keys tells that nobody knows of it, and starts nothing by itself", async () => {
    const api = await serveBranchingApi({ script: scriptOf });
    const folder = temporaryFolder();
    const planId = randomUUID();
    // Begun, taken on, and noted that the first start is being sent.
    const worker = workers.start("run-plan", [folder, api.url, planId, "3"]);
    expect(await ended(worker)).toBeNull();
    const state = await goOn(
      api,
      folder,
      planId,
      ({ steps }) => steps.design?.attempts[0]?.status === "unknown",
    );
    expect(describePlan(state).waitingFor).toMatchObject([{ step: "design", kind: "lost" }]);
    expect(api.posts).toBe(0);
  });
});

/** Loaded before the bin: it ends the driver that was started first after so many writes. */
const KILLER = new URL("./state-workers/kill-plan-driver.mjs", import.meta.url);

describe("rule 8: the process in the background that carries a plan out", () => {
  /** @returns whether the driver was killed before the plan's end */
  async function killDriverAfter(writes: number): Promise<boolean> {
    const api = await serveBranchingApi({ script: scriptOf, keepsKeys: true });
    const { home, plan } = createPlanTerminal(api);
    // A window that decides at the gate, and carries nothing out.
    const window = await openDrivenPlans(api, home, { upstream: upstreamFolderName(api.url) });
    const planId = await window.begin(FEATURE);
    const mark = join(home, "killed");
    const show = () =>
      plan(["show", "feature"], {
        NODE_OPTIONS: `--import=${KILLER}`,
        KILL_AFTER_WRITES: String(writes),
        KILL_MARK: mark,
      });
    await show();
    let isStartedAgain = false;
    const state = await window.until(planId, (now) => {
      void decideAtGates(window.runner, now);
      // The next command finds that nobody carries the plan out.
      if (existsSync(mark) && !isStartedAgain) {
        isStartedAgain = true;
        // While it waits for the person nobody is started for it: the next command is.
        void show().then(({ stdout }) => {
          isStartedAgain = /^Plan .*: running\n/.test(stdout);
        });
      }
      return hasEnded(now);
    });
    endAll(processesWith(home));
    expect(outcomeOf(state, api), `killed after write ${writes}`).toEqual(WHOLE);
    return existsSync(mark);
  }

  it("is killed after any write of the journal, and with the next command the plan comes to the same end", async () => {
    let kills = 0;
    for (let isThrough = false; !isThrough; ) {
      const killed = await Promise.all([1, 2, 3, 4, 5, 6].map((more) => killDriverAfter(kills + more)));
      kills += killed.filter(Boolean).length;
      isThrough = killed.includes(false);
    }
    // The plan is begun by the window; the driver takes it on and writes all the rest.
    expect(kills).toBeGreaterThanOrEqual(14);
  }, 120_000);
});
