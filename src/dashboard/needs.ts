import { permits } from "../actions/forms/agent-questions.js";
import { questionIdOf } from "../actions/plans/describe-plan-answer.js";
import { lookAtGate, tellGate } from "../actions/plans/look-at-gate.js";
import { nameOfNeed } from "../actions/plans/plan-needs.js";
import { FINAL_STATUSES, openQuestions, type Run, type RunQuestion } from "../api/types.js";
import { findAttempt } from "../plans/machine/draft.js";
import { type WaitingFor, waitingFor } from "../plans/machine/plan-status.js";
import { nameSession } from "../plans/machine/start-run.js";
import type { PlanState } from "../plans/machine/state.js";
import { optional } from "../plans/plan.js";
import { cleanLine, cleanText } from "../shared/text.js";
import { changesOf } from "./may-happen.js";
import type { RunPlace } from "./run-row.js";
import type { ChoiceView, NeedView } from "./views/needs.js";

const TITLE_CHARS = 1_000;
const DETAIL_CHARS = 10_000;
const NAME_CHARS = 120;

/** What the agent of a run asks, each with what answers it. */
export function needsOfRun(run: Run, place?: RunPlace): NeedView[] {
  if (FINAL_STATUSES.includes(run.status)) return [];
  return openQuestions(run).map((question) => ({
    id: `${run.runId} ${question.questionId}`,
    kind: question.kind,
    ...optional("since", question.askedAt),
    title: cleanLine(question.text, TITLE_CHARS),
    ...optional("detail", question.detail && cleanText(question.detail, DETAIL_CHARS)),
    ...optional("cut", question.cut),
    session: cleanLine(run.sessionName ?? run.runId, NAME_CHARS),
    workflow: cleanLine(run.workflowName, NAME_CHARS),
    runId: run.runId,
    ...(place ? { planId: place.planId, plan: cleanLine(place.plan, NAME_CHARS), step: place.step } : {}),
    choices: question.choices.map((choice) => toChoice(choice, question)),
    ...optional("several", question.multiSelect ? (true as const) : undefined),
    ...optional("words", question.kind === "question" ? { label: "Your answer", alone: true } : undefined),
    call: { action: "answer", arguments: { run_id: run.runId, question_id: question.questionId } },
  }));
}

function toChoice(choice: RunQuestion["choices"][number], question: RunQuestion): ChoiceView {
  const { value, title, description, sent } = choice;
  return {
    value,
    title: cleanLine(title),
    ...optional("description", description && cleanLine(description)),
    ...optional("weighty", permits(question, sent ?? value) ? (true as const) : undefined),
  };
}

/** All that a plan waits for; an agent's own question is told by its run where that is known. */
export function needsOfPlan(state: PlanState): NeedView[] {
  return waitingFor(state).map((need) => {
    const gate = need.kind === "gate" ? lookAtGate(state, need.step) : undefined;
    const questionId = questionIdOf(state, need);
    const detail = gate ? tellGate(state, gate) : need.kind === "lost" ? whereLost(state, need) : undefined;
    return {
      id: `${state.planId} ${questionId ?? `${need.kind} ${need.key ?? need.step}`}`,
      kind: need.kind,
      since: need.since,
      title: cleanLine(gate?.question ?? need.what, TITLE_CHARS),
      ...optional("detail", detail ? cleanText(detail, DETAIL_CHARS) : undefined),
      planId: state.planId,
      plan: cleanLine(state.plan.name, NAME_CHARS),
      step: nameOfNeed(state, need),
      ...optional("runId", need.runId),
      ...choicesOf(need, gate?.mayGoBack === true),
      ...optional("change", changeOf(state, need)),
      ...optional(
        "call",
        questionId === undefined
          ? undefined
          : { action: "answer" as const, arguments: { plan_id: state.planId, question_id: questionId } },
      ),
    };
  });
}

/** By which name the run can be looked for that was perhaps started. */
function whereLost(state: PlanState, { key = "" }: WaitingFor): string | undefined {
  const lost = findAttempt(state, key)?.attempt;
  const begun = lost && findAttempt(state, lost.conversation);
  if (!begun) return undefined;
  const name = begun.attempt.sessionName ?? nameSession(state, begun.id, begun.attempt);
  return `It would be a run of the session ${cleanLine(name, NAME_CHARS)}.`;
}

function changeOf(state: PlanState, { kind, step }: WaitingFor): NeedView["change"] {
  if (kind !== "lost" && kind !== "blocked") return undefined;
  const may = changesOf(state, step);
  if (may.length === 0) return undefined;
  const isRun = state.plan.steps.some((one) => one.id === step && one.kind === "run");
  return { step, may, ...optional("takesWords", isRun ? (true as const) : undefined) };
}

function choicesOf({ kind }: WaitingFor, mayGoBack: boolean): Pick<NeedView, "choices" | "words"> {
  if (kind === "agreement")
    return {
      choices: [
        { value: "yes", title: "Start these runs", weighty: true },
        { value: "no", title: "Start none of them", weighty: true },
      ],
    };
  if (kind !== "gate") return { choices: [] };
  return {
    choices: [
      { value: "approve", title: "Approve", description: "The plan goes on.", weighty: true },
      ...(mayGoBack
        ? [
            {
              value: "send back: ",
              title: "Send back",
              description: "Say what should change.",
              takesWords: true as const,
            },
          ]
        : []),
      { value: "stop", title: "Stop", description: "The plan ends here.", weighty: true },
    ],
    ...(mayGoBack ? { words: { label: "What should change", alone: false } } : {}),
  };
}
