import { ApiError } from "../api/errors.js";
import { isFinal, openQuestions, type Run, type RunQuestion } from "../api/types.js";
import { cleanLine } from "../shared/text.js";
import type { NextStep } from "./answer.js";
import type { Call, Services } from "./define-action.js";
import type { FormAnswer, Question } from "./form-client.js";

/** Choices of a permission, in the words of the engine's API. */
const DENY = "deny";

/** What became of a question that was brought to the person. */
type Brought = "answered" | "left_open" | "nobody";

/**
 * Brings one question of an agent to the person and the person's answer to the agent. A decline is a "no" to what
 * was to be permitted; a form that was only closed leaves the question open. The form is taken back when the question
 * is settled elsewhere.
 * @throws ApiError when the answer does not arrive
 */
async function bringToPerson(
  run: Run,
  question: RunQuestion,
  call: Call,
  services: Services,
): Promise<Brought> {
  const who = `${run.workflowName || "The agent"}${run.sessionName ? ` (${run.sessionName})` : ""}`;
  const message =
    question.kind === "permission"
      ? `${who} asks for permission: ${question.text}${question.detail ? `\n\n${question.detail}` : ""}`
      : `${who} asks: ${question.text}${question.detail ? `\n\n${question.detail}` : ""}`;
  const answer = await whileOpen(run, question, services.feed, (signal) =>
    call.person.ask(message, buildForm(question), signal),
  );
  const text = readAnswer(answer, question);
  // A client that turns forms down by itself has no person's "no" to hand on.
  if (answer.kind === "not_asked" || ("byClient" in answer && answer.byClient)) return "nobody";
  if (text === undefined) return "left_open";
  await services.api.answerQuestion(run.runId, question.questionId, text);
  return "answered";
}

/**
 * Brings a question that was taken in hand to the person. One that is not answered is free to be brought up again.
 * @returns what became of it, and what is to be said of an answer that did not count
 */
export async function bringTaken(
  run: Run,
  question: RunQuestion,
  call: Call,
  services: Services,
): Promise<{ brought: Brought; note?: string }> {
  let brought: Brought = "nobody";
  try {
    if (call.person.reachable) brought = await bringToPerson(run, question, call, services);
    return { brought };
  } catch (error) {
    // Answered elsewhere, or the run is over, or it was lost on the way: the person should not think it counted.
    if (!(error instanceof ApiError)) throw error;
    brought = "left_open";
    const fate = error.mayHaveActed ? "may not have arrived" : "did not count";
    return { brought, note: `The person's answer to "${question.text}" ${fate}: ${error.message}` };
  } finally {
    // Another picture of the run may still show it as open, so what was answered stays in hand.
    if (brought !== "answered") services.questionsInHand.release(run.runId, question);
  }
}

/**
 * Brings all that the agent waits for to the person, where the client has forms and no other call does so already:
 * what was closed before is offered again.
 * @returns whether anything was brought, and what is to be said of answers that did not count
 */
export async function bringOpenQuestions(
  run: Run,
  call: Call,
  services: Services,
): Promise<{ asked: boolean; notes: string[] }> {
  const { offer, questionsInHand } = services;
  const notes: string[] = [];
  let asked = false;
  if (!call.person.reachable || !offer.has("answer") || isFinal(run.status)) return { asked, notes };
  for (const question of openQuestions(run)) {
    if (call.signal.aborted || !questionsInHand.take(run.runId, question)) continue;
    asked = true;
    const { brought, note } = await bringTaken(run, question, call, services);
    if (note) notes.push(note);
    if (brought === "nobody") break;
  }
  return { asked, notes };
}

/** Works with a signal that aborts as soon as the question is answered elsewhere, given up, or the run is over. */
export async function whileOpen<T>(
  run: Run,
  question: RunQuestion,
  feed: Services["feed"],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const settled = new AbortController();
  const watch = feed.watch(run, ({ run: now }) => {
    const isOpen = openQuestions(now).some((one) => isSame(one, question));
    if (!isOpen || isFinal(now.status)) settled.abort();
  });
  try {
    return await work(settled.signal);
  } finally {
    watch.stop();
  }
}

/** A server may use an id again for another question: what was shown for one is no answer to the other. */
function isSame(one: RunQuestion, other: RunQuestion): boolean {
  return one.questionId === other.questionId && one.text === other.text && one.detail === other.detail;
}

/**
 * Whether an answer may permit something: every choice of a permission but the denial, and whatever says "allow". Other
 * words are a denial only to a server whose permissions can be denied as agreed; any other may take "yes" for a yes.
 */
export function permits({ kind, choices }: RunQuestion, text: string): boolean {
  const isAmong = (wanted: string) => choices.some((choice) => (choice.sent ?? choice.value) === wanted);
  if (kind === "permission" && (isAmong(text) || !isAmong(DENY))) return text !== DENY;
  return /^allow(_|\b)/i.test(cleanLine(text));
}

function buildForm(question: RunQuestion): Question[] {
  const choices = question.choices.map(({ value, title, description }) => ({
    value,
    title: description ? `${title}: ${description}` : title,
  }));
  // Some clients have the first choice chosen beforehand: no stray Enter may permit anything.
  choices.sort((a, b) => Number(b.value === DENY) - Number(a.value === DENY));
  if (question.kind === "permission") {
    return [{ name: "answer", title: "May it?", description: question.text, required: true, choices }];
  }
  const own: Question = {
    name: "own_answer",
    title: choices.length > 0 ? "Or your own answer" : "Your answer",
    description: choices.length > 0 ? "Counts instead of the choice above." : question.text,
    required: choices.length === 0,
  };
  if (choices.length === 0) return [own];
  const several = question.multiSelect ? { several: true as const } : {};
  return [
    { name: "answer", title: "Answer", description: question.text, required: false, choices, ...several },
    own,
  ];
}

/** The text to send; undefined when there is nothing to send. */
function readAnswer(answer: FormAnswer, question: RunQuestion): string | undefined {
  if (answer.kind === "accepted") {
    const text = answer.values.own_answer || answer.values.answer || undefined;
    // A permission is what was offered and nothing else.
    const offered = question.choices.find((choice) => choice.value === text);
    return question.kind === "permission" && !offered ? undefined : (offered?.sent ?? text);
  }
  if (answer.kind === "declined") {
    return question.kind === "permission"
      ? DENY
      : "The person does not want to answer this. Decide yourself, and say so in the end.";
  }
  return undefined;
}

/** The step that answers what the agent waits for; nothing when it waits for nothing. */
export function answerStep(run: Run): { next?: NextStep } {
  const [question] = isFinal(run.status) ? [] : openQuestions(run);
  if (!question) return {};
  return {
    next: {
      action: "answer",
      arguments: { run_id: run.runId, question_id: question.questionId, answer: "…" },
      reason:
        question.kind === "permission"
          ? "Put the person's answer in, with confirm: true once they have said that it may; then follow the run again."
          : "Put the person's answer in; then follow the run again.",
    },
  };
}

/** " It waits for an answer: q1: …" or "" when the agent has asked nothing. */
export function tellWaiting(run: Run): string {
  const open = isFinal(run.status) ? [] : openQuestions(run);
  if (open.length === 0) return "";
  const more = open.length > TOLD ? `; and ${open.length - TOLD} more` : "";
  return ` It waits for an answer: ${open.slice(0, TOLD).map(tellQuestion).join("; ")}${more}.`;
}

/** So many questions are told in a sentence; the answer's structure has them all. */
const TOLD = 3;
/** Each of them, and its choices, in so many characters. */
const TOLD_CHARACTERS = 300;

/** "q1: Which database? (postgres, sqlite), since 2026-11-25T12:00:00.000Z" */
export function tellQuestion({ questionId, text, choices, askedAt }: RunQuestion): string {
  const values = cleanLine(choices.map((choice) => choice.value).join(", "), TOLD_CHARACTERS);
  const since = askedAt === undefined ? "" : `, since ${new Date(askedAt).toISOString()}`;
  return `${questionId}: ${cleanLine(text, TOLD_CHARACTERS)}${values ? ` (${values})` : ""}${since}`;
}
