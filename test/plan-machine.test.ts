import { describe, expect, it, test } from "vitest";
import { renderPlans } from "../src/cli/plans/render-plans.js";
import { columnsOf, type PlanSummary } from "../src/plan-runner/plan-summary.js";
import { checkPlanValue } from "../src/plans/language/check-plan.js";
import { describeProblem } from "../src/plans/language/problems.js";
import { advance, apply, replay, startPlan } from "../src/plans/machine/apply.js";
import { commandsOf, type PlanCommand } from "../src/plans/machine/commands.js";
import { describePlan, progressLine } from "../src/plans/machine/describe-plan.js";
import type { PlanChange, PlanEvent, PlanStarted } from "../src/plans/machine/events.js";
import { mergedBranches } from "../src/plans/machine/plan-branches.js";
import { planStatus, waitingFor } from "../src/plans/machine/plan-status.js";
import type { PlanState, Threshold } from "../src/plans/machine/state.js";
import { whyNot } from "../src/plans/machine/why-not.js";
import type { FieldValue, Plan } from "../src/plans/plan.js";

type Ended = Omit<Extract<PlanChange, { type: "run-ended" }>, "type" | "key">;
interface World {
  readonly state: PlanState;
  readonly journal: PlanEvent[];
  readonly start: PlanStarted;
  /** Lets something happen; it has to be possible. */
  do(change: PlanChange): World;
  /** Why something cannot happen. */
  refuses(change: PlanChange): string | undefined;
  /** Time goes by, in minutes. */
  wait(minutes: number): World;
  /** The keys that are to be started. */
  starts(): string[];
  /** A run of this step (and item) is started and comes to an end. */
  finish(step: string, ended?: Partial<Ended>): World;
  /** It is only started. */
  begin(step: string, more?: Partial<Extract<PlanChange, { type: "run-started" }>>): World;
  order(step: string): Extract<PlanCommand, { type: "start" }>["order"];
  commands<Type extends PlanCommand["type"]>(type: Type): Extract<PlanCommand, { type: Type }>[];
  statuses(): string;
  decide(step: string, decision: "approve" | "send-back" | "stop", words?: string): World;
}

function planOf(raw: object): Plan {
  const checked = checkPlanValue(raw);
  if ("problems" in checked) throw new Error(checked.problems.map(describeProblem).join("\n"));
  return checked.plan;
}

function begin(
  raw: object,
  more: {
    inputs?: Record<string, FieldValue>;
    agreeAbove?: Threshold;
    expectedUsd?: Record<string, number>;
  } = {},
): World {
  const start: PlanStarted = {
    type: "plan-started",
    at: 1_000,
    planId: "p1",
    plan: planOf(raw),
    inputs: {},
    ...more,
  };
  let state = startPlan(start);
  let at = start.at;
  const journal: PlanEvent[] = [];
  /** `build/2` is the second item of build. */
  function keyOf(step: string): string {
    const [id = "", item] = step.split("/");
    const attempt = state.steps[id]?.attempts.findLast(
      (one) => one.endedAt === undefined && (item === undefined || one.item === Number(item) - 1),
    );
    if (!attempt) throw new Error(`No run of ${step} goes on: ${world.statuses()}`);
    return attempt.key;
  }
  const world: World = {
    get state() {
      return state;
    },
    journal,
    start,
    do(change) {
      const event = { ...change, at: ++at };
      expect(whyNot(state, event), JSON.stringify(change)).toBeUndefined();
      state = apply(state, event);
      journal.push(event);
      return world;
    },
    refuses(change) {
      const event = { ...change, at: at + 1 };
      const why = whyNot(state, event);
      if (why !== undefined) expect(apply(state, event)).toBe(state);
      return why;
    },
    wait(minutes) {
      at += minutes * 60_000;
      return world.do({ type: "tick" });
    },
    starts: () => world.commands("start").map(({ key }) => key),
    begin(step, started = {}) {
      const key = keyOf(step);
      const name = key.slice(3).replaceAll("/", "-");
      return world.do({
        type: "run-started",
        key,
        runId: `run-${name}`,
        sessionId: `session-${name}`,
        ...started,
      });
    },
    finish(step, ended = {}) {
      const key = keyOf(step);
      const name = key.slice(3).replaceAll("/", "-");
      const attempt = state.steps[step.split("/")[0] ?? ""]?.attempts.find((one) => one.key === key);
      if (attempt?.status === "starting") world.begin(step);
      const given = {
        status: "completed" as const,
        result: `Done ${name}`,
        branch: `b-${name}`,
        commit: `c-${name}`,
        costUsd: 1,
      };
      return world.do({ type: "run-ended", key, ...given, ...ended });
    },
    order(step) {
      const found = world.commands("start").find(({ key }) => key === keyOf(step));
      if (!found) throw new Error(`${step} is not to be started.`);
      return found.order;
    },
    commands: (type) =>
      commandsOf(state).filter(
        (command): command is Extract<PlanCommand, { type: typeof type }> => command.type === type,
      ),
    statuses: () => state.plan.steps.map(({ id }) => `${id} ${state.steps[id]?.status}`).join(", "),
    decide(step, decision, words) {
      const open = state.steps[step]?.open;
      return world.do({
        type: "gate-decided",
        step,
        attempt: open?.attempt ?? 0,
        commits: open?.commits ?? [],
        decision,
        ...(words === undefined ? {} : { words }),
      });
    },
  };
  return world;
}

const json = (value: unknown) => `Done.\n\`\`\`json\n${JSON.stringify(value)}\n\`\`\``;
const design = { id: "design", run: "architect", task: "Design it" };
const PARTS = { ...design, output: { parts: "list" } };
const build = {
  id: "build",
  run: "implement",
  needs: ["design"],
  from: "design",
  task: "Build ${item}",
  for_each: "${steps.design.output.parts}",
};
const gate = { id: "ok", gate: "Build this?", needs: ["design"], back_to: { step: "design", max: 2 } };
const parts = (...names: string[]) => ({ result: json({ parts: names }) });

describe("rule 1: a gate's decision is bound to plan, step, attempt and commits", () => {
  const open = () =>
    begin({ steps: [design, gate, { id: "go", run: "implement", needs: ["ok"] }] }).finish("design");

  it("and given once", () => {
    const world = open();
    const decision = {
      type: "gate-decided",
      step: "ok",
      attempt: 1,
      commits: ["c-design-1"],
      decision: "approve",
    } as const;
    world.do(decision);
    expect(world.state.steps.ok?.decisions).toMatchObject([
      { attempt: 1, commits: ["c-design-1"], decision: "approve" },
    ]);
    expect(world.refuses(decision)).toBe("Step ok waits for no decision.");
    expect(world.starts()).toEqual(["p1/go/1"]);
  });

  it("and not taken over by another attempt, or for other commits", () => {
    const world = open();
    const shown = { step: "ok", attempt: 1, commits: ["c-design-1"] };
    expect(
      world.refuses({ type: "gate-decided", ...shown, commits: ["other"], decision: "approve" }),
    ).toMatch(/decide anew/);
    world.decide("ok", "send-back", "Use tokens").finish("design");
    expect(world.state.steps.ok?.open).toEqual({ attempt: 2, commits: ["c-design-2"] });
    expect(world.refuses({ type: "gate-decided", ...shown, decision: "approve" })).toMatch(/decide anew/);
    expect(world.starts()).toEqual([]);
  });

  it("and not taken over by another opening for the same commits", () => {
    const world = open().do({ type: "step-redone", step: "ok" });
    const decision = {
      type: "gate-decided",
      step: "ok",
      commits: ["c-design-1"],
      decision: "approve",
    } as const;
    expect(world.refuses({ ...decision, attempt: 1 })).toMatch(/decide anew/);
    world.do({ ...decision, attempt: 2 });
  });

  it("and asked for anew when the work has changed since it was shown", () => {
    const world = open().do({ type: "work-moved", key: "p1/design/1", commit: "newer" });
    expect(
      world.refuses({
        type: "gate-decided",
        step: "ok",
        attempt: 1,
        commits: ["c-design-1"],
        decision: "approve",
      }),
    ).toMatch(/decide anew/);
    expect(world.commands("open-gate")).toMatchObject([{ opening: { attempt: 2, commits: ["newer"] } }]);
    world.decide("ok", "approve");
    expect(world.starts()).toEqual(["p1/go/1"]);
  });

  it("and nothing is started after a no", () => {
    const world = open().decide("ok", "stop");
    expect(commandsOf(world.state).map(({ type }) => type)).toEqual(["finish"]);
    expect(planStatus(world.state)).toBe("killed");
    expect(world.refuses({ type: "step-redone", step: "design" })).toMatch(/was ended/);
  });
});

describe("rule 2: sending back runs everything downstream again", () => {
  it("tests included, with the person's words in the same conversation", () => {
    const world = begin({
      steps: [
        design,
        { id: "make", run: "implement", needs: ["design"], from: "design" },
        { id: "test", run: "test", needs: ["make"], from: "make" },
        { id: "ok", gate: "Take it?", needs: ["test"], back_to: "design" },
      ],
    });
    world.finish("design").finish("make").finish("test").decide("ok", "send-back", "Use tokens");
    expect(world.statuses()).toBe("design running, make pending, test pending, ok pending");
    expect(world.order("design")).toMatchObject({
      message: "Use tokens",
      session: { kind: "continue", step: "design", runId: "run-design-1", sessionId: "session-design-1" },
    });
    world.finish("design").finish("make");
    expect(world.order("test").session).toEqual({
      kind: "from",
      step: "make",
      branch: "b-make-2",
      commit: "c-make-2",
    });
    world.finish("test").decide("ok", "approve");
    expect(planStatus(world.state)).toBe("completed");
    expect(world.state.steps.test?.attempts.map(({ key }) => key)).toEqual(["p1/test/1", "p1/test/2"]);
  });

  it("at most as often as the plan says", () => {
    const world = begin({ steps: [design, gate] }).finish("design");
    world.decide("ok", "send-back", "a").finish("design").decide("ok", "send-back", "b").finish("design");
    expect(world.commands("open-gate")).toMatchObject([{ mayGoBack: false }]);
    expect(
      world.refuses({
        type: "gate-decided",
        step: "ok",
        attempt: 3,
        commits: ["c-design-3"],
        decision: "send-back",
      }),
    ).toMatch(/as often as it may/);
  });

  it("by a run's condition, too, and then it is blocked when it would do so once too often", () => {
    const review = {
      id: "review",
      run: "review",
      needs: ["make"],
      output: { verdict: { enum: ["approve", "changes"] } },
      back_to: { step: "make", max: 1, when: "${steps.review.output.verdict} == changes" },
    };
    const world = begin({
      steps: [{ ...design, id: "make" }, review, { id: "end", run: "document", needs: ["review"] }],
    });
    const changes = { result: `Rename it. ${json({ verdict: "changes" })}` };
    world.finish("make").finish("review", changes);
    expect(world.order("make").message).toMatch(/^The step review has looked.*Rename it\./s);
    world.finish("make").finish("review", changes);
    expect(world.state.steps.review).toMatchObject({
      status: "blocked",
      reason: expect.stringMatching(/as often as it may/),
    });
    expect(planStatus(world.state)).toBe("blocked");
    world.do({ type: "step-skipped", step: "review" }).finish("end");
    expect(planStatus(world.state)).toBe("completed");
  });

  it("what goes on meanwhile may end, its result does not count, and it runs again afterwards", () => {
    const world = begin({
      steps: [design, gate, { id: "side", run: "document", needs: ["design"], from: "design" }],
    });
    world.finish("design").begin("side").decide("ok", "send-back", "Other");
    world.finish("design");
    expect(world.starts()).toEqual([]);
    world.finish("side");
    expect(world.starts()).toEqual(["p1/side/2"]);
    expect(world.order("side").session).toMatchObject({ kind: "from", branch: "b-design-2" });
  });

  it("a start that is not sent yet is withdrawn", () => {
    const world = begin({ steps: [design, gate, { id: "side", run: "document", needs: ["design"] }] });
    world.finish("design").decide("ok", "send-back", "Other");
    expect(world.commands("withdraw").map(({ key }) => key)).toEqual(["p1/side/1"]);
    world.do({ type: "run-not-started", key: "p1/side/1", reason: "withdrawn" }).finish("design");
    expect(world.starts()).toEqual(["p1/side/2"]);
    expect(world.state.runsStarted).toBe(3);
  });
});

describe("rule 3: a large fan-out is agreed to before it starts", () => {
  const raw = { steps: [PARTS, build] };

  it("with its number of runs and their expected cost", () => {
    const world = begin(raw, { agreeAbove: { runs: 2 }, expectedUsd: { implement: 2 } });
    world.finish("design", parts("a", "b", "c"));
    expect(world.starts()).toEqual([]);
    expect(world.commands("ask-agreement")).toMatchObject([
      { step: "build", agreement: { attempt: 1, runs: 3, costUsd: 6 } },
    ]);
    expect(waitingFor(world.state)).toMatchObject([{ step: "build", kind: "agreement" }]);
    expect(
      world.refuses({ type: "fan-out-answered", step: "build", attempt: 1, runs: 4, agreed: true }),
    ).toMatch(/does not ask/);
    world.do({ type: "fan-out-answered", step: "build", attempt: 1, runs: 3, agreed: true });
    expect(world.starts()).toEqual(["p1/build/1/1", "p1/build/1/2", "p1/build/1/3"]);
  });

  it("a no starts nothing, until the person asks for it again", () => {
    const world = begin(raw, { agreeAbove: { costUsd: 3 }, expectedUsd: { implement: 2 } });
    world
      .finish("design", parts("a", "b"))
      .do({ type: "fan-out-answered", step: "build", attempt: 1, runs: 2, agreed: false });
    expect(world.state.steps.build).toMatchObject({
      status: "blocked",
      reason: expect.stringMatching(/Nothing was started/),
    });
    expect(planStatus(world.state)).toBe("blocked");
    world.do({ type: "step-redone", step: "build" });
    expect(world.commands("ask-agreement")).toMatchObject([{ agreement: { attempt: 2, runs: 2 } }]);
  });

  it("a small one is started", () => {
    const world = begin(raw, { agreeAbove: { runs: 2 } }).finish("design", parts("a", "b"));
    expect(world.starts()).toEqual(["p1/build/1/1", "p1/build/1/2"]);
    expect(world.order("build/2")).toMatchObject({
      message: expect.stringMatching(/^Build b\n\nYour branch begins with the work of the step design\./),
      sessionName: "plan-build-2",
      session: { kind: "from", step: "design", branch: "b-design-1", commit: "c-design-1" },
    });
  });
});

describe("rule 4: limits count across the whole plan", () => {
  it("each run reserves its share, and what is left over goes back", () => {
    const world = begin({
      limits: { cost_usd: 10 },
      steps: [design, { id: "a", run: "fix", needs: ["design"] }, { id: "b", run: "fix", needs: ["design"] }],
    });
    expect(world.order("design").costLimitUsd).toBe(3.16);
    world.finish("design", { costUsd: 0.5 });
    expect(world.state).toMatchObject({ spentUsd: 0.5, heldUsd: 9 });
    expect([world.order("a").costLimitUsd, world.order("b").costLimitUsd]).toEqual([4.5, 4.5]);
    world.finish("a", { costUsd: 1 }).finish("b", { costUsd: 2 });
    expect(world.state).toMatchObject({ spentUsd: 3.5, heldUsd: 0 });
  });

  it("shares follow what such runs have cost", () => {
    const world = begin(
      { limits: { cost_usd: 10 }, steps: [design, { id: "a", run: "fix", task: "x" }] },
      { expectedUsd: { architect: 3, fix: 1 } },
    );
    expect([world.order("design").costLimitUsd, world.order("a").costLimitUsd]).toEqual([7.12, 2.38]);
  });

  it("a cost that nobody tells is unknown, so nothing of its share goes back", () => {
    const world = begin({
      limits: { cost_usd: 2 },
      steps: [design, { id: "a", run: "fix", needs: ["design"] }],
    });
    const reserved = world.order("design").costLimitUsd;
    world.begin("design").do({ type: "run-ended", key: "p1/design/1", status: "completed", branch: null });
    expect(world.state).toMatchObject({ spentUsd: 0, unknownCosts: 1, runsStarted: 2 });
    expect(world.state.heldUsd).toBeCloseTo((reserved ?? 0) + (world.order("a").costLimitUsd ?? 0));
  });

  it("when the cost limit is reached nothing new starts, and raising it goes on", () => {
    const raw = { limits: { cost_usd: 2 }, steps: [design, { id: "a", run: "fix", needs: ["design"] }] };
    const world = begin(raw).finish("design", { costUsd: 2.5 });
    expect(world.state.steps.a).toMatchObject({
      status: "blocked",
      reason: "Of the plan's $2.00 nothing is left to reserve for another run.",
    });
    expect(planStatus(world.state)).toBe("blocked");
    world.do({ type: "plan-edited", plan: planOf({ ...raw, limits: { cost_usd: 5 } }) });
    expect(world.starts()).toEqual(["p1/a/1"]);
  });

  it("no more runs than allowed, retries and reworks included", () => {
    const world = begin({ limits: { runs: 2 }, steps: [{ ...design, retry: 5 }] });
    world
      .finish("design", { status: "failed", error: "overloaded" })
      .finish("design", { status: "failed", error: "overloaded" });
    expect(world.starts()).toEqual([]);
    expect(world.state.steps.design).toMatchObject({
      status: "blocked",
      reason: "All 2 runs that the plan may have were started.",
    });
  });

  it("a fan-out that does not fit does not begin", () => {
    const world = begin({ limits: { runs: 3 }, steps: [PARTS, build] }).finish(
      "design",
      parts("a", "b", "c"),
    );
    expect(world.state.steps.build).toMatchObject({
      status: "blocked",
      reason: "It has 3 runs, and of the 3 that the plan may have fewer are left.",
    });
  });

  it("no more at once than allowed, for the plan and for a step", () => {
    const world = begin({
      limits: { parallel: 2 },
      steps: [
        PARTS,
        { ...build, parallel: 1 },
        { id: "a", run: "fix", needs: ["design"] },
        { id: "b", run: "fix", needs: ["design"] },
      ],
    });
    world.finish("design", parts("x", "y"));
    expect(world.starts()).toEqual(["p1/build/1/1", "p1/a/1"]);
    world.finish("a");
    expect(world.starts()).toEqual(["p1/build/1/1", "p1/b/1"]);
    world.finish("build/1");
    expect(world.starts()).toEqual(["p1/build/1/2", "p1/b/1"]);
  });

  it("minutes count while runs are at work, and not while a person is waited for", () => {
    const world = begin({
      limits: { minutes: 10 },
      steps: [design, gate, { id: "a", run: "fix", needs: ["ok"] }, { id: "b", run: "fix", needs: ["a"] }],
    });
    world.begin("design").wait(4).finish("design").wait(500).decide("ok", "approve").begin("a").wait(1);
    world
      .do({ type: "run-asks", key: "p1/a/1", text: "Which?" })
      .wait(500)
      .do({ type: "run-goes-on", key: "p1/a/1" });
    const [wake] = world.commands("wake");
    expect(((wake?.at ?? 0) - world.state.at) / 60_000).toBeCloseTo(5, 2);
    world.wait(6).finish("a");
    expect(world.state.steps.b).toMatchObject({
      status: "blocked",
      reason: "The plan's 10 minutes of work are over.",
    });
  });

  it("minutes for which the machine has slept do not count, and no more than have passed are taken off", () => {
    const world = begin({ limits: { minutes: 10 }, steps: [design, gate] });
    world.begin("design").wait(4);
    const before = world.state.workMs;
    world.do({ type: "slept", ms: 500 * 60_000 });
    expect(world.state.workMs).toBe(before);
    const late = { type: "slept", ms: 499 * 60_000, at: world.state.at + 500 * 60_000 } as const;
    expect(apply(world.state, late).workMs).toBe(before + 60_000);
    world.finish("design");
    expect(world.refuses({ type: "slept", ms: 60_000 })).toBe("No run is at work.");
  });

  it("a start that came to nothing does not count", () => {
    const world = begin({ limits: { runs: 1, cost_usd: 1 }, steps: [{ ...design, retry: 1 }] });
    world.do({ type: "run-not-started", key: "p1/design/1", reason: "The API is away." });
    expect(world.state).toMatchObject({ runsStarted: 1, spentUsd: 0 });
    expect(world.starts()).toEqual(["p1/design/2"]);
  });
});

describe("rule 5: a step works in a workspace of its own or not at all", () => {
  it("one that gets another's fails, is ended, and is not tried again", () => {
    const world = begin({ steps: [PARTS, { ...build, retry: 3 }] }).finish("design", parts("a", "b"));
    world.begin("build/1", { branch: "same" }).begin("build/2", { branch: "same" });
    expect(world.commands("kill")).toMatchObject([
      { key: "p1/build/1/2", reason: expect.stringMatching(/branch same/) },
    ]);
    world.finish("build/2", { status: "killed" }).finish("build/1");
    expect(world.state.steps.build).toMatchObject({
      status: "failed",
      reason: expect.stringMatching(/1 of 2 have not succeeded\. b: It has got the branch same/),
    });
  });

  it.each([
    ["is told while it goes on", true],
    ["is told at its end", false],
  ])("one of which it %s that it has none fails, and the others go on", (_when, isEarly) => {
    const world = begin({ steps: [PARTS, { ...build, retry: 3 }] }).finish("design", parts("a", "b"));
    world.begin("build/1").begin("build/2");
    if (isEarly) world.do({ type: "workspace-shared", key: "p1/build/1/2" });
    expect(world.commands("kill").map(({ key }) => key)).toEqual(isEarly ? ["p1/build/1/2"] : []);
    world.finish("build/2", isEarly ? { status: "killed" } : { ownWorkspace: false });
    expect(world.state.steps.build?.attempts.at(-1)).toMatchObject({
      status: "failed",
      error: expect.stringContaining("no workspace of its own"),
    });
    expect(world.finish("build/1").state.steps.build?.attempts).toHaveLength(2);
  });

  it("one whose branch is another's as its end shows does not count", () => {
    const world = begin({ steps: [PARTS, build] }).finish("design", parts("a", "b"));
    world.finish("build/1", { branch: "same" }).finish("build/2", { branch: "same" });
    expect(world.state.steps.build?.attempts.map(({ status }) => status)).toEqual(["completed", "failed"]);
  });

  it("one that goes on with the conversation before it may share its place", () => {
    const again = { id: "a", run: "fix", task: "Go on", needs: ["design"], continue: "design" };
    const world = begin({ steps: [design, again] }).finish("design");
    world.finish("a", { ownWorkspace: false, branch: "b-design-1" });
    expect(world.statuses()).toBe("design succeeded, a succeeded");
  });

  it("one whose branch nobody knows is not begun elsewhere", () => {
    const world = begin({ steps: [design, { id: "a", run: "fix", needs: ["design"], from: "design" }] });
    world.begin("design").do({ type: "run-ended", key: "p1/design/1", status: "completed" });
    expect(world.starts()).toEqual([]);
    expect(world.state.steps.a).toMatchObject({
      status: "failed",
      reason: "It was not started: nobody knows on which branch step design has left its work.",
    });
  });

  it("what needs a step that could not begin is told at once", () => {
    const world = begin({
      steps: [
        design,
        { id: "a", run: "fix", needs: ["design"], from: "design" },
        { id: "b", run: "fix", needs: ["a"] },
        { id: "c", run: "document", needs: ["a"], join: "all_done" },
      ],
    });
    world.begin("design").do({ type: "run-ended", key: "p1/design/1", status: "completed" });
    expect(world.statuses()).toBe("design succeeded, a failed, b blocked, c running");
  });

  it("from a step that has left nothing begins where the plan does", () => {
    const world = begin({
      steps: [design, { id: "a", run: "fix", needs: ["design"], from: "design" }],
    }).finish("design", { branch: null });
    expect(world.order("a").session).toEqual({ kind: "new" });
  });
});

describe("rule 6: merges go one after another, and what cannot be merged stays and is named", () => {
  const raw = {
    steps: [
      PARTS,
      build,
      { id: "join", merge: "build", needs: ["build"], check: "npm test" },
      { id: "test", run: "test", needs: ["join"], from: "join" },
    ],
  };
  function built(...names: string[]) {
    const world = begin(raw).finish("design", parts(...names));
    for (const at of names.keys()) world.finish(`build/${at + 1}`);
    return world;
  }

  it("each with its check, onto the one before, and a branch may go only after its merge is sure", () => {
    const world = built("a", "b");
    expect(world.commands("merge")).toMatchObject([
      { id: "merge join/1/1", branch: "b-build-1-1", check: "npm test" },
    ]);
    expect(world.commands("merge")[0]).not.toHaveProperty("onto");
    expect(mergedBranches(world.state)).toEqual([]);
    world.do({ type: "merged", step: "join", attempt: 1, item: 0, branch: "joined", commit: "m1" });
    expect(mergedBranches(world.state)).toEqual(["b-build-1-1"]);
    expect(world.commands("merge")).toMatchObject([
      { id: "merge join/1/2", branch: "b-build-1-2", onto: { branch: "joined", commit: "m1" } },
    ]);
    world.do({ type: "merged", step: "join", attempt: 1, item: 1, branch: "joined", commit: "m2" });
    expect(world.order("test").session).toEqual({
      kind: "from",
      step: "join",
      branch: "joined",
      commit: "m2",
    });
  });

  it("a failing one is taken back, the others go on, and a person says whether to go on without it", () => {
    const world = built("a", "b", "c");
    world.do({
      type: "merge-failed",
      step: "join",
      attempt: 1,
      item: 0,
      because: "conflict",
      files: ["src/a.ts"],
      reason: "conflict",
    });
    world.do({ type: "merged", step: "join", attempt: 1, item: 1, branch: "joined", commit: "m1" });
    world.do({
      type: "merge-failed",
      step: "join",
      attempt: 1,
      item: 2,
      because: "check",
      reason: "npm test has failed",
    });
    expect(world.state.steps.join).toMatchObject({
      status: "blocked",
      reason:
        "1 of 3 were merged. Not merged, and kept: b-build-1-1: conflict in src/a.ts; b-build-1-3: npm test has failed. Skip the step to go on without them, or redo it.",
    });
    expect(mergedBranches(world.state)).toEqual(["b-build-1-2"]);
    world.do({ type: "step-skipped", step: "join" });
    expect(world.order("test").session).toMatchObject({ kind: "from", branch: "joined", commit: "m1" });
  });

  it("of several merge steps, too, one merge goes on at a time", () => {
    const world = begin({
      steps: [
        PARTS,
        build,
        { id: "one", merge: "build", needs: ["build"] },
        { id: "two", merge: "build", needs: ["build"] },
      ],
    });
    world.finish("design", parts("a")).finish("build/1");
    expect(world.commands("merge").map(({ step }) => step)).toEqual(["one"]);
    world.do({ type: "merged", step: "one", attempt: 1, item: 0, branch: "joined", commit: "m1" });
    expect(world.commands("merge").map(({ step }) => step)).toEqual(["two"]);
  });

  it("none merged is a failure, and redoing merges all of them anew", () => {
    const world = built("a");
    world.do({
      type: "merge-failed",
      step: "join",
      attempt: 1,
      item: 0,
      because: "conflict",
      reason: "conflict",
    });
    expect(world.statuses()).toBe("design succeeded, build succeeded, join failed, test blocked");
    world.do({ type: "step-redone", step: "join" });
    expect(world.commands("merge")).toMatchObject([{ attempt: 2, item: 0 }]);
  });

  it("where no run has left anything, nothing that stands behind is started", () => {
    const world = begin(raw).finish("design", parts("a", "b"));
    for (const at of [1, 2]) world.finish(`build/${at}`, { branch: null });
    expect(world.state.steps.join).toMatchObject({
      status: "blocked",
      reason: "No run of build has left anything to merge. Redo build, or end the plan.",
    });
    expect(world.starts()).toEqual([]);
    world.do({ type: "step-redone", step: "build" });
    expect(world.starts()).toHaveLength(2);
  });

  it("runs that have failed are not merged, and are named", () => {
    const world = begin(raw)
      .finish("design", parts("a", "b"))
      .finish("build/1", { status: "failed", error: "Broken." })
      .finish("build/2");
    expect(world.commands("merge")).toMatchObject([{ item: 1 }]);
    world.do({ type: "merged", step: "join", attempt: 1, item: 1, branch: "joined", commit: "m1" });
    expect(world.state.steps.join).toMatchObject({
      status: "succeeded",
      reason: expect.stringMatching(/^1 of 2 runs are not in it/),
    });
    world.finish("test");
    expect(planStatus(world.state)).toBe("completed");
  });
});

describe("rule 7: waiting, blocked, failed, killed and skipped are different", () => {
  it("each with its reason and since when", () => {
    const world = begin({
      steps: [
        { ...design, id: "bad" },
        { id: "behind", run: "fix", needs: ["bad"] },
        { ...design, id: "dead" },
        { ...design, id: "good" },
        { id: "maybe", run: "fix", needs: ["good"], when: "${steps.good.outcome} == failed" },
        { id: "ask", gate: "Go on?", needs: ["good"] },
      ],
    });
    world.finish("bad", { status: "failed", error: "Tests are red." }).finish("dead", { status: "killed" });
    world.finish("good");
    expect(world.statuses()).toBe(
      "bad failed, behind blocked, dead killed, good succeeded, maybe skipped, ask waiting",
    );
    expect(world.state.steps.bad?.reason).toBe("Tests are red.");
    expect(world.state.steps.behind?.reason).toBe("Step bad, which it needs, has failed.");
    expect(world.state.steps.maybe?.reason).toBe("Its condition does not hold.");
    expect(planStatus(world.state)).toBe("waiting");
    world.decide("ask", "approve");
    expect(planStatus(world.state)).toBe("failed");
  });

  it("a failed run is started again as often as the step says, a deterministic failure is not", () => {
    const world = begin({ steps: [{ ...design, retry: 1 }] });
    world.finish("design", { status: "failed", error: "Overloaded." });
    expect(world.starts()).toEqual(["p1/design/2"]);
    world.finish("design", { status: "failed", error: "Overloaded." });
    expect(planStatus(world.state)).toBe("failed");
    const other = begin({ steps: [{ ...design, retry: 1 }] }).finish("design", {
      status: "failed",
      error: "No credit.",
      deterministic: true,
    });
    expect(other.starts()).toEqual([]);
    expect(other.state.steps.design).toMatchObject({ status: "failed", reason: "No credit." });
  });

  it("a condition on what a failed step did not give is not taken for a no", () => {
    const world = begin({
      steps: [
        { ...design, output: { verdict: "string" } },
        {
          id: "fix",
          run: "fix",
          needs: ["design"],
          join: "all_done",
          when: "${steps.design.output.verdict} == changes",
        },
      ],
    });
    world.finish("design", { status: "failed" });
    expect(world.state.steps.fix).toMatchObject({
      status: "blocked",
      reason: expect.stringMatching(/condition cannot be told.*has no value/),
    });
  });
});

describe("rule 8: nothing is lost or started twice, wherever it is interrupted", () => {
  it("replaying the journal up to any point gives the same plan and the same things to do", () => {
    const world = begin({
      limits: { cost_usd: 20 },
      steps: [
        PARTS,
        { ...gate, back_to: "design" },
        { ...build, needs: ["ok"], retry: 1 },
        { id: "join", merge: "build", needs: ["build"] },
        { id: "test", run: "test", needs: ["join"], from: "join" },
      ],
    });
    world
      .finish("design", parts("a"))
      .decide("ok", "send-back", "Two parts")
      .finish("design", parts("a", "b"))
      .decide("ok", "approve");
    world.finish("build/1", { status: "failed" }).finish("build/1").finish("build/2");
    world.do({ type: "merged", step: "join", attempt: 1, item: 0, branch: "joined", commit: "m1" });
    world
      .do({ type: "merged", step: "join", attempt: 1, item: 1, branch: "joined", commit: "m2" })
      .finish("test");
    expect(planStatus(world.state)).toBe("completed");
    let state = startPlan(world.start);
    const told = new Set(commandsOf(state).map(({ id }) => id));
    for (const [at, event] of world.journal.entries()) {
      const next = advance(state, event);
      state = next.state;
      for (const { id } of next.commands) {
        expect(told, "told twice").not.toContain(id);
        if (!id.startsWith("wake")) told.add(id);
      }
      const again = replay(world.start, world.journal.slice(0, at + 1));
      expect(again).toEqual(state);
      expect(commandsOf(again)).toEqual(commandsOf(state));
      // Told a second time, it changes nothing.
      expect(event.type === "tick" || apply(state, event) === state).toBe(true);
    }
    const keys = Object.values(world.state.steps).flatMap(({ attempts }) => attempts.map(({ key }) => key));
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("a start of which nobody knows is looked for, told, and started again only by a person", () => {
    const world = begin({ steps: [{ ...design, retry: 3 }] }).do({
      type: "start-unknown",
      key: "p1/design/1",
      reason: "The answer was lost.",
    });
    expect(world.starts()).toEqual([]);
    expect(world.commands("look-up").map(({ key }) => key)).toEqual(["p1/design/1"]);
    expect(waitingFor(world.state)).toMatchObject([{ step: "design", kind: "lost", key: "p1/design/1" }]);
    expect(planStatus(world.state)).toBe("waiting");
    const found = apply(world.state, { type: "run-started", key: "p1/design/1", runId: "r1", at: 9_999 });
    expect(planStatus(found)).toBe("running");
    world.do({ type: "step-redone", step: "design" });
    expect(world.starts()).toEqual(["p1/design/2"]);
    expect(world.state.runsStarted).toBe(2);
  });
});

const INTERRUPTED = { status: "failed", interrupted: true, error: "The engine stopped." } as const;

describe("rule 8: a run that was interrupted goes on by itself", () => {
  it("in the same conversation, by a run of its own that counts, and the step tells so", () => {
    const world = begin({ steps: [PARTS, build] }).finish("design", parts("a", "b"));
    world.begin("build/1").finish("build/2", INTERRUPTED);
    expect(world.starts()).toEqual(["p1/build/2/2"]);
    const { session, message } = world.order("build/2");
    expect(session).toMatchObject({ kind: "continue", sessionId: "session-build-1-2" });
    expect(message).toMatch(
      /^The run before this one was interrupted: the engine or the machine went away\./,
    );
    expect(message).not.toContain("Build b");
    expect(world.state.runsStarted).toBe(4);
    expect(describePlan(world.state).steps[1]).toMatchObject({
      status: "running",
      reason: expect.stringContaining("was interrupted"),
    });
    world.finish("build/1").finish("build/2", { branch: "b-build-1-2" });
    expect(world.statuses()).toBe("design succeeded, build succeeded");
    expect(describePlan(world.state).steps[1]?.reason).toBeUndefined();
  });

  it("and has its output asked for again", () => {
    const world = begin({ steps: [PARTS] }).finish("design", INTERRUPTED);
    expect(world.order("design").message).toContain("fenced JSON block");
    expect(world.finish("design", parts("a")).statuses()).toBe("design succeeded");
    const asked = begin({ steps: [PARTS] }).finish("design", { result: "No block." });
    const question = asked.order("design").message;
    asked.finish("design", INTERRUPTED);
    expect(asked.order("design").message).toBe(question);
    expect(asked.finish("design", parts("a")).statuses()).toBe("design succeeded");
  });

  it("three times at most, and then as often as the step may be tried again", () => {
    const world = begin({ steps: [{ ...design, retry: 1 }] });
    for (let run = 1; run <= 4; run++) world.finish("design", INTERRUPTED);
    expect(world.state.steps.design?.attempts.map(({ why }) => why)).toEqual([
      ...["first", "resume", "resume", "resume", "retry"],
    ]);
    expect(world.order("design")).toMatchObject({ session: { kind: "new" }, message: "Design it" });
    world.finish("design", INTERRUPTED);
    expect(world.starts()).toEqual([]);
    expect(world.state.steps.design).toMatchObject({ status: "failed", reason: "The engine stopped." });
  });

  it("within the limits of the plan, and after a pause", () => {
    const world = begin({ limits: { runs: 1 }, steps: [design] }).finish("design", INTERRUPTED);
    expect(world.starts()).toEqual([]);
    expect(world.state.steps.design).toMatchObject({
      status: "blocked",
      reason: "All 1 runs that the plan may have were started.",
    });
    const paused = begin({ steps: [design] })
      .begin("design")
      .do({ type: "paused" });
    expect(paused.finish("design", INTERRUPTED).starts()).toEqual([]);
    expect(paused.do({ type: "resumed" }).starts()).toEqual(["p1/design/2"]);
  });

  it("but not one that a person has ended, nor in a plan that is ended, nor without a conversation", () => {
    const world = begin({ steps: [design] }).finish("design", { status: "killed" });
    expect(world.starts()).toEqual([]);
    const ended = begin({ steps: [design] })
      .begin("design")
      .do({ type: "kill-asked" });
    expect(ended.finish("design", INTERRUPTED).starts()).toEqual([]);
    const bare = begin({ steps: [design] });
    bare.do({ type: "run-started", key: "p1/design/1", runId: "r1" });
    bare.do({ type: "run-ended", key: "p1/design/1", ...INTERRUPTED });
    expect(bare.statuses()).toBe("design failed");
  });
});

describe("rule 9: a plan never waits in silence", () => {
  it("what an agent asks is what the plan waits for", () => {
    const world = begin({ steps: [design] })
      .begin("design")
      .do({ type: "run-asks", key: "p1/design/1", text: "Which database?" });
    expect(planStatus(world.state)).toBe("waiting");
    expect(waitingFor(world.state)).toMatchObject([
      { step: "design", kind: "question", what: "Which database?", runId: "run-design-1" },
    ]);
    world.do({ type: "run-goes-on", key: "p1/design/1" });
    expect(waitingFor(world.state)).toEqual([]);
    expect(planStatus(world.state)).toBe("running");
  });

  it("a gate is one of several things that it waits for while others go on", () => {
    const world = begin({
      steps: [
        design,
        { ...gate, show: "${steps.design.result}" },
        { id: "side", run: "document", needs: ["design"] },
      ],
    });
    world.finish("design").begin("side");
    expect(planStatus(world.state)).toBe("running");
    expect(waitingFor(world.state)).toMatchObject([{ step: "ok", kind: "gate", what: "Build this?" }]);
    expect(world.commands("open-gate")).toMatchObject([
      { question: "Build this?", text: "Done design-1", mayGoBack: true },
    ]);
  });
});

describe("rule 10: siblings of a failed run go on, and killing a plan ends its runs", () => {
  it("siblings come to their own end", () => {
    const world = begin({ steps: [PARTS, build, { id: "sum", run: "document", needs: ["build"] }] }).finish(
      "design",
      parts("a", "b"),
    );
    world.finish("build/1", { status: "failed", error: "Broken." });
    expect(world.state.steps.build?.status).toBe("running");
    world.finish("build/2");
    expect(world.state.steps.build).toMatchObject({
      status: "failed",
      reason: "1 of 2 have not succeeded. a: Broken.",
    });
    expect(world.starts()).toEqual(["p1/sum/1"]);
  });

  it("a kill ends what goes on, withdraws what was not sent, and keeps what was done", () => {
    const world = begin({
      steps: [
        design,
        { ...design, id: "other" },
        { ...design, id: "third" },
        { id: "end", run: "fix", needs: ["design"] },
      ],
    });
    world.finish("third").begin("design").do({ type: "kill-asked" });
    expect(world.commands("kill").map(({ key }) => key)).toEqual(["p1/design/1"]);
    expect(world.commands("withdraw").map(({ key }) => key)).toEqual(["p1/other/1"]);
    expect(world.starts()).toEqual([]);
    world
      .do({ type: "run-not-started", key: "p1/other/1", reason: "withdrawn" })
      .finish("design", { status: "killed" });
    expect(world.statuses()).toBe("design killed, other killed, third succeeded, end killed");
    expect(planStatus(world.state)).toBe("killed");
  });

  it("a run that was found after the kill is ended, too", () => {
    const world = begin({ steps: [design] })
      .do({ type: "kill-asked" })
      .begin("design");
    expect(world.commands("kill").map(({ key }) => key)).toEqual(["p1/design/1"]);
    expect(planStatus(world.state)).toBe("running");
    world.finish("design", { status: "killed" });
    expect(planStatus(world.state)).toBe("killed");
  });
});

describe("rule 11: a plan that goes on may be changed, and what was done is not", () => {
  const raw = { steps: [design, { id: "a", run: "fix", needs: ["design"] }] };

  it("paused, nothing new is started, and resumed it goes on", () => {
    const world = begin(raw).begin("design").do({ type: "paused" }).finish("design");
    expect([planStatus(world.state), world.starts()]).toEqual(["paused", []]);
    expect(world.do({ type: "resumed" }).starts()).toEqual(["p1/a/1"]);
  });

  it("steps that have not begun may be added, dropped and changed; versions are kept", () => {
    const world = begin(raw);
    expect(
      world.refuses({ type: "plan-edited", plan: planOf({ steps: [{ ...design, task: "Other" }] }) }),
    ).toMatch(/Step design has begun/);
    expect(world.refuses({ type: "plan-edited", plan: planOf({ steps: [{ ...design, id: "new" }] }) })).toBe(
      "Step design has begun, so it stays in the plan.",
    );
    world.do({
      type: "plan-edited",
      plan: planOf({ steps: [design, { id: "b", run: "document", needs: ["design"] }] }),
    });
    expect(world.state).toMatchObject({
      version: 2,
      earlier: [{ version: 1, plan: { steps: [{ id: "design" }, { id: "a" }] } }],
    });
    world.finish("design").finish("b");
    expect(planStatus(world.state)).toBe("completed");
    world.do({
      type: "plan-edited",
      plan: planOf({
        steps: [
          design,
          { id: "b", run: "document", needs: ["design"] },
          { id: "c", run: "fix", needs: ["b"] },
        ],
      }),
    });
    expect([planStatus(world.state), world.starts()]).toEqual(["running", ["p1/c/1"]]);
  });

  it("a step is skipped, and stays so when others are done again", () => {
    const world = begin(raw).do({ type: "step-skipped", step: "a" }).finish("design");
    expect(planStatus(world.state)).toBe("completed");
    world.do({ type: "step-redone", step: "design", words: "Smaller" });
    expect(world.order("design").message).toBe("Design it\n\nSmaller");
    world.finish("design");
    expect(world.statuses()).toBe("design succeeded, a skipped");
    const chain = begin({
      steps: [design, { id: "a", run: "fix", needs: ["design"] }, { id: "b", run: "fix", needs: ["a"] }],
    });
    expect(chain.do({ type: "step-skipped", step: "a" }).statuses()).toBe(
      "design running, a pending, b pending",
    );
    expect(chain.finish("design").starts()).toEqual(["p1/b/1"]);
  });

  it("a gate is not skipped", () => {
    const world = begin({ steps: [design, gate] }).finish("design");
    expect(world.refuses({ type: "step-skipped", step: "ok" })).toMatch(/decided on, and not skipped/);
  });

  it("of a fan-out only what has not succeeded is done again, with all that is behind it", () => {
    const world = begin({ steps: [PARTS, build, { id: "sum", run: "document", needs: ["build"] }] }).finish(
      "design",
      parts("a", "b"),
    );
    world.finish("build/1", { status: "failed" }).finish("build/2").finish("sum");
    expect(planStatus(world.state)).toBe("completed");
    world.do({ type: "step-redone", step: "build" });
    expect(world.starts()).toEqual(["p1/build/2/1"]);
    world.finish("build/1");
    expect(world.starts()).toEqual(["p1/sum/2"]);
  });

  it("redoing waits for what the step needs, whatever is said", () => {
    const world = begin({ steps: [design, { id: "a", run: "fix", needs: ["design"] }] }).finish("design", {
      status: "failed",
    });
    world.do({ type: "step-redone", step: "a", words: "Now" });
    expect(world.statuses()).toBe("design failed, a blocked");
    world.do({ type: "step-redone", step: "design" }).finish("design");
    expect(world.starts()).toEqual(["p1/a/1"]);
  });

  it("what was sent back is said again when its run fails, by itself and by a person", () => {
    const world = begin({ steps: [{ ...design, retry: 1 }, gate] })
      .finish("design")
      .decide("ok", "send-back", "Use tokens");
    const wanted = { message: "Use tokens", session: { kind: "continue", step: "design" } };
    world.finish("design", { status: "failed" });
    expect(world.order("design")).toMatchObject(wanted);
    world.finish("design", { status: "failed" }).do({ type: "step-redone", step: "design" });
    expect(world.order("design")).toMatchObject(wanted);
    world.finish("design", { status: "failed", deterministic: true });
    world.do({ type: "step-redone", step: "design", words: "Use cookies" });
    expect(world.order("design")).toMatchObject({ ...wanted, message: "Use cookies" });
  });

  it("a start that was not sent before a pause is only looked for until the plan goes on", () => {
    const world = begin(raw).do({ type: "paused" });
    expect(commandsOf(world.state).map(({ id }) => id)).toEqual(["look-up p1/design/1"]);
    const resumed = { type: "resumed", at: world.state.at + 1 } as const;
    expect(advance(world.state, resumed).commands.map(({ type }) => type)).toEqual(["start", "wake"]);
  });

  it("what has gone past a step that was stuck is done again when that one can begin after all", () => {
    const world = begin({
      steps: [
        design,
        { id: "a", run: "fix", needs: ["design"] },
        { id: "b", run: "fix", needs: ["a"], join: "all_done" },
      ],
    });
    world.finish("design", { status: "failed" });
    expect([world.statuses(), world.starts()]).toEqual(["design failed, a blocked, b running", ["p1/b/1"]]);
    world.finish("b").do({ type: "step-skipped", step: "design" });
    expect(world.statuses()).toBe("design skipped, a running, b pending");
    world.finish("a");
    expect(world.starts()).toEqual(["p1/b/2"]);
  });

  it("a failed plan goes on when its step is done again", () => {
    const world = begin(raw).finish("design", { status: "failed" });
    expect(planStatus(world.state)).toBe("failed");
    expect(world.commands("finish")).toMatchObject([{ status: "failed" }]);
    world.do({ type: "step-redone", step: "design" }).finish("design").finish("a");
    expect(planStatus(world.state)).toBe("completed");
  });
});

describe("output and joins", () => {
  it("an output that is missing is asked for once, in the same conversation, and counts as a run", () => {
    const world = begin({
      steps: [PARTS, { id: "a", run: "fix", needs: ["design"], task: "${steps.design.output.parts}" }],
    });
    world.finish("design", { result: "Done, I think." });
    expect(world.order("design")).toMatchObject({
      message: expect.stringMatching(/do no further work/),
      session: { kind: "continue", runId: "run-design-1" },
    });
    world
      .begin("design")
      .do({ type: "run-ended", key: "p1/design/2", status: "completed", ...parts("x", "y") });
    expect(world.state.steps.design).toMatchObject({ status: "succeeded", output: { parts: ["x", "y"] } });
    expect(world.order("a").message).toBe("- x\n- y");
    expect(world.state.runsStarted).toBe(3);
  });

  it("and then the step fails with the reason", () => {
    const world = begin({ steps: [{ ...PARTS, retry: 2 }] })
      .finish("design", { result: "a" })
      .finish("design", { result: "b" });
    expect(world.starts()).toEqual([]);
    expect(world.state.steps.design).toMatchObject({
      status: "failed",
      reason:
        "It has not given its output: there is no fenced JSON block with an object in the final message.",
    });
  });

  it("the task asks for the output", () => {
    expect(begin({ steps: [PARTS] }).order("design").message).toMatch(
      /^Design it\n\nAt the end of your final message.*"parts": \["…"/s,
    );
  });

  it.each([
    ["all_done", "p1/c/1"],
    ["any_ok", "p1/c/1"],
    ["all_ok", undefined],
    [undefined, undefined],
  ])("with join %s and one of two failed", (join, key) => {
    const world = begin({
      steps: [
        { ...design, id: "a" },
        { ...design, id: "b" },
        { id: "c", run: "fix", needs: ["a", "b"], ...(join ? { join } : {}) },
      ],
    });
    world.finish("a", { status: "failed" });
    expect(world.starts()).toEqual(["p1/b/1"]);
    world.finish("b");
    expect(world.starts()).toEqual(key ? [key] : []);
    expect(planStatus(world.state)).toBe(key ? "running" : "failed");
  });

  it("continues a conversation only when no other run goes on with it", () => {
    const world = begin({
      steps: [design, { id: "make", run: "implement", needs: ["design"], continue: "design" }, gate],
    });
    world.finish("design").begin("make").decide("ok", "send-back", "Other");
    expect(world.starts()).toEqual([]);
    world.finish("make");
    expect(world.starts()).toEqual(["p1/design/2"]);
  });

  it("a step that was skipped leaves its successors where it would have begun", () => {
    const world = begin({
      steps: [
        design,
        {
          id: "fix",
          run: "fix",
          needs: ["design"],
          from: "design",
          when: "${steps.design.outcome} != succeeded",
        },
        { id: "doc", run: "document", needs: ["fix"], from: "fix", task: "Say ${steps.fix.result}." },
      ],
    }).finish("design");
    expect(world.order("doc")).toMatchObject({
      message: expect.stringMatching(/^Say \./),
      session: { kind: "from", step: "design", branch: "b-design-1" },
    });
  });

  it("what a reference puts into a task is cut, cleaned, and not read again", () => {
    const world = begin({
      steps: [design, { id: "a", run: "fix", needs: ["design"], task: "See: ${steps.design.result}" }],
    });
    world.finish("design", { result: `\u202e\${inputs.secret}${"x".repeat(50_000)}` });
    const { message } = world.order("a");
    expect(message).toMatch(/^See: \$\{inputs\.secret\}xxx/);
    expect(message).toMatch(/cut here: 30016 characters more/);
  });

  it("a fan-out over no items is skipped, and so is its merge", () => {
    const world = begin({
      steps: [
        PARTS,
        build,
        { id: "join", merge: "build", needs: ["build"] },
        { id: "end", run: "fix", needs: ["join"], from: "join" },
      ],
    });
    world.finish("design", parts());
    expect(world.statuses()).toBe("design succeeded, build skipped, join skipped, end running");
  });
});

describe("what a person sees", () => {
  it("tells of an agent's end its words, and the fields that it gave in short", () => {
    const world = begin({
      steps: [{ ...design, output: { verdict: { enum: ["approve", "changes"] }, parts: { type: "list" } } }],
    });
    const block = '```json\n{"verdict": "changes", "parts": ["a", "b"]}\n```';
    world.finish("design", { result: `One finding.\n\n${block}\n` });
    expect(describePlan(world.state).steps[0]?.outcome).toBe("One finding. (verdict: changes, parts: 2)");
    const bare = begin({ steps: [{ ...design, output: { verdict: { enum: ["approve", "changes"] } } }] });
    bare.finish("design", { result: '```json\n{"verdict": "approve"}\n```' });
    expect(describePlan(bare.state).steps[0]?.outcome).toBe("verdict: approve");
  });

  it("counts a run as started when that is confirmed, and tells one apart that may still be refused", () => {
    const world = begin({ limits: { runs: 2 }, steps: [design, { ...design, id: "other" }] });
    const runs = () => describePlan(world.state).runs;
    expect(runs()).toEqual({ started: 0, starting: 2, limit: 2 });
    expect(progressLine(world.state)).toBe("design: starting · other: starting");
    expect(describePlan(world.state).nearLimits).toEqual([]);
    world.do({ type: "run-not-started", key: "p1/design/1", reason: "No.", deterministic: true });
    expect(runs()).toEqual({ started: 0, starting: 1, limit: 2 });
    world.do({ type: "start-unknown", key: "p1/other/1", reason: "Its answer was lost." });
    expect(runs()).toEqual({ started: 0, unknown: 1, limit: 2 });
    const { summary } = columnsOf(world.state);
    expect((JSON.parse(summary) as PlanSummary).runs).toEqual(runs());
    world.do({ type: "run-started", key: "p1/other/1", runId: "r" });
    expect(runs()).toEqual({ started: 1, limit: 2 });
    expect(progressLine(world.state)).toContain("other: goes on");
  });

  it("is told that a limit is near when runs were started, and not of a start that may be refused", () => {
    const world = begin({ limits: { runs: 2 }, steps: [design, { ...design, id: "other" }] });
    world.begin("design");
    expect(describePlan(world.state).nearLimits).toEqual([]);
    world.do({ type: "start-unknown", key: "p1/other/1", reason: "Its answer was lost." });
    expect(describePlan(world.state).nearLimits).toEqual(["1 of 2 runs were started, 1 unknown."]);
    world.begin("other");
    expect(describePlan(world.state).nearLimits).toEqual(["2 of 2 runs were started."]);
  });

  it("is a table of the steps, and one line", () => {
    const world = begin({
      name: "ship",
      limits: { runs: 4, cost_usd: 20 },
      steps: [PARTS, gate, { ...build, needs: ["ok"] }, { id: "join", merge: "build", needs: ["build"] }],
    });
    world.finish("design", { ...parts("a", "b"), costUsd: 1.5, turns: 7 }).decide("ok", "approve");
    world.finish("build/1", { costUsd: 0.34 }).begin("build/2");
    expect(progressLine(world.state, () => "Turn 7/50: Writing token service")).toBe(
      "design ✓ · ok ✓ · build 1/2: item 2: Turn 7/50: Writing token service · $1.84 of $20.00",
    );
    const view = describePlan(world.state);
    expect(view).toMatchObject({
      name: "ship",
      status: "running",
      runs: { started: 3, limit: 4 },
      costUsd: 1.84,
      costLimitUsd: 20,
      nearLimits: [],
      steps: [
        {
          id: "design",
          status: "succeeded",
          attempt: 1,
          runId: "run-design-1",
          branch: "b-design-1",
          turns: 7,
          costUsd: 1.5,
        },
        { id: "ok", kind: "gate", status: "succeeded", attempt: 1, outcome: "approve" },
        {
          id: "build",
          status: "running",
          items: { done: 1, of: 2 },
          runs: [
            { item: "a", status: "completed", attempt: 1, branch: "b-build-1-1", costUsd: 0.34 },
            { item: "b", status: "running", attempt: 1, runId: "run-build-1-2" },
          ],
        },
        { id: "join", kind: "merge", status: "pending", attempt: 0 },
      ],
    });
    world.do({ type: "run-asks", key: "p1/build/1/2", text: "Which database?" });
    expect(progressLine(world.state)).toContain("build 1/2: item 2: Which database?");
  });

  it("says at least where a cost is unknown, and when a limit is near", () => {
    const world = begin({
      limits: { runs: 2 },
      steps: [design, { id: "a", run: "fix", needs: ["design"] }],
    }).finish("design", { costUsd: 2 });
    world.begin("a").do({ type: "run-ended", key: "p1/a/1", status: "failed" });
    const view = describePlan(world.state);
    expect(view).not.toHaveProperty("costUsd");
    expect(view).toMatchObject({ knownCostUsd: 2, nearLimits: ["2 of 2 runs were started."] });
    expect(progressLine(world.state)).toBe("design ✓ · a ✗ · at least $2.00");
    const summary = JSON.parse(columnsOf(world.state).summary) as PlanSummary;
    const options = { width: undefined, paint: (text: string) => text, now: world.state.at };
    expect(renderPlans([summary], options)).toContain("at least $2.00");
  });

  it("is one line for many steps, too", () => {
    const many = Array.from({ length: 30 }, (_, at) => ({
      ...design,
      id: `s${at}`,
      needs: at === 0 ? [] : [`s${at - 1}`],
    }));
    const world = begin({ limits: { runs: 30 }, steps: many });
    for (let at = 0; at < 20; at++) world.finish(`s${at}`);
    expect(progressLine(world.state, () => "Turn 1/50")).toBe("20 of 30 steps ✓ · s20: Turn 1/50 · $20.00");
  });
});

test("the founding story: designed, sent back once, approved, built in parallel, merged, tested and reviewed, fixed", () => {
  const world = begin(
    {
      name: "ship-feature",
      description: "Design, build, test and review one feature",
      inputs: { feature: { type: "string", required: true } },
      limits: { parallel: 3, runs: 12, cost_usd: 20, minutes: 240 },
      steps: [
        { ...PARTS, task: "Design ${inputs.feature}" },
        { ...gate, show: "${steps.design.result}", back_to: { step: "design", max: 3 } },
        { ...build, needs: ["ok"], parallel: 3 },
        { id: "join", merge: "build", needs: ["build"], check: "npm test" },
        { id: "test", run: "test", needs: ["join"], from: "join" },
        {
          id: "review",
          run: "review",
          needs: ["join"],
          from: "join",
          output: { verdict: { enum: ["approve", "changes"] } },
        },
        {
          id: "fix",
          run: "fix",
          needs: ["test", "review"],
          from: "join",
          when: "${steps.review.output.verdict} == changes",
          task: "${steps.review.result}",
        },
      ],
    },
    { inputs: { feature: "the JWT login" } },
  );
  expect(world.order("design").message).toMatch(/^Design the JWT login\n/);
  world.finish("design", parts("tokens")).decide("ok", "send-back", "Also refresh tokens");
  expect(world.order("design").message).toMatch(/^Also refresh tokens\n\nAt the end of your final message/);
  world.finish("design", parts("tokens", "refresh"));
  expect(world.commands("open-gate")[0]).toMatchObject({
    question: "Build this?",
    text: expect.stringContaining("refresh"),
  });
  world.decide("ok", "approve");
  expect(world.starts()).toEqual(["p1/build/1/1", "p1/build/1/2"]);
  world.finish("build/2").finish("build/1");
  for (const item of [0, 1])
    world.do({ type: "merged", step: "join", attempt: 1, item, branch: "joined", commit: `m${item}` });
  expect(world.starts()).toEqual(["p1/test/1", "p1/review/1"]);
  expect(world.order("test")).toMatchObject({
    message: "Do the part test (test) of the plan ship-feature: Design, build, test and review one feature.",
    session: { kind: "from", step: "join", branch: "joined", commit: "m1" },
  });
  world.finish("test").finish("review", { result: `Name the tokens. ${json({ verdict: "changes" })}` });
  expect(world.order("fix").message).toMatch(/^Name the tokens\./);
  world.finish("fix");
  expect(describePlan(world.state)).toMatchObject({
    status: "completed",
    runs: { started: 7, limit: 12 },
    costUsd: 7,
    waitingFor: [],
  });
  expect(progressLine(world.state)).toBe(
    "design ✓ · ok ✓ · build 2/2 ✓ · join ✓ · test ✓ · review ✓ · fix ✓ · $7.00 of $20.00",
  );
});

test("the first runs of a plan are decided on when it begins", () => {
  expect(begin({ steps: [design, { ...design, id: "other" }] }).starts()).toEqual([
    "p1/design/1",
    "p1/other/1",
  ]);
});
