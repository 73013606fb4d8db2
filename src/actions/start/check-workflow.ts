import { findNearest } from "../../shared/nearest.js";
import { ActionError } from "../answer.js";
import type { StartArguments, Step, StepContext } from "./draft.js";

/** Makes sure that the API has the workflow that the call names. */
export const checkWorkflow: Step = async (draft, context) => {
  const { workflow_name } = draft.args;
  if (workflow_name) await requireWorkflow(workflow_name, draft.args, context);
  return draft;
};

/**
 * Makes sure that the API has a workflow of this name, reading the list again when it does not know it yet. With
 * no list to be had the name is let through: the API itself refuses a wrong one without starting anything.
 * @throws ActionError naming the nearest names
 */
export async function requireWorkflow(
  name: string,
  args: StartArguments,
  { services, task }: StepContext,
): Promise<void> {
  const { catalogue } = services;
  if (catalogue.find(name)) return;
  const state = await catalogue.refresh();
  if (!state.available || catalogue.find(name)) return;
  const names = state.workflows.map((workflow) => workflow.name);
  const nearest = findNearest(name, names);
  throw new ActionError(
    `There is no workflow "${name}". ${nearest.length > 0 ? `Nearest: ${nearest.join(", ")}. ` : ""}` +
      `There are: ${names.join(", ") || "none"}. Nothing was sent.`,
    nearest[0]
      ? task.startAgain(
          { ...args, workflow_name: nearest[0] },
          "Only if this is the workflow that was meant.",
        )
      : { action: "list_workflows", arguments: {}, reason: "Choose one of the workflows there are." },
  );
}
