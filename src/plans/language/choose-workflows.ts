import { AUTO_WORKFLOW, type FieldValue, type PlanStep } from "../plan.js";
import { parseText } from "../references.js";
import type { NamedStep } from "./check-steps.js";
import { planLine } from "./problems.js";
import { addProblem, type Reading, within } from "./read-shape.js";

/** Chooses a workflow by a text; where nothing stands out, the nearest names, best first. */
export type ChooseWorkflow = (text: string) => { name: string } | { names: readonly string[] };

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
  },
): PlanStep[] {
  const { choose, steps, inputs, reading } = options;
  return made.map((step) => {
    if (step.kind !== "run" || step.workflow !== AUTO_WORKFLOW) return step;
    const text = textOf(step.task ?? "", inputs);
    if (text === undefined) return step;
    const chosen = choose(`${text}\n${step.id}`);
    if ("name" in chosen) return { ...step, workflow: chosen.name };
    const place = steps.find(({ id }) => id === step.id)?.place;
    const [nearest] = chosen.names;
    if (place)
      addProblem(reading, within(place, "run"), {
        message: `No workflow stands out for this step by its task. ${
          chosen.names.length > 0 ? `Name one of ${chosen.names.join(", ")}.` : "The API offers none."
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
