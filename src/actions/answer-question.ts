import { ApiError } from "../api/errors.js";
import { answererOf, openQuestions, type Run, type RunQuestion } from "../api/types.js";
import { asSentence } from "../shared/text.js";
import { whoAndWhere } from "../shared/whose.js";
import { ActionError, type Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { describeRun, nameRun } from "./describe-run.js";
import { permits, tellQuestion, whileOpen } from "./forms/agent-questions.js";
import { confirmWithPerson } from "./forms/confirm.js";
import { giveAnswer } from "./give-answer.js";
import { watchAgain } from "./next-steps.js";
import { readTarget } from "./read-run.js";
import { requireEndpoint } from "./require-endpoint.js";
import { findPlanOf, TARGET_ABOUT } from "./resolve-target.js";

const ANSWER_PARAMETERS = [
  "run_id",
  "session_name",
  "session_id",
  "plan_id",
  "step",
  "question_id",
  "answer",
  "confirm",
] as const;
type AnswerArguments = Arguments<(typeof ANSWER_PARAMETERS)[number]>;

/** Answers what the agent of a run has asked; only some servers let it ask. The person agrees to what gives permission. */
export const answerAction = defineAction({
  name: "answer",
  toolName: "answer_question",
  title: "Answer an agent's question",
  summary: "answer what an agent has asked (status shows it), in the person's words.",
  description:
    "Answers a question or a permission request of a run's agent, in the person's words. An answer that permits " +
    "something needs the person's agreement first (by a form, or by confirm: true where there are no forms). The open " +
    "questions are in the status of the run.",
  searchHint: "answer question permission approve deny allow workflow agent automagik",
  parameters: ANSWER_PARAMETERS,
  required: ["answer"],
  about: {
    ...TARGET_ABOUT,
    plan_id: "Id of a plan that waits for the person.",
    step: "Of a plan: the step that waits, when several do.",
    question_id: "Which question, where several are open, and with confirm.",
    answer:
      "The value of a choice, or the person's own words. At a plan's gate: approve, send back: <what should change>, or stop.",
    confirm: "true only after the person agreed to an answer that allows or decides.",
  },
  // An answer may permit anything.
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
  answerParts: ["run", "missing", "plan"],

  async handle(args: AnswerArguments, call: Call, services: Services): Promise<Answer> {
    const given = args.answer?.trim();
    if (!given) throw new ActionError("`answer` is empty: say what the person answers. Nothing was sent.");
    // Plans ask whatever the API can do; only what an agent asks needs it.
    const plan = await findPlanOf(args, services);
    if (!plan) return answerRun(args, given, call, services);
    const { answerInPlan } = await import("./plans/answer-in-plan.js");
    const answered = await answerInPlan({ ...args, answer: given }, plan, call, services);
    if ("outcome" in answered) return answered;
    const { question_id, confirm } = args;
    return answerRun({ run_id: answered.runId, question_id, confirm }, given, call, services);
  },
});

async function answerRun(
  args: Omit<AnswerArguments, "answer">,
  given: string,
  call: Call,
  services: Services,
): Promise<Answer> {
  await requireEndpoint({ name: "answer", endpoint: "answer" }, services);
  const run = await readTarget(args, "active", call, services);
  if ("outcome" in run) return run;
  const open = openQuestions(run);
  const question = args.question_id ? open.find((one) => one.questionId === args.question_id) : open[0];
  if (!question || (!args.question_id && open.length > 1)) {
    throw new ActionError(
      open.length === 0
        ? `The ${nameRun(run)} has no open question${args.question_id ? ` ${args.question_id}` : ""}. Nothing was sent.`
        : `Say which open question this answers, with \`question_id\`: ${open.map(tellQuestion).join("; ")}. Nothing was sent.`,
      watchAgain(run, "See what is open."),
    );
  }
  const { text, understood } = readAnswer(given, question);
  if (question.cut && permits(question, text)) {
    throw new ActionError(
      "This request is too long to be shown in full, so it cannot be allowed from here. Nothing was sent. Deny it, " +
        "and the agent may ask for something shorter.",
      watchAgain(run, "See what is open."),
    );
  }
  const ended = permits(question, text)
    ? await confirmPermission({ run, question, text, understood, confirm: confirmed(args) }, call, services)
    : undefined;
  if (ended) return { ...ended, run: describeRun(run, { now: services.clock.now() }) };
  try {
    await giveAnswer({ runId: run.runId, questionId: question.questionId, text }, call, services);
    services.claimedQuestions.claim(run.runId, question);
  } catch (error) {
    if (!(error instanceof ApiError) || !error.mayHaveActed) throw error;
    return {
      outcome: "unknown",
      summary: `It is unknown whether the answer arrived. ${error.message}`,
      next: watchAgain(run, "See whether the question is still open."),
    };
  }
  return {
    outcome: "ok",
    summary: `Answered for the ${nameRun(run)}: ${question.text} → ${understood}`,
    happened: `Answered: ${understood}`,
    run: describeRun(
      { ...run, questions: open.filter((one) => one !== question) },
      { now: services.clock.now() },
    ),
    next: watchAgain(run, "Follow the run further."),
  };
}

/**
 * The person's word of a call without forms, for the question that it names: the one that they were shown may be answered
 * by now, and another one open.
 */
function confirmed({ question_id, confirm }: Omit<AnswerArguments, "answer">): boolean | undefined {
  return question_id ? confirm : undefined;
}

/** Asks the person to agree to what an answer permits. @returns the answer that the call ends with when they do not */
async function confirmPermission(
  granted: {
    run: Run;
    question: RunQuestion;
    text: string;
    understood: string;
    confirm: boolean | undefined;
  },
  call: Call,
  services: Services,
): Promise<Answer | undefined> {
  const { run, question, text, understood, confirm } = granted;
  const { claimedQuestions, watcher } = services;
  const { runId } = run;
  // While the person looks at it here, no other call on the run brings it up.
  const isTaken = claimedQuestions.claim(runId, question);
  let settled: Run | undefined;
  try {
    const ended = await whileOpen(run, question, watcher, async (signal, now) => {
      const answer = await confirmWithPerson(
        {
          action: "answer",
          deed: `Answer "${understood}" for the ${nameRun(run)}: ${question.text}`,
          detail: question.detail,
          arguments: { run_id: runId, question_id: question.questionId, answer: text },
          confirm,
        },
        call,
        signal,
      );
      if (signal.aborted) settled = now();
      return answer;
    });
    if (!settled) return ended;
    const whose = answererOf(settled, question.questionId);
    const what = whose
      ? `answered meanwhile${whoAndWhere(whose)}`
      : "answered elsewhere meanwhile, or is no longer open";
    return {
      outcome: "cancelled",
      summary: `The question was ${what}: ${asSentence(question.text)} Nothing was sent.`,
      next: watchAgain(run, "Follow the run further."),
    };
  } finally {
    if (isTaken) claimedQuestions.release(runId, question);
  }
}

/** What is sent for the person's words, and how it is understood: a choice may be named by its value or its title. */
function readAnswer(given: string, { kind, choices }: RunQuestion): { text: string; understood: string } {
  const same = (one: string) => one.toLowerCase() === given.toLowerCase();
  const choice = choices.find(({ value }) => same(value)) ?? choices.find(({ title }) => same(title));
  if (choice) return { text: choice.sent ?? choice.value, understood: choice.title };
  if (kind !== "permission") return { text: given, understood: given };
  // Only one of the choices gives permission; other words are a no, and the agent reads them.
  return {
    text: given,
    understood: `not allowed, because it is not one of the choices; the agent is told: ${given}`,
  };
}
