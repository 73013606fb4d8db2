import { cleanLine } from "../../shared/text.js";
import type { RunStep } from "../plan.js";
import { type Draft, edit, setStatus } from "./draft.js";
import { itemsOf, outcomeOf } from "./outcome.js";
import { beginAgain } from "./reset.js";
import { holds, resolveList, resultOf } from "./resolve.js";
import { conclude } from "./start-run.js";
import type { StepState } from "./state.js";

/** How many problems of children are named in a reason. */
const NAMED = 5;

/** A run step whose turn it is: with a list only when its runs fit, and a person has agreed where they have to. */
export function beginRun(draft: Draft, step: RunStep): void {
  if (step.forEach === undefined) {
    const next = edit(draft, step.id);
    next.round = Math.max(1, next.round);
    next.begun = true;
    next.queue = [next.next ?? { why: next.attempts.length === 0 ? "first" : "again" }];
    delete next.next;
    return;
  }
  const list = resolveList(draft, step.forEach);
  if ("problem" in list) {
    setStatus(draft, step.id, "blocked", `It cannot begin: ${list.problem}.`);
    return;
  }
  const runs = list.value.length;
  if (runs === 0) {
    conclude(draft, step.id, "skipped", "Its list has no items.");
    return;
  }
  const { limits } = draft.state.plan;
  const fits = runs <= limits.runs - draft.state.runsStarted;
  const isAsked = draft.state.steps[step.id]?.agreement !== undefined;
  // Nobody is asked about what cannot be started.
  if ((fits || isAsked) && !isAgreed(draft, step, runs)) return;
  if (!fits) {
    const reason = `It has ${runs} runs, and of the ${limits.runs} that the plan may have fewer are left.`;
    setStatus(draft, step.id, "blocked", reason);
    return;
  }
  const next = edit(draft, step.id);
  next.round = Math.max(1, next.round);
  next.begun = true;
  next.items = list.value;
  next.queue = list.value.map((_, item) => ({
    item,
    why: next.attempts.some((attempt) => attempt.item === item) ? "again" : "first",
  }));
}

/** Above the threshold nothing is started before a person has seen how much it is. */
function isAgreed(draft: Draft, step: RunStep, runs: number): boolean {
  const { agreeAbove, expectedUsd } = draft.state;
  const each = Object.hasOwn(expectedUsd, step.workflow) ? expectedUsd[step.workflow] : undefined;
  const costUsd = each === undefined ? undefined : each * runs;
  const isMuch =
    (agreeAbove.runs !== undefined && runs > agreeAbove.runs) ||
    (agreeAbove.costUsd !== undefined && costUsd !== undefined && costUsd > agreeAbove.costUsd);
  if (!isMuch) return true;
  const now = draft.state.steps[step.id] as StepState;
  const attempt = Math.max(1, now.round);
  if (now.agreement?.attempt !== attempt || now.agreement.runs !== runs) {
    const next = edit(draft, step.id);
    next.round = attempt;
    next.agreement = { attempt, runs, ...(costUsd === undefined ? {} : { costUsd }) };
  }
  const { agreed, by = "A person" } = draft.state.steps[step.id]?.agreement ?? {};
  if (agreed === undefined)
    setStatus(draft, step.id, "waiting", `It would start ${runs} runs, and a person has to agree first.`);
  if (agreed === false)
    setStatus(draft, step.id, "blocked", `${by} did not agree to its ${runs} runs. Nothing was started.`);
  return agreed === true;
}

/** A run step that has begun and of which nothing goes on and nothing is to be started: what has come of it. */
export function concludeRun(draft: Draft, step: RunStep): void {
  const now = draft.state.steps[step.id] as StepState;
  const outcomes = itemsOf(step, now).map((item) => ({ item, ...outcomeOf(step, now, item) }));
  const bad = outcomes.filter(({ ok }) => !ok);
  if (step.forEach !== undefined) {
    if (bad.length === 0) {
      conclude(draft, step.id, "succeeded");
      return;
    }
    const named = bad
      .slice(0, NAMED)
      .map(
        ({ item, problem }) =>
          `${cleanLine(now.items?.[item ?? 0] ?? "", 60)}: ${cleanLine(problem ?? "", 200)}`,
      )
      .join(" ");
    conclude(
      draft,
      step.id,
      "failed",
      `${bad.length} of ${outcomes.length} have not succeeded. ${named}${bad.length > NAMED ? " …" : ""}`,
    );
    return;
  }
  const [outcome] = outcomes;
  if (!outcome?.ok) {
    const isKilled = outcome?.last?.status === "killed" && outcome.last.stop === undefined;
    conclude(draft, step.id, isKilled ? "killed" : "failed", outcome?.problem);
    return;
  }
  if (outcome.last?.output) edit(draft, step.id).output = outcome.last.output;
  const { backTo } = step;
  // It is looked at as it will be.
  setStatus(draft, step.id, "succeeded");
  if (backTo?.when === undefined) {
    conclude(draft, step.id, "succeeded");
    return;
  }
  const back = holds(draft, backTo.when);
  if ("problem" in back) {
    conclude(draft, step.id, "blocked", `Whether it sends back cannot be told: ${back.problem}.`);
    return;
  }
  if (!back.value) {
    conclude(draft, step.id, "succeeded");
    return;
  }
  if (now.sentBack >= backTo.max) {
    conclude(
      draft,
      step.id,
      "blocked",
      `It would send back to ${backTo.step} once more, and has done so ${now.sentBack} times, as often as it may.`,
    );
    return;
  }
  const words = `The step ${step.id} has looked at your work and sends it back. It says:\n\n${resultOf(step, draft.state.steps[step.id] as StepState)}`;
  edit(draft, step.id).sentBack++;
  beginAgain(draft, backTo.step, { why: "rework", isRework: true, words });
}
