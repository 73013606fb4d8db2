import { ApiError } from "../../api/errors.js";
import { isFinal, openQuestions, type Run, type RunQuestion } from "../../api/types.js";
import { tellAnswered } from "../../runs/tell-answered.js";
import { asSentence, cleanLine } from "../../shared/text.js";
import type { NextStep } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { giveAnswer } from "../give-answer.js";
import { type FormAnswer, FormClosed, type Question } from "./form-client.js";

/** Choices of a permission, in the words of the engine's API. */
const DENY = "deny";

/** What a form says that is shown once more, since it came back without an answer. */
const EMPTY = {
  permission: "Nothing was chosen. Choose one of the answers.",
  question: "Nothing was chosen or written. Choose an answer, or write your own.",
};

/** The result of asking the person a question of an agent. */
type AskResult = "answered" | "left_open" | "nobody";

/**
 * Puts one question of an agent to the person and gives the answer to the agent. A decline denies a permission; a form
 * that was only closed leaves the question open. The form is closed when the question is settled elsewhere.
 * @throws ApiError when the answer does not arrive
 */
async function askPerson(
  run: Run,
  question: RunQuestion,
  call: Call,
  services: Services,
): Promise<{ result: AskResult | "empty"; given?: string }> {
  const who = `${run.workflowName || "The agent"}${run.sessionName ? ` (${run.sessionName})` : ""}`;
  const detail = leaveOutShown(question);
  const message = `${tellAsked(who, run, question)}${detail ? `\n\n${detail}` : ""}`;
  const ask = (text: string) =>
    whileOpen(run, question, services.watcher, (signal) =>
      call.forms.ask(text, buildForm(question), signal, `${run.runId} ${question.questionId}`),
    );
  let answer = await ask(message);
  // Most clients let a form be accepted in which nothing was chosen: whoever does so means to answer.
  if (answer.kind === "accepted" && readAnswer(answer, question) === undefined)
    answer = await ask(`${EMPTY[question.kind === "permission" ? "permission" : "question"]} ${message}`);
  const text = readAnswer(answer, question);
  // A client that declines forms automatically does not do so in the person's name.
  if (answer.kind === "not_asked" || ("byClient" in answer && answer.byClient)) return { result: "nobody" };
  if (text === undefined) return { result: answer.kind === "accepted" ? "empty" : "left_open" };
  await giveAnswer({ runId: run.runId, questionId: question.questionId, text }, call, services);
  return { result: "answered", given: text };
}

/** "implement (jwt-login) wants to run `npm test`": the engine begins a permission's text with the workflow's name. */
function tellAsked(who: string, { workflowName }: Run, { kind, text }: RunQuestion): string {
  if (kind !== "permission") return `${who} asks: ${text}`;
  const isNamed = workflowName !== undefined && text.startsWith(`${workflowName} `);
  return isNamed ? `${who}${text.slice(workflowName.length)}` : `${who} asks for permission: ${text}`;
}

/** A question's detail without the command that its text shows in full: forms have few lines that are seen. */
function leaveOutShown({ kind, text, detail }: RunQuestion): string | undefined {
  const [first = "", ...others] = detail?.split("\n\n") ?? [];
  return kind === "permission" && first && text.includes(`\`${first}\``) ? others.join("\n\n") : detail;
}

/**
 * Puts a question that this call has claimed to the person. One that is not answered may be asked again.
 * @returns the result, what was given, and a sentence about an answer that did not count
 */
export async function askClaimedQuestion(
  run: Run,
  question: RunQuestion,
  call: Call,
  services: Services,
): Promise<{ result: AskResult; given?: string; note?: string }> {
  let result: AskResult = "nobody";
  try {
    if (!call.forms.supported) return { result };
    const asked = await askPerson(run, question, call, services);
    result = asked.result === "empty" ? "left_open" : asked.result;
    return asked.result === "empty" ? { result, note: tellEmpty(question) } : { ...asked, result };
  } catch (error) {
    // It was answered elsewhere, the run is over, or the request was lost: the person should know.
    if (!(error instanceof ApiError)) throw error;
    result = "left_open";
    const problem = error.mayHaveActed ? "may not have arrived" : "did not count";
    return { result, note: `The person's answer to "${question.text}" ${problem}: ${error.message}` };
  } finally {
    // An older reading of the run may still show it as open, so what was answered stays claimed.
    if (result !== "answered") services.claimedQuestions.release(run.runId, question);
  }
}

function tellEmpty({ text }: RunQuestion): string {
  return `The form for "${cleanLine(text, TOLD_CHARACTERS)}" came back without an answer, so it was not answered.`;
}

/**
 * Puts all open questions of the agent to the person, where the client has forms and no other call asks them already:
 * those that were closed before are asked again.
 * @returns whether anything was asked, and sentences about the answers
 */
export async function askOpenQuestions(
  run: Run,
  call: Call,
  services: Services,
): Promise<{ asked: boolean; notes: string[] }> {
  const { capabilities, claimedQuestions } = services;
  const notes: string[] = [];
  let asked = false;
  if (!call.forms.supported || !capabilities.hasEndpoint("answer") || isFinal(run.status))
    return { asked, notes };
  for (const question of openQuestions(run)) {
    if (call.signal.aborted || !claimedQuestions.claim(run.runId, question)) continue;
    asked = true;
    const { result, given, note } = await askClaimedQuestion(run, question, call, services);
    if (note) notes.push(note);
    // What the run does is still "asking" when it is read right after that.
    if (given !== undefined)
      notes.push(
        asSentence(
          `The person has answered: "${cleanLine(question.text, TOLD_CHARACTERS)}" was ${tellAnswered({ answer: given })}`,
        ),
      );
    if (result === "nobody") break;
  }
  return { asked, notes };
}

/**
 * Works with a signal that aborts as soon as the question is answered elsewhere, given up, or the run is over.
 * @param work gets the run, too, as it was seen last
 */
export async function whileOpen<T>(
  run: Run,
  question: RunQuestion,
  watcher: Services["watcher"],
  work: (signal: AbortSignal, latest: () => Run) => Promise<T>,
): Promise<T> {
  const settled = new AbortController();
  let latest = run;
  const watch = watcher.watch(run, ({ run: now }) => {
    latest = now;
    const isOpen = openQuestions(now).some((one) => isSame(one, question));
    if (!isOpen || isFinal(now.status)) settled.abort(new FormClosed(tellSettled(now, question)));
  });
  try {
    return await work(settled.signal, () => latest);
  } finally {
    watch.stop();
  }
}

/** What has become of a question while its form was open, as a sentence. */
function tellSettled({ answered }: Run, { questionId, text }: RunQuestion): string {
  const asked = `"${cleanLine(text, TOLD_CHARACTERS)}"`;
  const found = answered?.findLast((one) => one.questionId === questionId);
  return found
    ? asSentence(`Meanwhile ${asked} was ${tellAnswered(found, found.whose)}`)
    : `${asked} is no longer open.`;
}

/** Whether it is the same question: a server may use an id again for another one. */
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
  // Some clients preselect the first choice, and a stray Enter must not permit anything.
  choices.sort((a, b) => Number(b.value === DENY) - Number(a.value === DENY));
  if (question.kind === "permission") {
    // The form's message says what is asked.
    return [{ name: "answer", title: "Allow it?", description: "", required: true, choices }];
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
      : "The person does not want to answer this. Decide yourself, and say so at the end.";
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
      endpoint: "answer",
      arguments: { run_id: run.runId, question_id: question.questionId, answer: "…" },
      reason:
        question.kind === "permission"
          ? "Fill in the person's answer, with confirm: true once they have agreed; then follow the run again."
          : "Fill in the person's answer; then follow the run again.",
    },
  };
}

/** " It waits for an answer: Which database? …" or "" when the agent has asked nothing. */
export function tellWaiting(run: Run): string {
  const open = isFinal(run.status) ? [] : openQuestions(run);
  if (open.length === 0) return "";
  const more = open.length > TOLD ? `; and ${open.length - TOLD} more` : "";
  return ` It waits for an answer: ${open.slice(0, TOLD).map(tellQuestion).join("; ")}${more}.`;
}

/** How many questions a sentence names; the answer's structure has all of them. */
const TOLD = 3;
/** How many characters a sentence has for each of them, and for its choices. */
const TOLD_CHARACTERS = 300;

/** "Which database? (postgres, sqlite), since 2026-11-25T12:00:00.000Z, question_id q1" */
export function tellQuestion({ questionId, text, choices, askedAt }: RunQuestion): string {
  const values = cleanLine(choices.map((choice) => choice.value).join(", "), TOLD_CHARACTERS);
  const since = askedAt === undefined ? "" : `, since ${new Date(askedAt).toISOString()}`;
  return `${cleanLine(text, TOLD_CHARACTERS)}${values ? ` (${values})` : ""}${since}, question_id ${questionId}`;
}
