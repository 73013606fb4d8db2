import { AUTO_WORKFLOW, type FieldValue, type PlanStep } from "../plan.js";
import { parseText } from "../references.js";
import type { NamedStep } from "./check-steps.js";
import { planLine } from "./problems.js";
import { addProblem, type Reading, within } from "./read-object.js";

/** Chooses a workflow by the text of a step; where nothing stands out, the nearest names, best first. */
export type ChooseWorkflow = (
  text: string,
  step: string,
) => { name: string; why?: string } | { names: readonly string[] };

/** What came of the steps that say `auto`. */
export interface Choices {
  /** A clause says why. */
  chosen: { step: string; workflow: string; why?: string }[];
  /** Nothing stands out for these: the nearest workflows, best first. */
  undecided: { step: string; names: readonly string[] }[];
}

/**
 * The steps with a workflow in place of `auto`, chosen by what is written: the task, with the inputs in it, and the step's
 * id. What cannot be chosen is a mistake of the plan, so that it is known before anything is sent; a task whose inputs
 * have no values yet is left as it is.
 */
export function chooseWorkflows(
  made: readonly PlanStep[],
  options: {
    choose: ChooseWorkflow;
    steps: readonly NamedStep[];
    inputs: Readonly<Record<string, FieldValue>>;
    reading: Reading;
    /** Gets what was chosen and what could not be. */
    choices: Choices;
  },
): PlanStep[] {
  const { choose, steps, inputs, reading, choices } = options;
  return made.map((step) => {
    if (step.kind !== "run" || step.workflow !== AUTO_WORKFLOW) return step;
    const text = textOf(step.task ?? "", inputs);
    if (text === undefined) return step;
    const choice = choose(`${text}\n${step.id}`, step.id);
    if ("name" in choice) {
      const { name: workflow, why } = choice;
      choices.chosen.push({ step: step.id, workflow, ...(why ? { why } : {}) });
      return { ...step, workflow };
    }
    choices.undecided.push({ step: step.id, names: choice.names });
    const place = steps.find(({ id }) => id === step.id)?.place;
    const [nearest] = choice.names;
    if (place)
      addProblem(reading, within(place, "run"), {
        message: `No workflow stands out for this step by its task. ${
          choice.names.length > 0 ? `Name one of ${choice.names.join(", ")}.` : "The API offers none."
        }`,
        ...(nearest === undefined ? {} : { correction: planLine("run", nearest) }),
      });
    return step;
  });
}

/** What is known of a text before anything has begun; undefined while an input in it has no value. */
function textOf(task: string, inputs: Readonly<Record<string, FieldValue>>): string | undefined {
  let text = "";
  for (const part of parseText(task)) {
    if (typeof part === "string") text += part;
    else if (part.kind === "input") {
      if (!Object.hasOwn(inputs, part.name)) return undefined;
      text += String(inputs[part.name]);
    } else text += " ";
  }
  return text;
}
