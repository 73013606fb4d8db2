import type { FormClient, Question } from "../../actions/forms/form-client.js";
import type { Plans } from "../../plan-runner/plans.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import type { PlanChange } from "../../plans/machine/events.js";
import { cleanLine } from "../../shared/text.js";
import { tellDecided } from "./decide-command.js";
import { lookAtGate, renderGate } from "./look-at-gate.js";

/** What is typed to leave a question open: it waits, and is asked no more here. */
const LATER = "later";

/**
 * Asks about what waits for the person while they follow a plan, and decides so. A question that is decided elsewhere
 * meanwhile is closed, and decides nothing.
 */
export function createFollowAsk(options: {
  plans: Pick<Plans, "tell">;
  forms: FormClient;
  out: (text: string) => void;
  /** What the work at a gate has changed, file by file; "" where that cannot be had. */
  describeSize: (runId: string) => Promise<string>;
}): (sight: PlanSight, step: string, signal: AbortSignal) => Promise<void> {
  const { plans, forms, out } = options;

  async function ask(message: string, questions: readonly Question[], signal: AbortSignal) {
    const answer = await forms.ask(message, questions, signal);
    if (signal.aborted) {
      out("This was decided elsewhere, or is not asked any more. What was typed here has decided nothing.\n");
      return undefined;
    }
    if (answer.kind !== "accepted" || answer.values[questions[0]?.name ?? ""] === LATER) {
      out("Left open: it waits for you. `plan show` tells how to answer.\n");
      return undefined;
    }
    return answer.values;
  }

  async function decideGate(
    sight: PlanSight,
    step: string,
    signal: AbortSignal,
  ): Promise<PlanChange | undefined> {
    const gate = lookAtGate(sight.state, step);
    if (!gate) return undefined;
    out(`${renderGate(gate)}\n\n`);
    for (const { runId } of gate.works.slice(0, 3))
      if (runId !== undefined) out(await options.describeSize(runId));
    const choices = [
      { value: "approve", title: "Approve" },
      ...(gate.mayGoBack ? [{ value: "send-back", title: "Send it back, with what should change" }] : []),
      { value: "stop", title: "Stop the plan" },
      { value: LATER, title: "Later" },
    ];
    const asked = { name: "decision", title: "Decision", description: "", required: true, choices };
    const decision = (await ask(gate.question, [asked], signal))?.decision;
    if (decision !== "approve" && decision !== "send-back" && decision !== "stop") return undefined;
    const change = { name: "words", title: "What should change", description: "", required: true };
    const words = decision === "send-back" ? await ask("", [change], signal) : {};
    if (!words) return undefined;
    const { attempt, commits } = gate.opening;
    return {
      type: "gate-decided",
      step,
      attempt,
      commits,
      decision,
      ...(words.words === undefined ? {} : { words: words.words }),
    };
  }

  async function agreeToRuns(
    { state }: PlanSight,
    step: string,
    signal: AbortSignal,
  ): Promise<PlanChange | undefined> {
    const { agreement, reason = "" } = state.steps[step] ?? {};
    if (!agreement) return undefined;
    const { attempt, runs } = agreement;
    const choices = [
      { value: "no", title: `No: none of these ${runs} runs is started` },
      { value: "yes", title: `Yes: start ${runs} runs` },
      { value: LATER, title: "Later" },
    ];
    const asked = { name: "agreed", title: "Start them?", description: "", required: true, choices };
    const agreed = (await ask(`${step}: ${cleanLine(reason, 1_000)}`, [asked], signal))?.agreed;
    if (agreed !== "yes" && agreed !== "no") return undefined;
    return { type: "fan-out-answered", step, attempt, runs, agreed: agreed === "yes" };
  }

  return async (sight, step, signal) => {
    const isGate = sight.state.steps[step]?.open !== undefined;
    const change = await (isGate ? decideGate : agreeToRuns)(sight, step, signal);
    if (!change) return;
    const told = await plans.tell(sight.state.planId, change);
    out(`${told?.refused ? `${told.refused} Nothing was decided.` : tellDecided(change)}\n`);
  };
}
