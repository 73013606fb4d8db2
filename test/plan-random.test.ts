import { expect, test } from "vitest";
import { checkPlanValue } from "../src/plans/language/check-plan.js";
import { describeProblem } from "../src/plans/language/problems.js";
import { apply, replay, startPlan } from "../src/plans/machine/apply.js";
import { commandsOf, type PlanCommand } from "../src/plans/machine/commands.js";
import type { PlanChange, PlanEvent, PlanStarted } from "../src/plans/machine/events.js";
import { planStatus, waitingFor } from "../src/plans/machine/plan-status.js";
import type { PlanState } from "../src/plans/machine/state.js";
import type { Plan } from "../src/plans/plan.js";
import { createRandom, type Random } from "./faults/random.js";

/**
 * Random plans, carried out by an outside world in which everything happens in any order, twice, too late or never,
 * and in which a person decides, changes their mind and stops. After each event the plan is held against the rules.
 */

/** A plan of 2 to 9 steps that the checker has nothing against. */
function drawPlan(random: Random): Plan {
  const steps: Record<string, unknown>[] = [];
  const runs: string[] = [];
  const lists: string[] = [];
  const fans: string[] = [];
  const count = random.between(2, 9);
  for (let at = 0; at < count; at++) {
    const id = `s${at}`;
    // The newest list and the newest fan-out are mostly used, so that there is something to merge.
    const wanted = [...lists.slice(-1), ...fans.slice(-1)];
    const needs = steps
      .map((step) => String(step.id))
      .filter((other) => random.chance(wanted.includes(other) ? 0.8 : 0.4));
    const join =
      needs.length > 0 && random.chance(0.3) ? { join: random.pick(["all_done", "all_ok", "any_ok"]) } : {};
    const near = (names: string[]) => names.filter((name) => needs.includes(name));
    const fan = near(fans).at(-1);
    const list = near(lists).at(-1);
    const before = near(runs);
    const from = before.length > 0 && random.chance(0.5) ? random.pick(before) : undefined;
    const condition =
      before.length > 0 && random.chance(0.2)
        ? { when: `\${steps.${random.pick(before)}.outcome} ${random.pick(["==", "!="])} succeeded` }
        : {};
    const kind = random.next();
    if (fan !== undefined && kind < 0.6) {
      steps.push({ id, merge: fan, needs, ...join, ...(random.chance(0.5) ? { check: "npm test" } : {}) });
    } else if (kind < 0.25 && needs.length > 0) {
      steps.push({
        id,
        gate: "Go on?",
        needs,
        ...join,
        ...(before.length > 0 ? { back_to: { step: random.pick(before), max: random.between(1, 3) } } : {}),
      });
    } else if (list !== undefined && kind < 0.6) {
      steps.push({
        id,
        run: "implement",
        needs,
        task: "${item}",
        for_each: `\${steps.${list}.output.parts}`,
        retry: random.between(0, 1),
        ...join,
        ...(from ? { from } : {}),
        ...(random.chance(0.4) ? { parallel: random.between(1, 2) } : {}),
      });
      fans.push(id);
    } else {
      const wantsList = random.chance(0.4);
      const goesBack = before.length > 0 && random.chance(0.25);
      steps.push({
        id,
        run: random.pick(["architect", "fix", "auto"]),
        task:
          before.length > 0 && random.chance(0.4) ? `After \${steps.${random.pick(before)}.result}` : "Work",
        needs,
        retry: random.between(0, 2),
        ...join,
        ...condition,
        ...(from ? { [random.chance(0.3) ? "continue" : "from"]: from } : {}),
        ...(wantsList ? { output: { parts: "list" } } : {}),
        ...(goesBack
          ? {
              back_to: {
                step: random.pick(before),
                max: random.between(1, 2),
                when: `\${steps.${id}.outcome} == succeeded`,
              },
            }
          : {}),
      });
      runs.push(id);
      if (wantsList) lists.push(id);
    }
  }
  const raw = {
    steps,
    limits: {
      parallel: random.between(1, 4),
      runs: random.between(count, 40),
      minutes: random.pick([5, 600, 100_000]),
      ...(random.chance(0.5) ? { cost_usd: random.pick([1, 10, 100]) } : {}),
    },
  };
  const checked = checkPlanValue(raw);
  if ("plan" in checked) return checked.plan;
  // Two steps that go on with one conversation are refused; such a plan is drawn again.
  if (checked.problems.every(({ message }) => /same conversation|no conversation|no branch/.test(message)))
    return drawPlan(random);
  throw new Error(checked.problems.map(describeProblem).join("\n"));
}

interface Outside {
  /** POSTs by key. */
  posts: Map<string, number>;
  /** Runs that are there, by key. */
  runs: Map<string, { ended: boolean; conversation: string; told: boolean }>;
}

/** A plan as a person who looks for a mistake wants to see it. */
function show(state: PlanState): string {
  const { steps, plan, ...rest } = state;
  return [
    `${planStatus(state)} ${JSON.stringify({ ...rest, earlier: rest.earlier.length, limits: plan.limits })}`,
    ...plan.steps.map(
      (step) => `${JSON.stringify(step)}\n    ${JSON.stringify(steps[step.id]).slice(0, 1_500)}`,
    ),
  ].join("\n");
}

function drive(seed: number): {
  state: PlanState;
  journal: PlanEvent[];
  start: PlanStarted;
  events: Set<string>;
} {
  const random = createRandom(seed);
  const plan = drawPlan(random);
  const start: PlanStarted = {
    type: "plan-started",
    at: 0,
    planId: "p",
    plan,
    inputs: {},
    ...(random.chance(0.5) ? { agreeAbove: { runs: random.between(1, 3) } } : {}),
    ...(random.chance(0.5) ? { expectedUsd: { architect: 1, implement: 3 } } : {}),
  };
  let state = startPlan(start);
  let at = 0;
  let journal: PlanEvent[] = [];
  const seen: PlanEvent[] = [];
  const events = new Set<string>();
  const outside: Outside = { posts: new Map(), runs: new Map() };
  let limit = plan.limits.runs;
  let isStopped = false;
  const known = new Set<string>();
  const patience = random.between(30, 200);

  function tell(change: PlanChange): void {
    at += random.between(0, 100_000);
    const event = { ...change, at };
    const before = state;
    // Now and then, since it takes long.
    const frozen = random.chance(0.1) ? JSON.stringify(before) : undefined;
    state = apply(state, event);
    if (frozen) expect(JSON.stringify(before), "the last state stays").toBe(frozen);
    if (state !== before) {
      journal.push(event);
      seen.push(event);
      events.add(event.type);
      if (event.type === "kill-asked" || (event.type === "gate-decided" && event.decision === "stop"))
        isStopped = true;
    }
    hold();
  }

  function hold(): void {
    // Nothing is left over that would follow when all steps are looked at.
    if (random.chance(0.3)) expect(apply(state, { type: "tick", at: state.at })).toEqual(state);
    const attempts = Object.values(state.steps).flatMap((step) => step.attempts);
    expect(new Set(attempts.map(({ key }) => key)).size, "a key is taken once").toBe(attempts.length);
    expect(state.runsStarted, "runs within the limit").toBeLessThanOrEqual(limit);
    for (const step of plan.steps)
      for (const { key } of state.steps[step.id]?.attempts ?? []) {
        if (known.has(key)) continue;
        known.add(key);
        const { costUsd = Number.POSITIVE_INFINITY } = state.plan.limits;
        expect(state.spentUsd + state.heldUsd, "nothing is reserved beyond the limit").toBeLessThanOrEqual(
          costUsd + 0.001,
        );
        for (const need of step.needs) {
          const now = state.steps[need];
          const hasEnded =
            ["succeeded", "failed", "skipped", "killed"].includes(now?.status ?? "") || now?.byNeed;
          expect(hasEnded, `${key} comes after ${need}`).toBeTruthy();
        }
      }
    const going = attempts.filter(({ status }) => ["starting", "running", "waiting"].includes(status));
    expect(
      Object.values(state.steps).reduce((sum, step) => sum + step.going, 0),
      "runs are counted",
    ).toBe(going.length);
    const conversations = going.filter(({ abandoned }) => !abandoned).map(({ conversation }) => conversation);
    expect(new Set(conversations).size, "one run a conversation").toBe(conversations.length);
    const held = attempts.filter(({ status, costUsd }) => status !== "refused" && costUsd === undefined);
    expect(state.heldUsd, "held is what is reserved, until a cost is known").toBeCloseTo(
      held.reduce((sum, { reservedUsd = 0 }) => sum + reservedUsd, 0),
    );
    for (const { decisions } of Object.values(state.steps))
      expect(new Set(decisions.map(({ attempt }) => attempt)).size, "decided once").toBe(decisions.length);
    for (const [id, step] of Object.entries(state.steps)) {
      // What a person has given up on may be found after all.
      const current = step.attempts.filter(({ round, abandoned }) => round === step.round && !abandoned);
      expect(
        new Set(
          current
            .filter(({ status }) => ["starting", "running", "waiting"].includes(status))
            .map(({ item }) => item ?? -1),
        ).size,
      ).toBe(current.filter(({ status }) => ["starting", "running", "waiting"].includes(status)).length);
      if (step.status === "blocked" || step.status === "failed")
        expect(step.reason, `${id} says why`).toBeTruthy();
      if (step.open) expect(step.status).toBe("waiting");
    }
    expect(
      Object.values(state.steps)
        .flatMap(({ merges }) => merges)
        .filter(({ status }) => status === "merging").length,
      "one merge at a time",
    ).toBeLessThanOrEqual(1);
    const commands = commandsOf(state);
    expect(new Set(commands.map(({ id }) => id)).size, "each thing to do has its own id").toBe(
      commands.length,
    );
    if (state.pausedAt !== undefined) expect(commands.filter(({ type }) => type === "start")).toEqual([]);
    if (isStopped)
      expect(
        commands.filter(({ type }) => type === "start"),
        "nothing starts after a no",
      ).toEqual([]);
    if (planStatus(state) === "waiting" || planStatus(state) === "blocked")
      expect(waitingFor(state), "it says what it waits for").not.toEqual([]);
  }

  /** One thing that is to be done outside: done, or done in part, or its answer lost. */
  function carryOut(command: PlanCommand): unknown {
    switch (command.type) {
      case "start": {
        const { key, order } = command;
        expect(isStopped, "no start after a no").toBe(false);
        const luck = random.next();
        if (luck < 0.1 && !outside.runs.has(key))
          return tell({
            type: "run-not-started",
            key,
            reason: "away",
            ...(random.chance(0.3) ? { deterministic: true as const } : {}),
          });
        if (!outside.runs.has(key)) {
          outside.posts.set(key, (outside.posts.get(key) ?? 0) + 1);
          outside.runs.set(key, { ended: false, conversation: order.session.kind, told: false });
        }
        if (luck < 0.15) return;
        if (luck < 0.22) return tell({ type: "start-unknown", key, reason: "lost" });
        return started(key);
      }
      case "withdraw":
        return outside.runs.has(command.key)
          ? started(command.key)
          : tell({ type: "run-not-started", key: command.key, reason: "withdrawn" });
      case "look-up":
        if (random.chance(0.3) && outside.runs.has(command.key)) started(command.key);
        return;
      case "kill":
        return ended(command.key, "killed");
      case "watch": {
        const luck = random.next();
        if (luck < 0.15) return tell({ type: "run-asks", key: command.key, text: "Which?" });
        if (luck < 0.3) return tell({ type: "run-goes-on", key: command.key });
        if (luck < 0.32) return tell({ type: "workspace-shared", key: command.key });
        return ended(command.key, random.pick(["completed", "completed", "completed", "failed", "killed"]));
      }
      case "merge": {
        const { step, attempt, item } = command;
        if (random.chance(0.7))
          return tell({
            type: "merged",
            step,
            attempt,
            item,
            branch: `merged-${step}-${attempt}`,
            commit: `m${at}`,
          });
        return tell({
          type: "merge-failed",
          step,
          attempt,
          item,
          because: random.pick(["conflict", "check"]),
          files: ["a.ts"],
          reason: "no",
        });
      }
      case "open-gate": {
        const { step, opening } = command;
        const decision = random.pick([
          "approve",
          "approve",
          "send-back",
          "send-back",
          ...(random.chance(0.2) ? (["stop"] as const) : []),
        ] as const);
        return tell({ type: "gate-decided", step, ...opening, decision, words: "Other" });
      }
      case "ask-agreement":
        return tell({
          type: "fan-out-answered",
          step: command.step,
          attempt: command.agreement.attempt,
          runs: command.agreement.runs,
          agreed: random.chance(0.8),
        });
      case "wake":
        return tell({ type: "tick" });
      case "finish":
    }
  }

  function started(key: string): void {
    tell({
      type: "run-started",
      key,
      runId: `r-${key}`,
      ...(random.chance(0.8) ? { sessionId: `s-${key}` } : {}),
      ...(random.chance(0.05) ? { ownWorkspace: false } : {}),
      ...(random.chance(0.5) ? { branch: `b-${key}` } : {}),
    });
  }

  function ended(key: string, status: "completed" | "failed" | "killed"): void {
    const items = Array.from({ length: random.between(0, 4) }, (_, item) => `part ${item}`);
    tell({
      type: "run-ended",
      key,
      status,
      result: random.chance(0.8) ? `Done.\n\`\`\`json\n${JSON.stringify({ parts: items })}\n\`\`\`` : "Done.",
      ...(random.chance(0.2) ? {} : { costUsd: random.between(0, 300) / 100 }),
      ...(random.chance(0.05) ? {} : { branch: random.chance(0.1) ? null : `b-${key}`, commit: `c-${at}` }),
      ...(status === "failed"
        ? {
            error: "Red.",
            ...(random.chance(0.3) ? { interrupted: true as const } : {}),
            ...(random.chance(0.2) ? { deterministic: true as const } : {}),
          }
        : {}),
    });
  }

  /** Something that a person does, whether or not it can be done now. */
  function meddle(): void {
    const step = random.pick(state.plan.steps).id;
    const luck = random.next();
    if (luck < 0.15) tell({ type: "paused" });
    else if (luck < 0.35) tell({ type: "resumed" });
    else if (luck < 0.5) tell({ type: "step-skipped", step });
    else if (luck < 0.7)
      tell({ type: "step-redone", step, ...(random.chance(0.3) ? { words: "Better" } : {}) });
    else if (luck < 0.73) tell({ type: "kill-asked" });
    else if (luck < 0.8) {
      const runs = state.plan.limits.runs + random.between(0, 2);
      limit = Math.max(limit, runs);
      tell({
        type: "plan-edited",
        plan: { ...state.plan, limits: { ...state.plan.limits, runs, minutes: 100_000 } },
      });
    } else if (luck < 0.9 && seen.length > 0) tell(random.pick(seen));
    else if (luck < 0.95) {
      const attempt = random.pick([
        ...Object.values(state.steps).flatMap(({ attempts }) => attempts),
        undefined,
      ]);
      if (attempt) tell({ type: "work-moved", key: attempt.key, commit: `moved-${at}` });
    } else {
      // The process dies, and the next one has nothing but the journal.
      state = replay(start, journal);
      journal = [...journal];
    }
  }

  try {
    for (let turn = 0; turn < patience; turn++) {
      const todo = commandsOf(state);
      if (todo.length === 0 || random.chance(0.12)) meddle();
      else carryOut(random.pick(todo));
    }
    // From here on nobody meddles: everything that is under way comes to its end, and gates are decided.
    for (let turn = 0; turn < 2_000; turn++) {
      const todo = commandsOf(state).filter(
        ({ type }) => type !== "finish" && type !== "wake" && type !== "look-up",
      );
      if (todo.length === 0) break;
      carryOut(random.pick(todo));
    }
    const status = planStatus(state);
    const isAtItsEnd = ["completed", "failed", "killed"].includes(status);
    expect(
      isAtItsEnd || status === "paused" || waitingFor(state).length > 0,
      `seed ${seed} stands still as ${status}`,
    ).toBe(true);
    expect(status, `seed ${seed} does nothing and says that it runs`).not.toBe("running");
    for (const [key, times] of outside.posts) expect(times, `${key} was sent twice`).toBe(1);
    expect(outside.posts.size, "runs at the API within the limit").toBeLessThanOrEqual(limit);
    expect(replay(start, journal), "the journal gives the same plan").toEqual(state);
  } catch (error) {
    throw new Error(
      `Seed ${seed}, after ${journal
        .slice(-4)
        .map((event) => JSON.stringify(event))
        .join("\n")}\n${show(state)}`,
      { cause: error },
    );
  }
  return { state, journal, start, events };
}

test("in 240 random plans with random events no rule is broken, and each ends or says what it waits for", () => {
  const statuses = new Set<string>();
  const events = new Set<string>();
  for (let seed = 1; seed <= Number(process.env.AUTOMAGIK_TEST_PLANS ?? 240); seed++) {
    const driven = drive(seed);
    statuses.add(planStatus(driven.state));
    for (const event of driven.events) events.add(event);
  }
  expect([...statuses].sort()).toEqual(["blocked", "completed", "failed", "killed", "paused", "waiting"]);
  expect([...events].sort()).toEqual([
    "fan-out-answered",
    "gate-decided",
    "kill-asked",
    "merge-failed",
    "merged",
    "paused",
    "plan-edited",
    "resumed",
    "run-asks",
    "run-ended",
    "run-goes-on",
    "run-not-started",
    "run-started",
    "start-unknown",
    "step-redone",
    "step-skipped",
    "tick",
    "work-moved",
    "workspace-shared",
  ]);
});
