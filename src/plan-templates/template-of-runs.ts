import { checkPlan } from "../plans/language/check-plan.js";
import { nameFrom } from "../plans/language/plain-value.js";
import { describeProblem } from "../plans/language/problems.js";
import { BOUNDS } from "../plans/plan.js";
import { cleanLine, cleanText, cutText } from "../shared/text.js";
import { TemplateError } from "./templates.js";

/** A run as it is to become a step. */
export interface RunToRepeat {
  workflowName: string;
  /** The kind of agent, where it is not the usual one. */
  agent?: string | undefined;
  status: string;
  /** What it was told; missing where the API does not say. */
  message?: string | undefined;
}

/** A template as it is written to a file. */
export interface WrittenTemplate {
  name: string;
  text: string;
  /** What a person should look at before the template is used: whole sentences. */
  notes: string[];
}

/** The input that stands for what the first run was told. */
const INPUT = "task";
/** A shorter text is in another one by chance. */
const MIN_REPEATED_CHARS = 12;
const MAX_SHOWN_CHARS = 200;

/**
 * Makes a template of the runs of a session, in their order: a step for each, which goes on with the conversation of the
 * one before. What the first run was told becomes the input `task`, also where later messages repeat it word for word.
 * A failed run that was started again with the same message is one step.
 * @throws TemplateError when there is nothing to repeat
 */
export async function writeTemplate(session: {
  name: string;
  runs: readonly RunToRepeat[];
}): Promise<WrittenTemplate> {
  const { Document } = await import("./yaml-document.js");
  const name = nameFrom(session.name) || "my-plan";
  const runs = session.runs.filter((run, at) => !isRepeated(run, session.runs[at + 1]));
  const [first] = runs;
  if (!first) throw new TemplateError("The session has no run that could be repeated. Nothing was written.");
  const notes: string[] = [];
  const taken = new Set<string>();
  const repeated = first.message?.trim() ?? "";
  let before: string | undefined;
  const steps = runs.map((run, at) => {
    const id = idFor(run.workflowName, taken);
    const task = at === 0 ? `\${inputs.${INPUT}}` : taskOf(run.message, repeated);
    if (run.message === undefined)
      notes.push(
        `The API does not tell what the run of step ${id} was told${at === 0 ? "." : ": write its task."}`,
      );
    if (run.status !== "completed")
      notes.push(
        `The run of step ${id} is ${cleanLine(run.status, 40)}: see whether the step belongs in the plan.`,
      );
    const behind = before === undefined ? {} : { needs: [before], continue: before };
    before = id;
    const agent = run.agent === undefined ? {} : { agent: run.agent };
    return { id, run: run.workflowName, ...agent, ...behind, ...(task === undefined ? {} : { task }) };
  });
  notes.push(
    "Messages that were sent to a run while it went on, and answers to its questions, are not in it.",
  );

  const plan = {
    name,
    description: cleanLine(
      `As the session ${session.name} has gone: ${steps.map(({ id }) => id).join(", ")}`,
      300,
    ),
    inputs: { [INPUT]: { type: "string", required: true, description: describeInput(repeated) } },
    steps,
  };
  const document = new Document(plan);
  document.commentBefore = notes.map((note) => ` ${note}`).join("\n");
  const text = document.toString({ lineWidth: 0, blockQuote: "literal", flowCollectionPadding: true });
  const checked = await checkPlan(text);
  if ("problems" in checked) {
    const [problem] = checked.problems;
    throw new TemplateError(
      `What the session has been through cannot be written as a plan: ${problem ? cleanLine(describeProblem(problem), 300) : ""} Nothing was written.`,
    );
  }
  return { name, text, notes };
}

/** It came to nothing, and the next one was told the same. */
function isRepeated(run: RunToRepeat, next: RunToRepeat | undefined): boolean {
  return (
    next !== undefined &&
    run.status !== "completed" &&
    run.message !== undefined &&
    run.workflowName === next.workflowName &&
    run.message === next.message
  );
}

/** "test", and "test-2" for the next one. */
function idFor(workflow: string, taken: Set<string>): string {
  const base = nameFrom(workflow) || "step";
  let id = base;
  for (let at = 2; taken.has(id); at++) id = `${base}-${at}`;
  taken.add(id);
  return id;
}

function taskOf(message: string | undefined, repeated: string): string | undefined {
  if (message === undefined) return undefined;
  const [first = "", ...parts] = repeated.length >= MIN_REPEATED_CHARS ? message.split(repeated) : [message];
  let task = asPlainText(first);
  for (const part of parts) {
    // Behind this sign a reference would be read as plain text.
    task += task.endsWith("$") ? asPlainText(repeated) : `\${inputs.${INPUT}}`;
    task += asPlainText(part);
  }
  return cutText(task, BOUNDS.taskChars);
}

/** What looks like a reference in a message is none. */
function asPlainText(text: string): string {
  return cleanText(text).replaceAll("${", () => "$${");
}

function describeInput(message: string): string {
  return message === ""
    ? "What is to be done"
    : `What is to be done. In the session it was: ${cleanLine(message, MAX_SHOWN_CHARS)}`;
}
