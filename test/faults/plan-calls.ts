import type { Random } from "./random.js";
import type { CallStep, Step } from "./sequence.js";

/** Stands for the call's own mark in whatever a plan tells its agents. */
export const MARK = "@mark@";
/** The first plan of a sequence is `hive-1`, so that its runs are told apart by their sessions' names. */
export const planName = (nth: number) => `hive-${nth}`;

/** How a sequence treats its plans. */
export interface PlansOfSequence {
  /** Starts under one key are one run at the API. */
  keepsKeys: boolean;
  /** Sessions have branches, which begin at others and are merged. */
  branches: boolean;
  /** Above so many runs the person is asked before they begin. */
  askAboveRuns: number;
}

/** What the API calls its workflows. */
export interface Workflows {
  design: string;
  build: string;
  review: string;
}

const WAITS = [0, 1, 5, 15];
type Manner = Pick<CallStep, "form" | "progress" | "cancelAfterMs">;

/** A call that begins the n-th plan of a sequence. */
export function drawPlanCall(
  random: Random,
  nth: number,
  api: { branches: boolean; workflows: Workflows },
  manner: Manner,
): CallStep {
  const { branches, workflows } = api;
  const items = random.between(1, 4);
  const hasDesign = random.chance(0.5);
  const hasGate = hasDesign && random.chance(0.7);
  const hasJoin = branches && random.chance(0.6);
  const isReviewed = random.chance(0.4);
  const last = hasGate ? "ok" : "design";
  const steps: object[] = [];
  if (hasDesign)
    steps.push({
      id: "design",
      run: workflows.design,
      task: `Design it ${MARK}`,
      retry: random.between(0, 1),
    });
  if (hasGate)
    steps.push({
      ...{ id: "ok", gate: "Build this?", needs: ["design"], show: "${steps.design.result}" },
      ...(random.chance(0.8) ? { back_to: { step: "design", max: 1 } } : {}),
    });
  steps.push({
    ...{ id: "build", run: workflows.build, task: `Build \${item} ${MARK}`, for_each: "${inputs.parts}" },
    ...(hasDesign ? { needs: [last] } : {}),
    ...(hasDesign && branches ? { from: "design" } : {}),
    ...{ parallel: random.between(1, 3), retry: random.between(0, 1) },
  });
  if (hasJoin) steps.push({ id: "join", merge: "build", needs: ["build"] });
  const end = hasJoin ? "join" : "build";
  if (isReviewed)
    steps.push({
      ...{ id: "review", run: workflows.review, task: `Review it ${MARK}`, needs: [end] },
      ...(hasJoin ? { from: end } : {}),
      output: { verdict: { enum: ["approve", "changes"] } },
      ...(hasDesign && random.chance(0.5)
        ? { back_to: { step: "design", max: 1, when: "${steps.review.output.verdict} == changes" } }
        : {}),
    });
  const least = items + Number(hasDesign) + Number(isReviewed);
  const plan = {
    name: planName(nth),
    inputs: { parts: { type: "list", required: true } },
    limits: {
      runs: random.chance(0.1) ? 1 : least + random.between(0, 3),
      parallel: random.between(1, 3),
      ...(random.chance(0.3) ? { cost_usd: random.pick([1, 5]) } : {}),
    },
    steps: random.chance(0.2) ? JSON.stringify(steps) : steps,
  };
  const isText = random.chance(0.3);
  const inputs = { parts: Array.from({ length: items }, (_, at) => `part ${at + 1}`) };
  return {
    do: "call",
    action: "plan",
    args: {
      plan: isText ? JSON.stringify(plan) : plan,
      // Its own name, so that it is known which runs are its.
      session_name: planName(nth),
      ...(random.chance(0.8) ? { inputs: isText ? JSON.stringify(inputs) : inputs } : {}),
      ...(random.chance(0.95) ? { repository_url: "", git_branch: random.pick(["", "main"]) } : {}),
      ...(random.chance(0.1) ? { dry_run: true } : {}),
      confirm: true,
      wait_seconds: random.pick([1, 5, 15, 15]),
    },
    target: "nothing",
    ...manner,
  };
}

/** Something that is done with the plans that were begun so far. */
export function drawPlanStep(random: Random, plans: number, manner: Manner): Step {
  const name = planName(random.between(1, plans));
  const call = (action: string, args: Record<string, unknown> = {}): CallStep => ({
    do: "call",
    action,
    args,
    target: "nothing",
    ...manner,
  });
  const named = { session_name: name };
  const wait = { wait_seconds: random.pick(WAITS) };
  const roll = random.next();
  if (roll < 0.22) return call("status", { ...named, ...wait, detailed: random.chance(0.5) });
  if (roll < 0.55) {
    const answer = random.pick([
      ...["approve", "approve", "approve", "send back: Use one table", "stop"],
      ...["yes", "yes", "no", "something else"],
    ]);
    return call("answer", { ...named, answer, confirm: true, ...wait });
  }
  if (roll < 0.63) return call("kill", { ...named, force: random.chance(0.3), confirm: true });
  if (roll < 0.82) {
    const change = random.pick(["pause", "resume", "resume", "skip", "redo", "redo", "edit"]);
    const limits = { runs: random.between(1, 9) };
    return call("plan", {
      ...{ plan_id: name, change, ...wait, confirm: true },
      ...(change === "skip" || change === "redo"
        ? { step: random.pick(["design", "build", "join", "review", "ok", "nowhere"]) }
        : {}),
      ...(change === "edit" ? { limits: random.chance(0.5) ? limits : JSON.stringify(limits) } : {}),
    });
  }
  if (roll < 0.86) return call("feedback", { ...named, wait_seconds: 0 });
  if (roll < 0.9) return call("list_plans");
  if (roll < 0.94) return { do: "read", what: "plan", name };
  if (roll < 0.97) return { do: "subscribe", plan: name };
  return { do: "pause", ms: random.between(20, 200) };
}
