import { findNearest } from "../../shared/nearest.js";
import { ActionError } from "../answer.js";
import type { StartArguments, Step, StepContext } from "./draft.js";

/** Makes sure that the API has the workflow that the call names, and that it allows the model. */
export const checkWorkflow: Step = async (draft, context) => {
  const { workflow_name, agent, model } = draft.args;
  if (workflow_name) await requireWorkflow(workflow_name, draft.args, context);
  // What the workflow lists is for its own agent; for another one the API itself says.
  if (workflow_name && model && !agent) await requireModel(workflow_name, model, context);
  return draft;
};

/**
 * Before the person is asked for anything. Where the list does not tell the models the API itself refuses a wrong one.
 * @throws ActionError naming those that the workflow allows
 */
async function requireModel(name: string, model: string, { services }: StepContext): Promise<void> {
  const { catalogue } = services;
  const isAllowed = () =>
    catalogue.find(name)?.models?.some((one) => one.toLowerCase() === model.toLowerCase()) ?? true;
  if (isAllowed()) return;
  await catalogue.refresh();
  if (isAllowed()) return;
  throw new ActionError(
    `\`model\` ${JSON.stringify(model)}: the workflow ${name} allows ${catalogue.find(name)?.models?.join(", ")}. ` +
      "Nothing was sent. Others have to be named by `models` in its workflow.json.",
  );
}

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
