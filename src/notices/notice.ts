import { asSentence, cleanLine, cleanText } from "../shared/text.js";
import { formatUsd } from "../shared/usd.js";

export type NoticeKind = "finished" | "failed" | "needs_you" | "limit_near";

/** What a person is told of a run or a plan: the form in which a command gets it on its stdin. Everything in it is bounded. */
export interface Notice {
  event: NoticeKind;
  /** The same for the same event of the same run or plan, whoever tells it. */
  id: string;
  /** When it happened, ISO 8601. */
  at: string;
  title: string;
  /** What to do next. */
  body: string;
  /** What it is about, unless that is a plan. */
  run?: {
    run_id: string;
    session_name?: string;
    workflow_name?: string;
    status: string;
    turns?: number;
    cost_usd?: number;
    /** It was more. */
    cost_at_least?: true;
    /** Why it has failed. */
    error?: string;
    /** How the agent's own text begins. */
    result?: string;
  };
  question?: { question_id: string; kind: "permission" | "question"; text: string };
  /** What it is about, unless that is a single run. */
  plan?: {
    plan_id: string;
    name: string;
    status: string;
    /** Where it stands, on one line. */
    line: string;
    runs: number;
    cost_usd?: number;
    /** The step that needs the person. */
    step?: string;
  };
}

/** What is known of the run. Texts are untrusted: they come from agents, repositories and APIs. */
export interface NoticeFacts {
  runId: string;
  sessionName?: string | undefined;
  workflowName?: string | undefined;
  status: string;
  turns?: number | undefined;
  costUsd?: number | undefined;
  costAtLeast?: boolean | undefined;
  error?: string | undefined;
  result?: string | undefined;
}

interface AskedQuestion {
  questionId: string;
  kind: "permission" | "question";
  text: string;
}

/** From this part of its limit on a person is told of a run. */
const NEAR = 0.8;

/** A desktop shows some 60 characters of a title; a command may want more. */
export const TITLE_CHARACTERS = 120;
export const NAME_CHARACTERS = 60;
export const TEXT_CHARACTERS = 300;
const RESULT_CHARACTERS = 1_000;

/** The key of a run's end. A run ends once. */
export function endKey(runId: string): string {
  return `${runId}/ended`;
}

/** The key of a question of a run's agent. */
export function questionKey(runId: string, questionId: string): string {
  return `${runId}/question/${questionId}`;
}

/**
 * The notice of a run's end; undefined for one that a person has ended, who knows.
 * @param at epoch ms
 */
export function noticeOfEnd(facts: NoticeFacts, at: number): Notice | undefined {
  if (facts.status === "killed") return undefined;
  const name = nameOf(facts);
  if (facts.status === "completed") {
    return {
      event: "finished",
      ...describe(facts, endKey(facts.runId), at),
      title: cleanLine(`${name}: finished`, TITLE_CHARACTERS),
      body: [tellEffort(facts), `To see the result, ${askFor(name)}.`].filter(Boolean).join(" "),
    };
  }
  const why = facts.error ? `: ${facts.error}` : "";
  return {
    event: "failed",
    ...describe(facts, endKey(facts.runId), at),
    title: cleanLine(`${name} failed${why}`, TITLE_CHARACTERS),
    body: `To see what can be done, ${askFor(name)}.`,
  };
}

/**
 * The notice of a question that waits for the person.
 * @param at epoch ms
 */
export function noticeOfQuestion(facts: NoticeFacts, question: AskedQuestion, at: number): Notice {
  const name = nameOf(facts);
  const text = cleanLine(question.text, TEXT_CHARACTERS);
  const what = question.kind === "permission" ? "for your permission" : "for your answer";
  return {
    event: "needs_you",
    ...describe(facts, questionKey(facts.runId, question.questionId), at),
    title: cleanLine(`${name} needs you: ${text}`, TITLE_CHARACTERS),
    body: `The run waits ${what}. To give it, ${askFor(name)}.`,
    question: { question_id: question.questionId, kind: question.kind, text },
  };
}

/**
 * The notice that a run has used four fifths of what it may cost; undefined as long as it has not.
 * @param limitUsd undefined for no limit
 * @param at epoch ms
 */
export function noticeOfLimit(
  facts: NoticeFacts,
  limitUsd: number | undefined,
  at: number,
): Notice | undefined {
  const { costUsd = 0, runId } = facts;
  if (limitUsd === undefined || costUsd < limitUsd * NEAR) return undefined;
  const name = nameOf(facts);
  return {
    event: "limit_near",
    ...describe(facts, `${runId}/limit`, at),
    title: cleanLine(
      `${name} is near its limit: ${formatUsd(costUsd)} of ${formatUsd(limitUsd)}`,
      TITLE_CHARACTERS,
    ),
    body: `The run is ended when it reaches the limit, and what it has committed is kept. To see where it stands, ${askFor(name)}.`,
  };
}

function describe(facts: NoticeFacts, id: string, at: number): Pick<Notice, "id" | "at" | "run"> {
  const { runId, sessionName, workflowName, status, turns, costUsd, costAtLeast, error, result } = facts;
  return {
    id,
    at: new Date(at).toISOString(),
    run: {
      run_id: runId,
      ...(sessionName ? { session_name: cleanLine(sessionName, NAME_CHARACTERS) } : {}),
      ...(workflowName ? { workflow_name: cleanLine(workflowName, NAME_CHARACTERS) } : {}),
      status: cleanLine(status, NAME_CHARACTERS),
      ...(turns ? { turns } : {}),
      ...(costUsd ? { cost_usd: costUsd, ...(costAtLeast ? { cost_at_least: true as const } : {}) } : {}),
      ...(error ? { error: cleanLine(error, TEXT_CHARACTERS) } : {}),
      ...(result ? { result: cleanText(result, RESULT_CHARACTERS) } : {}),
    },
  };
}

function nameOf({ sessionName, workflowName, runId }: NoticeFacts): string {
  return cleanLine(sessionName || `${workflowName ?? ""} run ${runId}`, NAME_CHARACTERS);
}

/** "12 turns, $0.42." or "" when neither is known. */
function tellEffort({ turns, costUsd, costAtLeast }: NoticeFacts): string {
  const parts = [
    turns ? `${turns} turn${turns === 1 ? "" : "s"}` : undefined,
    costUsd ? `${costAtLeast ? "at least " : ""}${formatUsd(costUsd)}` : undefined,
  ].filter((part) => part !== undefined);
  return parts.length > 0 ? asSentence(parts.join(", ")) : "";
}

/** What to do to see more, as the end of a sentence. */
export function askFor(name: string): string {
  return `ask for the status of ${name} in a chat window`;
}
