import { asSentence, cleanLine, cleanText, cutText } from "../../shared/text.js";
import { AUTO_WORKFLOW, type FieldValue, type GateStep, type PlanStep, type RunStep } from "../plan.js";
import { parseCondition, parseText, type Reference, soleReference, spellReference } from "../references.js";
import type { Draft } from "./draft.js";
import { itemsOf, outcomeOf } from "./outcome.js";
import { askForOutput, tellResult } from "./output.js";
import { indexOf } from "./plan-index.js";
import { workOf } from "./sources.js";
import { hasEnded, type PlanState, type StartSession, type StepState } from "./state.js";

type Sight = Pick<Draft, "state" | "index"> & {
  /** What it gives is read by a person, not by an agent. */
  forPerson?: true;
};

/** What one reference may put into a text, and all of a message: the API takes no more. */
const MAX_VALUE_CHARS = 20_000;
const MAX_MESSAGE_CHARS = 190_000;
const MAX_HANDOVER_CHARS = 8_000;
const MAX_QUESTION_CHARS = 1_000;

/** A value, or why there is none; a sentence's end: "has no value, because step review has failed". */
export type Resolved = { value: FieldValue } | { problem: string };

/**
 * The value of a reference as things stand. A step that was skipped gives empty texts and lists: nothing of it is
 * missing. What a failed step did not come to give is missing.
 */
export function resolveReference(sight: Sight, reference: Reference, item?: string): Resolved {
  if (reference.kind === "item") return { value: item ?? "" };
  if (reference.kind === "input") {
    const { inputs } = sight.state;
    const value = Object.hasOwn(inputs, reference.name) ? inputs[reference.name] : undefined;
    return { value: value ?? "" };
  }
  const step = sight.index.steps.get(reference.step);
  const now = sight.state.steps[reference.step];
  if (!step || !now) return missing(reference, "there is no such step");
  if (reference.kind === "output") return outputOf(sight, step, now, reference);
  switch (reference.part) {
    case "outcome":
      return { value: now.status === "blocked" ? "skipped" : now.status };
    case "result":
      return { value: resultOf(step, now, sight.forPerson) };
    case "session": {
      const last = now.attempts.findLast(({ runId }) => runId !== undefined);
      return { value: last?.sessionName ?? last?.sessionId ?? "" };
    }
    case "branch": {
      const work = workOf(sight, step.id);
      if (work === "base") return { value: "" };
      return "problem" in work ? missing(reference, work.problem) : { value: work.branch };
    }
  }
}

function outputOf(
  sight: Sight,
  step: PlanStep,
  now: StepState,
  reference: Extract<Reference, { kind: "output" }>,
): Resolved {
  if (step.kind !== "run") return missing(reference, `step ${step.id} gives no output`);
  const { name } = reference;
  if (step.forEach !== undefined) {
    const values = itemsOf(step, now)
      .map((item) => outcomeOf(step, now, item).last?.output?.[name])
      .filter((value) => value !== undefined);
    return { value: values.flatMap((value) => (Array.isArray(value) ? value : [String(value)])) };
  }
  const value = now.output && Object.hasOwn(now.output, name) ? now.output[name] : undefined;
  if (value !== undefined) return { value };
  const isOptional = now.status === "succeeded" && step.output?.[name]?.required === false;
  if (isOptional || now.status === "skipped")
    return { value: step.output?.[name]?.type === "list" ? [] : "" };
  return missing(reference, `step ${step.id} has ${sight.state.steps[step.id]?.status ?? "not ended"}`);
}

function missing(reference: Reference, why: string): { problem: string } {
  return { problem: `${spellReference(reference)} has no value, because ${why}` };
}

/**
 * What a step says at its end, or why it has failed.
 * @param forPerson with its fields in words in place of the JSON that agents give
 */
export function resultOf(step: PlanStep, now: StepState, forPerson = false): string {
  if (step.kind === "gate")
    return now.decisions.findLast(({ attempt }) => attempt === now.round)?.words ?? "";
  if (step.kind === "merge")
    return now.merges
      .filter(({ round }) => round === now.round)
      .map(({ branch, status, reason }) => `${branch}: ${status}${reason ? ` (${reason})` : ""}`)
      .join("\n");
  return itemsOf(step, now)
    .map((item) => {
      const { main, last, problem } = outcomeOf(step, now, item);
      const said = main?.result ?? problem ?? "";
      const text = forPerson ? tellResult(said, step.output, last?.output) : said;
      return item === undefined
        ? now.status === "skipped" && !main
          ? ""
          : text
        : `## ${now.items?.[item] ?? ""}\n\n${text}`;
    })
    .join("\n\n");
}

/**
 * A text with its references replaced. Values are cut where they are long, and what they contain is not read for
 * references again.
 */
export function resolveText(
  sight: Sight,
  text: string,
  item?: string,
): { value: string } | { problem: string } {
  let value = "";
  for (const part of parseText(text)) {
    if (typeof part === "string") value += part;
    else if (part.kind === "bad") value += spellReference(part);
    else {
      const found = resolveReference(sight, part, item);
      if ("problem" in found) return found;
      value += inText(found.value);
    }
  }
  return { value };
}

/** A text for a person, as things stand: what cannot be had is told in its place. */
export function textFor(state: PlanState, text: string): string {
  if (!text.includes("${")) return text;
  const found = resolveText({ state, index: indexOf(state.plan), forPerson: true }, text);
  return "value" in found ? found.value : `${found.problem}.`;
}

/** What a gate asks, on one line: what an agent has put into it cannot look like lines of somebody else. */
export function questionOf(state: PlanState, { question }: Pick<GateStep, "question">): string {
  return cleanLine(textFor(state, question), MAX_QUESTION_CHARS);
}

function inText(value: FieldValue): string {
  const text = Array.isArray(value) ? value.map((item) => `- ${item}`).join("\n") : String(value);
  return shorten(cleanText(text), MAX_VALUE_CHARS);
}

function shorten(text: string, limit: number): string {
  return text.length <= limit
    ? text
    : `${cutText(text, limit)}\n(… cut here: ${text.length - limit} characters more)`;
}

/** Whether a condition holds; or why nobody can say. */
export function holds(sight: Sight, source: string): { value: boolean } | { problem: string } {
  const condition = parseCondition(source);
  if ("problem" in condition) return { problem: `the condition ${condition.problem}` };
  const { reference, operator, words } = condition;
  if (reference.kind === "bad") return { problem: `${spellReference(reference)} ${reference.problem}` };
  const found = resolveReference(sight, reference);
  if ("problem" in found) return found;
  const isOne = words.includes(String(found.value).trim());
  return { value: operator === "!=" ? !isOne : isOne };
}

/** The items of a fan-out. */
export function resolveList(
  sight: Sight,
  source: string,
): { value: readonly string[] } | { problem: string } {
  const reference = soleReference(source);
  if (!reference || reference.kind === "bad") return { problem: `${source} is no reference to a list` };
  const found = resolveReference(sight, reference);
  if ("problem" in found) return found;
  const { value } = found;
  if (Array.isArray(value)) return { value };
  return value === "" ? { value: [] } : { problem: `${spellReference(reference)} is no list` };
}

/**
 * What an agent is told: the task, what the step that it begins behind has said, and what it has to give.
 * @param options.words of a person, or of the step that sends back: what now has to be done
 */
export function composeMessage(
  sight: Sight,
  step: RunStep,
  options: { session: StartSession; item?: number; words?: string; isRework?: boolean },
): { value: string } | { problem: string } {
  const { session, item, words, isRework } = options;
  const itemText = item === undefined ? undefined : sight.state.steps[step.id]?.items?.[item];
  const task = isRework && session.kind === "continue" ? { value: "" } : taskOf(sight, step, itemText);
  if ("problem" in task) return task;
  const parts = [task.value, words, handover(sight, session), step.output && askForOutput(step.output)];
  return { value: shorten(parts.filter(Boolean).join("\n\n"), MAX_MESSAGE_CHARS) };
}

function taskOf(
  sight: Sight,
  step: RunStep,
  item: string | undefined,
): { value: string } | { problem: string } {
  if (step.task !== undefined) return resolveText(sight, step.task, item);
  const { name, description } = sight.state.plan;
  const part = step.workflow === AUTO_WORKFLOW ? step.id : `${step.id} (${step.workflow})`;
  return {
    value: `Do the part ${part} of the plan ${name}${description ? `: ${asSentence(description)}` : "."}${
      item === undefined ? "" : `\n\nYour share of it: ${item}`
    }`,
  };
}

/** A conversation that goes on knows its own past; a new session at another one's branch does not. */
function handover(sight: Sight, session: StartSession): string {
  if (session.kind !== "from") return "";
  const step = sight.index.steps.get(session.step);
  const now = sight.state.steps[session.step];
  const result = step?.kind === "run" && now && hasEnded(now) ? resultOf(step, now).trim() : "";
  return result
    ? `Your branch begins with the work of the step ${session.step}. At its end it said:\n\n${shorten(cleanText(result), MAX_HANDOVER_CHARS)}`
    : "";
}
