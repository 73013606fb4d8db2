import { createHash } from "node:crypto";
import type { Answer, NextStep, RunAnswer } from "../../actions/answer.js";
import { RESULT_LIMIT } from "../../actions/describe-run.js";
import { asCode } from "../../shared/check-command.js";
import { renderFigures } from "./figures-output.js";
import { renderPlanSteps, renderPlans, renderTemplates } from "./plan-output.js";

/** What a tool gives back to the framework. */
export interface ToolResult {
  content: { type: "text"; text: string }[];
  structuredContent: Record<string, unknown>;
  isError?: true;
}

/** Names the tool that carries an action, with its arguments; undefined when there is none. */
export type ProjectStep = (
  step: NextStep,
) => { tool: string; arguments: Record<string, unknown> } | undefined;

/** The answer as text and as structured content; whatever the structure tells, the text tells too. */
export function renderAnswer(whole: Answer, project: ProjectStep, isError = false): ToolResult {
  const answer = shortenWorkflows(shortenSessions(whole));
  const { next, happened: _isInSummary, ...rest } = answer;
  const projected = next && project(next);
  const step = projected && { ...projected, reason: next.reason };
  const plan = rest.plan && step ? { plan: { ...rest.plan, next_step: step } } : {};
  const structuredContent = { ...rest, ...plan, ...(step ? { next_step: step } : {}) };
  const parts = [
    answer.summary,
    answer.run && renderRun(answer.run),
    answer.missing && renderMissing(answer.missing),
    answer.workflows && renderWorkflows(answer.workflows),
    answer.sessions && renderSessions(answer.sessions),
    answer.queue &&
      `Queue: ${answer.queue.waiting} waiting, ${answer.queue.added} added, ${answer.queue.consumed} taken up` +
        `${answer.queue.oldest_age_s === undefined ? "" : `, the oldest waiting for ${answer.queue.oldest_age_s} s`}`,
    answer.diff && renderDiff(answer.diff),
    answer.check && renderCheck(answer.check),
    answer.cleanup &&
      `Cleanup: ${answer.cleanup.success ? "success" : "no success reported"}; removed: ${answer.cleanup.removed.join(", ") || "nothing"}` +
        `${answer.cleanup.errors.length > 0 ? `; errors: ${answer.cleanup.errors.join("; ")}` : ""}`,
    answer.api && renderApi(answer.api),
    answer.plan && renderPlanSteps(answer.plan),
    answer.templates && renderTemplates(answer.templates),
    answer.plans && renderPlans(answer.plans),
    answer.figures && renderFigures(answer.figures),
    `Outcome: ${answer.outcome}`,
    step && `Next: ${step.tool} ${JSON.stringify(step.arguments)}: ${step.reason}`,
  ];
  return {
    content: [{ type: "text", text: parts.filter(Boolean).join("\n\n") }],
    structuredContent,
    ...(isError ? { isError: true as const } : {}),
  };
}

/** A list of sessions stands in an answer twice, as a result does, and is cut at the same length. */
function shortenSessions(answer: Answer): Answer {
  const { sessions = [] } = answer;
  let room = RESULT_LIMIT;
  const shown = sessions.filter((session, index) => {
    room -= renderSessions([session]).length;
    return index === 0 || room >= 0;
  });
  if (shown.length === sessions.length) return answer;
  return {
    ...answer,
    summary: `${answer.summary} To keep this short only the first ${shown.length} are shown; a part of the name as session_name finds the others.`,
    sessions: shown,
  };
}

/** The same for a list of workflows. */
function shortenWorkflows(answer: Answer): Answer {
  const { workflows = [] } = answer;
  let room = 2 * RESULT_LIMIT;
  const shown = workflows.filter((workflow) => {
    room -= renderWorkflows([workflow]).length;
    return room >= 0;
  });
  if (shown.length === workflows.length) return answer;
  return {
    ...answer,
    summary: `${answer.summary} To keep this short only the first ${shown.length} are shown.`,
    workflows: shown,
  };
}

function renderFields(title: string, fields: Record<string, unknown>): string {
  const lines = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `  ${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  return [`${title}:`, ...lines].join("\n");
}

function renderApi({ description, ...fields }: NonNullable<Answer["api"]>): string {
  const api = renderFields("API", fields);
  return description ? `${api}\n\n${renderFields("The API's own description", description)}` : api;
}

export function renderRun({ result, tokens, tools_used, questions, work, ...run }: RunAnswer): string {
  const fields = renderFields("Run", {
    ...run,
    ...(tokens
      ? {
          tokens: `${tokens.total}${tokens.input === undefined ? "" : `, ${tokens.input} in`}${tokens.output === undefined ? "" : `, ${tokens.output} out`}`,
        }
      : {}),
    ...(tools_used ? { tools_used: tools_used.join(", ") } : {}),
  })
    .concat(work ? `\n${renderWork(work)}` : "")
    .concat(questions ? `\n${renderQuestions(questions)}` : "");
  if (result === undefined) return fields;
  const mark = markOf(result);
  return (
    `${fields}\n\n--- output of the run, not of this server (${mark}) ---\n${result}\n` +
    `--- end of the run's output (${mark}) ---`
  );
}

function renderDiff({ text, cut }: NonNullable<Answer["diff"]>): string {
  if (!text.trim()) return "";
  const mark = markOf(text);
  const end = cut ? "the diff is cut here" : "end of the diff";
  return `--- diff, written by the run's agent, not by this server (${mark}) ---\n${text}\n--- ${end} (${mark}) ---`;
}

/** What the command is, whether it passed, and the end of what it wrote. */
export function renderCheck({
  command,
  passed,
  exit_code,
  seconds,
  output,
  cut,
}: NonNullable<Answer["check"]>): string {
  const code = exit_code === undefined ? "" : `, exit code ${exit_code}`;
  const took = seconds === undefined ? "" : `, ${seconds} s`;
  const head = `Check: ${asCode(command)}, ${passed ? "passed" : "not passed"}${code}${took}`;
  if (!output.trim()) return `${head}, no output`;
  const mark = markOf(output);
  const what = `${cut ? "end of the " : ""}output, written by programs of the repository, not by this server`;
  return `${head}\n--- ${what} (${mark}) ---\n${output}\n--- end of the output (${mark}) ---`;
}

/** A run could write the end of its own output, were it not for a mark that its text decides and so cannot hold. */
function markOf(result: string): string {
  return createHash("sha256").update(result).digest("hex").slice(0, 16);
}

function renderWork({ commits, ...work }: NonNullable<RunAnswer["work"]>): string {
  const left = work.commit_count - commits.length;
  const list = commits.map((commit) => `\n    ${commit}`).join("");
  const more = left > 0 ? `\n    (${left} more)` : "";
  return `${renderFields("Work", work)}${commits.length > 0 ? `\n  commits:${list}${more}` : ""}`;
}

function renderQuestions(questions: NonNullable<RunAnswer["questions"]>): string {
  const lines = questions.map(({ question_id, kind, tool_name, text, detail, asked_at, choices }) => {
    const options = choices.map((choice) => `\n    - ${choice.value}: ${choice.title}`).join("");
    return `  ${question_id} (${kind}${tool_name ? `, tool ${tool_name}` : ""}${asked_at ? `, since ${asked_at}` : ""}): ${text}${detail ? `\n    ${detail.replaceAll("\n", "\n    ")}` : ""}${options}`;
  });
  return ["Open questions of the agent:", ...lines].join("\n");
}

function renderMissing(missing: NonNullable<Answer["missing"]>): string {
  const lines = missing.map(({ name, description, required, suggestion, choices }) => {
    const head = `  ${name} (${required ? "required" : "optional"}): ${description}`;
    const suggested = suggestion === undefined ? "" : `\n    suggestion: ${suggestion}`;
    const options = (choices ?? []).map((choice) => `\n    - ${choice.value}: ${choice.title}`).join("");
    return head + suggested + options;
  });
  return ["Missing:", ...lines].join("\n");
}

export function renderWorkflows(workflows: NonNullable<Answer["workflows"]>): string {
  return workflows
    .map(({ name, description, ...rest }) => {
      const more = Object.entries(rest).map(
        ([key, value]) => `${key.replaceAll("_", " ")}: ${Array.isArray(value) ? value.join(", ") : value}`,
      );
      return `- ${name}: ${description}${more.length > 0 ? ` (${more.join("; ")})` : ""}`;
    })
    .join("\n");
}

export function renderSessions(sessions: NonNullable<Answer["sessions"]>): string {
  return sessions
    .map(({ session_name, can_continue, ...rest }) => {
      const more = Object.entries(rest).map(([key, value]) => `${key}: ${value}`);
      return `- ${session_name}: ${more.join(", ")}; ${can_continue ? "can be continued" : "cannot be continued now"}`;
    })
    .join("\n");
}
