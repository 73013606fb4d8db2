import { expect, it, onTestFinished, vi } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { chooseChannels } from "../src/notices/choose-channels.js";
import { endKey, noticeOfEnd } from "../src/notices/notice.js";
import { createNotifier } from "../src/notices/notifier.js";
import { createPlanNotices } from "../src/plan-runner/plan-notices.js";
import { planStatus } from "../src/plans/machine/plan-status.js";
import type { PlanState } from "../src/plans/machine/state.js";
import { temporaryFolder } from "./support/bin.js";
import { createHandClock } from "./support/hand-clock.js";
import { silentLog, until } from "./support/harness.js";
import { recordingCommand, storedNotices } from "./support/notices.js";
import { openPlans, planOf } from "./support/plan-place.js";

// What a person is told of plans: by the process that carries them out, unless a window has told it.

/** A process that carries plans out and notes what is to be told; it is told when the clock is moved. */
async function openDriver() {
  const folder = temporaryFolder();
  const clock = createHandClock(Date.now());
  const recorded = recordingCommand(folder);
  const { channels } = chooseChannels(
    { notify: "auto", notifyCommand: recorded.command },
    { env: { PATH: process.env.PATH }, platform: "linux", home: folder },
  );
  const api = await serveSimulatedApi({ apiKey: "test-key", paceMs: 20 });
  const notifier = createNotifier({ folder, channels, clock, log: silentLog });
  const notices = createPlanNotices(notifier, clock);
  const ended = new Set<string>();
  /** As the engine does it, or the watcher of runs. */
  function noteEnds({ steps }: PlanState): void {
    for (const { runId, endedAt } of Object.values(steps).flatMap(({ attempts }) => attempts)) {
      const notice = runId && endedAt && noticeOfEnd({ runId, status: "completed" }, clock.now());
      if (!notice || ended.has(runId)) continue;
      ended.add(runId);
      notifier.add(runId, notice, clock.now());
    }
  }
  const plans = await openPlans({
    url: api.url,
    folder,
    log: silentLog,
    onChange(state) {
      noteEnds(state);
      notices.changed(state);
    },
  });
  onTestFinished(async () => {
    await plans.close();
    await notifier.close();
    await api.close();
  });
  plans.runner.start();
  async function begin(raw: object): Promise<(status: string) => Promise<PlanState>> {
    const { planId } = await plans.runner.begin(
      { planId: "plan-1", plan: planOf(raw), inputs: {} },
      { repositoryUrl: "https://git.example/auth.git" },
    );
    return (status) =>
      vi.waitFor(
        async () => {
          const sight = await plans.runner.look(planId);
          if (!sight || planStatus(sight.state) !== status) throw new Error(`It is not ${status}.`);
          return sight.state;
        },
        { timeout: 10_000, interval: 20 },
      );
  }
  async function untilTold(title: string): Promise<void> {
    await until(() => {
      if (!recorded.titles().includes(title)) clock.advance(1_000);
      return recorded.titles().includes(title);
    }, title);
  }
  return {
    ...plans,
    ...recorded,
    ...{ notices, clock, ended, begin, untilTold },
    stored: () => storedNotices(folder),
  };
}

const GATED = {
  name: "gated",
  steps: [
    { id: "design", run: "architect", task: "Design it" },
    { id: "ok", gate: "Build this?", needs: ["design"] },
    { id: "build", run: "implement", needs: ["ok"], task: "Build it" },
  ],
};

const approve = (state: PlanState) => {
  const open = state.steps.ok?.open;
  if (!open) throw new Error("The gate is not open.");
  return {
    type: "gate-decided" as const,
    step: "ok",
    ...open,
    commits: [...open.commits],
    decision: "approve" as const,
  };
};

it("tells of a gate and of the end, once, and not of the end of each run", async () => {
  const { begin, runner, untilTold, told, titles, ended, stored } = await openDriver();
  const reach = await begin(GATED);
  const waiting = await reach("waiting");
  await untilTold("gated needs you: Build this?");
  expect(told()[0]).toMatchObject({
    event: "needs_you",
    body: "The plan waits at the gate ok for your decision. To give it, ask for the status of gated in a chat window.",
    plan: { plan_id: "plan-1", name: "gated", status: "waiting", runs: 1, step: "ok" },
  });
  await runner.tell("plan-1", approve(waiting));
  await reach("completed");
  await untilTold("gated: finished");
  expect(titles()).toEqual(["gated needs you: Build this?", "gated: finished"]);
  expect(ended.size).toBe(2);
  expect([...ended].map((runId) => stored()[endKey(runId)]?.state)).toEqual(["settled", "settled"]);
});

it("tells nothing that a window has shown", async () => {
  const { begin, runner, notices, clock, stored, titles } = await openDriver();
  const reach = await begin(GATED);
  const waiting = await reach("waiting");
  const statesOf = (kind: string) =>
    Object.entries(stored()).flatMap(([key, { state }]) => (key.includes(`/${kind}/`) ? [state] : []));
  await until(() => statesOf("gate").length === 1, "the gate to be noted");
  notices.saw(waiting);
  await until(() => statesOf("gate")[0] === "settled", "the gate to be settled");
  await runner.tell("plan-1", approve(waiting));
  const done = await reach("completed");
  await until(() => statesOf("ended").length === 1, "the end to be noted");
  notices.saw(done);
  await until(() => statesOf("ended")[0] === "settled", "the end to be settled");
  clock.advance(60_000);
  await until(() => Object.values(stored()).every(({ state }) => state === "settled"), "all to be settled");
  expect(titles()).toEqual([]);
});

it("that four fifths of a limit are used is told once, while the plan goes on", async () => {
  const { begin, untilTold, titles, runner } = await openDriver();
  const reached = await begin({
    name: "ship",
    limits: { runs: 1 },
    steps: [
      { id: "build", run: "implement", task: "Build it" },
      { id: "ok", gate: "Good?" },
    ],
  });
  await reached("waiting");
  await untilTold("ship is near its limit: 1 of 1 runs were started.");
  await runner.look("plan-1");
  await untilTold("ship needs you: Good?");
  expect(titles().filter((title) => title.includes("near its limit"))).toHaveLength(1);
});
