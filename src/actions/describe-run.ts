import { isFinal, openQuestions, type Run, type RunQuestion } from "../api/types.js";
import { looksRefused, refusedResume } from "../runs/run-facts.js";
import { tellTurns } from "../runs/tell-turns.js";
import { asSentence, cutText } from "../shared/text.js";
import type { RunAnswer } from "./answer.js";
import { describeWork } from "./describe-work.js";

/**
 * A result in an answer is cut here: with text and structured content it stands there twice, and the smallest
 * limit of the known clients is about 25,000 tokens for a tool's result.
 */
export const RESULT_LIMIT = 16_000;

/** The limit of all lists in an answer together, in characters: there is room for hundreds of changed files. */
const LISTS_LIMIT = 16_000;

/** The limit of all questions in an answer, in characters; later ones are told when earlier ones are answered. */
const QUESTIONS_LIMIT = 6_000;

/** Where the whole of a result can be read. */
export function resultUri(runId: string): string {
  return `automagik://runs/${encodeURIComponent(runId)}/result`;
}

/** The run in the published names; what is not known is left out. */
export function describeRun(run: Run, options: { detailed?: boolean; now: number }): RunAnswer {
  const end = run.completedAt ?? (isFinal(run.status) ? undefined : options.now);
  const elapsed =
    run.startedAt !== undefined && end !== undefined ? Math.max(0, end - run.startedAt) / 1000 : undefined;
  const duration = run.durationS ?? elapsed;
  let room = LISTS_LIMIT;
  /** As much of a list as there is room for; what is left out is counted. */
  function shorten(list: readonly string[]): string[] | undefined {
    if (list.length === 0) return undefined;
    const shown = list.filter((item) => {
      room -= item.length + 4;
      return room >= 0;
    });
    const left = list.length - shown.length;
    return left > 0 ? [...shown, `(${left} more)`] : shown;
  }
  const full: { [Key in keyof RunAnswer]: RunAnswer[Key] | undefined } = {
    run_id: run.runId,
    // Until the run itself has shown it, it may be one that the public server has made up.
    session_id: run.sessionClaimed || refusedResume(run) ? undefined : run.sessionId,
    session_name: run.sessionName,
    workflow_name: run.workflowName,
    status: run.status,
    turn: run.turn,
    max_turns: run.maxTurns,
    expected_turns: run.expectedTurns,
    current_action: run.currentAction,
    model: tellModel(run),
    started_at: run.startedAt === undefined ? undefined : new Date(run.startedAt).toISOString(),
    duration_s: duration === undefined ? undefined : Math.max(0, Math.round(duration * 10) / 10),
    cost_usd: run.costUsd === undefined ? undefined : Math.round(run.costUsd * 1e6) / 1e6,
    cost_at_least: run.costAtLeast,
    tokens: run.tokens,
    tools_used: shorten(run.toolsUsed),
    result: run.result === undefined ? undefined : cutResult(run.runId, run.result),
    error: run.error ?? (refusedResume(run) ? tellRefusal(run) : undefined),
    ...(options.detailed
      ? {
          repository_url: run.repositoryUrl,
          git_branch: run.gitBranch,
          current_phase: run.currentPhase,
          phases_completed: shorten(run.phasesCompleted),
          files_changed: shorten(run.filesChanged),
          commits: shorten(run.commits),
          workspace_path: run.workspacePath,
        }
      : {}),
    work: describeWork(run),
    questions: describeQuestions(openQuestions(run)),
  };
  return Object.fromEntries(Object.entries(full).filter(([, value]) => value !== undefined)) as RunAnswer;
}

/** "gpt-5.5 (codex)" */
function tellModel({ agent, model }: Pick<Run, "agent" | "model">): string | undefined {
  return agent === undefined ? model : `${model ?? "unknown"} (${agent})`;
}

function describeQuestions(questions: readonly RunQuestion[]): RunAnswer["questions"] {
  if (questions.length === 0) return undefined;
  let room = QUESTIONS_LIMIT;
  const shown = questions.filter((question, index) => {
    room -= JSON.stringify(question).length;
    return index === 0 || room >= 0;
  });
  return shown.map(({ questionId, kind, text, toolName, detail, askedAt, choices }) => ({
    question_id: questionId,
    kind,
    text,
    ...(toolName ? { tool_name: toolName } : {}),
    ...(detail ? { detail } : {}),
    ...(askedAt === undefined ? {} : { asked_at: new Date(askedAt).toISOString() }),
    choices: choices.map(({ value, title }) => ({ value, title })),
  }));
}

function cutResult(runId: string, result: string): string {
  if (result.length <= RESULT_LIMIT) return result;
  return (
    `${cutText(result, RESULT_LIMIT)}\n[cut here: ${RESULT_LIMIT} of ${result.length} characters; ` +
    `the whole is the resource ${resultUri(runId)}]`
  );
}

/** "workflow architect, session auth-system-project, run 1234" */
export function nameRun(run: Run): string {
  const parts = [
    run.workflowName ? `workflow ${run.workflowName}` : "",
    run.sessionName ? `session "${run.sessionName}"` : "",
    `run ${run.runId}`,
  ];
  return parts.filter(Boolean).join(", ");
}

/** What `nameBriefly` leaves out: "workflow architect, run 1234", or all where the session has no name. */
export function nameFurther(run: Run): string {
  const { sessionName: _, ...rest } = run;
  return nameRun(rest);
}

/** By its session where that has a name: the run's id is in a form's detail then, behind what has to be seen. */
export function nameBriefly(run: Run): string {
  return run.sessionName ? `session "${run.sessionName}"` : nameRun(run);
}

function tellRefusal(run: Run): string {
  return `the conversation ${run.resumes} was not continued`;
}

/** "turn 3 of about 12, Designing database schema" or "" when nothing of it is known. */
export function tellPosition(run: Run): string {
  const { turn, maxTurns, waitsForSlot } = run;
  const limited = (at: number, limit: number) => `${at} of ${limit}`;
  const none =
    waitsForSlot || turn === undefined ? "" : `turn ${maxTurns === undefined ? 0 : limited(0, maxTurns)}`;
  const turns = tellTurns(run, limited);
  return [turns === undefined ? none : `turn ${turns}`, run.currentAction].filter(Boolean).join(", ");
}

/**
 * How a run that is over ended, in one or two sentences that claim no more than the API has told.
 * @param subject what the sentence is about, capitalised
 */
export function tellEnd(run: Run, subject = `The ${nameRun(run)}`): string {
  const turns = run.turn ? ` after ${run.turn} turn${run.turn === 1 ? "" : "s"}` : "";
  if (run.status === "completed") {
    if (refusedResume(run)) {
      return (
        `${subject} is completed according to the API, but its agent took no turn and cost nothing, which is how a ` +
        `refused resume looks there: ${tellRefusal(run)}, and no work was done.`
      );
    }
    if (looksRefused(run)) {
      return (
        `${subject} is completed according to the API, but it took no turn and cost nothing: ` +
        "most likely the agent did not start."
      );
    }
    const atLimit = run.maxTurns !== undefined && run.turn !== undefined && run.turn >= run.maxTurns;
    return `${subject} has completed${turns}.${atLimit ? " That is its turn limit, so the work may be unfinished." : ""}`;
  }
  if (run.neverStarted) {
    const reason = (run.error ?? "").replace(/^Not started; nothing was charged\.?\s*/, "");
    return `Not started; nothing was charged. ${reason || "The API gives no reason."}`;
  }
  if (run.status === "killed") return `${subject} was killed${turns}.`;
  return `${subject} has failed${turns}: ${asSentence(run.error ?? "the API gives no reason")}`;
}
