import type { Plans } from "../../plan-runner/plans.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import type { WaitingFor } from "../../plans/machine/plan-status.js";
import type { PlanState } from "../../plans/machine/state.js";
import { asSentence, cleanLine } from "../../shared/text.js";
import type { Call, Services } from "../define-action.js";
import { askOpenQuestions } from "../forms/agent-questions.js";
import { type FormAnswer, FormClosed, type Question } from "../forms/form-client.js";
import {
  isOpenStill,
  nameNeed,
  tellDecided,
  tellMeanwhile,
  tellPlanChange,
  toChange,
  type Verdict,
} from "./decide.js";
import { questionIdOf } from "./describe-plan-answer.js";
import { describeGate, lookAtGate } from "./look-at-gate.js";

/** What has come of asking: `nobody` where nobody can have seen the form. */
export interface Asked {
  result: "decided" | "left_open" | "nobody" | "elsewhere";
  /** Sentences for the answer. */
  note?: string;
}

const LATER = "later";

/**
 * Puts to the person what a plan needs: a gate, the agreement to a number of runs, or what the agent of a step asks. A
 * decision counts for what the form has shown. The form closes when it is decided elsewhere.
 */
export async function askForPlan(
  sight: PlanSight,
  need: WaitingFor,
  plans: Plans,
  call: Call,
  services: Services,
): Promise<Asked> {
  if (need.kind === "question") return askAgentsQuestion(need, call, services);
  const { state } = sight;
  const claim = `${state.planId} ${questionIdOf(state, need)}`;
  if (!services.claimedDecisions.claim(claim)) return { result: "left_open" };
  try {
    const { message, questions } = await buildForm(state, need, call, services);
    const { answer, meanwhile } = await whileNeeded(state, need, plans, call, (signal) =>
      call.forms.ask(message, questions, signal, claim),
    );
    if (meanwhile !== undefined)
      return {
        result: "elsewhere",
        note: `${meanwhile} The form was closed; an answer to it is not used.`,
      };
    return await take(answer, state, need, plans, call);
  } finally {
    services.claimedDecisions.release(claim);
  }
}

async function askAgentsQuestion({ runId }: WaitingFor, call: Call, services: Services): Promise<Asked> {
  if (!runId) return { result: "nobody" };
  const run = await services.runs.read(runId, call.signal);
  const { asked, notes } = await askOpenQuestions(run, call, services);
  return { result: asked ? "decided" : "left_open", ...(notes.length > 0 ? { note: notes.join(" ") } : {}) };
}

async function take(
  answer: FormAnswer,
  state: PlanState,
  need: WaitingFor,
  plans: Plans,
  call: Call,
): Promise<Asked> {
  const read = readForm(answer, need, call);
  if ("result" in read) return read;
  const told = await tellPlanChange(state.planId, toChange(state, need, read, call), plans);
  if (told.refused !== undefined) {
    const why = tellMeanwhile(told.state, state, need, told.refused);
    return { result: "elsewhere", note: `${why} The person's answer to the form was not used.` };
  }
  return { result: "decided", note: tellDecided(need, read) };
}

/** What the person has decided; anything that is not a plain decision leaves it open. */
function readForm(
  answer: FormAnswer,
  need: WaitingFor,
  { inTerminal }: Pick<Call, "inTerminal">,
): Verdict | Asked {
  const open = (why: string): Asked => ({
    result: "left_open",
    note: `${why} ${nameNeed(need)} stays open.`,
  });
  switch (answer.kind) {
    case "not_asked":
      return { result: "nobody" };
    case "declined":
    case "cancelled":
      if ("byClient" in answer && answer.byClient) return { result: "nobody" };
      return answer.kind === "declined" || answer.why === "closed"
        ? open(inTerminal ? "Closed without a decision." : "The person closed the form without a decision.")
        : { result: "left_open" };
    case "accepted":
      break;
  }
  const { decision, change } = answer.values;
  const words = change?.trim() ?? "";
  switch (decision) {
    case "approve":
      return words
        ? open(
            "The form came back with an approval and with what should change, so that it is not clear which is meant.",
          )
        : { kind: "approve" };
    case "send_back":
      return words ? { kind: "send-back", words } : open("The form does not say what should change.");
    case "stop":
      return words
        ? open(
            "The form came back with a stop and with what should change, so that it is not clear which is meant.",
          )
        : { kind: "stop" };
    case "yes":
      return { kind: "yes" };
    case "no":
      return { kind: "no" };
    default:
      return open(
        inTerminal ? "Nothing was decided." : "The person decides later: show them the whole of it.",
      );
  }
}

async function buildForm(
  state: PlanState,
  need: WaitingFor,
  call: Call,
  services: Services,
): Promise<{ message: string; questions: Question[] }> {
  const name = cleanLine(state.plan.name, 60);
  // Some clients begin at the first choice, and a stray Enter must decide nothing.
  const later = { value: LATER, title: "Later: nothing is decided now, and the plan waits for you" };
  if (need.kind === "agreement") {
    const choices = [
      later,
      { value: "yes", title: "Yes, start these runs" },
      { value: "no", title: "No, start none of them" },
    ];
    return {
      message: `${name}, step ${need.step}: ${asSentence(cleanLine(need.what, 500))}`,
      questions: [{ name: "decision", title: "Start them?", description: "", required: true, choices }],
    };
  }
  const gate = lookAtGate(state, need.step);
  const about = gate ? await describeGate(state, gate, call, services) : "";
  const choices = [
    later,
    { value: "approve", title: "Approve: the plan goes on" },
    ...(gate?.mayGoBack ? [{ value: "send_back", title: "Send back: say below what should change" }] : []),
    { value: "stop", title: "Stop: the plan ends here" },
  ];
  const change: Question = {
    name: "change",
    title: "What should change",
    description: "For sending back.",
    required: false,
    onlyWith: { name: "decision", value: "send_back" },
  };
  return {
    message: `${name}: ${gate?.question ?? need.what}${about ? `\n${about}` : ""}`,
    questions: [
      { name: "decision", title: "Decision", description: "", required: true, choices },
      ...(gate?.mayGoBack ? [change] : []),
    ],
  };
}

/**
 * Works with a signal that aborts as soon as the plan does not need this any more.
 * @returns `meanwhile`: what has become of it then, as a sentence
 */
export async function whileNeeded<T>(
  state: PlanState,
  need: WaitingFor,
  plans: Plans,
  call: Call,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<{ answer: T; meanwhile?: string }> {
  const settled = new AbortController();
  const done = new AbortController();
  let meanwhile: string | undefined;
  const signal = AbortSignal.any([done.signal, call.signal]);
  // What cannot be looked at is not closed: the decision itself is refused when it comes too late.
  const watching = plans
    .follow(state.planId, signal, ({ state: now }) => {
      if (meanwhile !== undefined || isOpenStill(now, state, need)) return;
      meanwhile = tellMeanwhile(now, state, need);
      settled.abort(new FormClosed(meanwhile));
    })
    .catch(() => {});
  try {
    const answer = await work(settled.signal);
    return { answer, ...(meanwhile === undefined ? {} : { meanwhile }) };
  } finally {
    done.abort();
    await watching;
  }
}
