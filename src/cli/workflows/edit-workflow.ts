import { join } from "node:path";
import { copyShipped, renewCopyMark } from "../../engine/requirements.js";
import { findNearest } from "../../shared/nearest.js";
import { compareCommand, type OpenWorkflows, quote } from "./open-workflows.js";

/**
 * Makes a workflow of the engine one that the person can change, in a copy of its own, and opens it where an editor is
 * to be had. One that is the person's already is opened as it is.
 * @param options.edit opens the files and waits until they are closed; undefined where there is no terminal or editor
 * @param options.look looks at the workflows again
 * @returns the exit code: 0, or 1 when there is no such workflow, or it cannot be used as it is now
 */
export async function editWorkflow(
  name: string,
  options: {
    open: OpenWorkflows;
    look: () => Promise<OpenWorkflows>;
    version: string;
    edit: ((paths: string[]) => Promise<void>) | undefined;
    out: (text: string) => void;
  },
): Promise<number> {
  const { open, version, edit, out } = options;
  const { shippedFolder, ownFolder, workflows, copies, problems } = open;
  const found = workflows.find((one) => one.name === name);
  const copy = copies.find((one) => one.name === name);
  const problem = problems.find((one) => one.name === name);
  const folder = join(ownFolder, name);
  const say = (text: string) => out(`${text}\n`);
  const place = { shippedFolder, ownFolder, name, version };
  const goBack = `To go back to the one that came with the engine, remove the folder: rm -r ${quote(folder)}`;

  if (!found && !problem) {
    const nearest = findNearest(
      name,
      workflows.map((one) => one.name),
    )[0];
    say(
      `There is no workflow of that name${nearest ? `; ${nearest} may be meant` : ""}. Nothing was copied. There are: ` +
        `${workflows.map((one) => one.name).join(", ")}.`,
    );
    return 1;
  }
  if (found?.from === "shipped" && problem) {
    // A folder of that name that is no copy.
    say(problem.message);
    return 1;
  }
  if (found?.from === "shipped") {
    await copyShipped(place);
    say(
      `Copied ${name}, as it came with version ${version}, to ${folder}. Runs use the copy from now on, whatever a later ` +
        `version brings. Its text is prompt.md, its rules are in workflow.json.`,
    );
    say(goBack);
  } else say(`Your ${copy ? "copy of" : "workflow"} ${name} is in ${folder}.`);
  if (copy) say(goBack);
  if (copy?.isOutdated) {
    say(
      `The one that came with the engine has changed since version ${copy.version}. To compare: ` +
        `${compareCommand(shippedFolder, copy)}`,
    );
    await renewCopyMark(place);
    say("You are told of it again when it changes again.");
  }
  if (!edit) return 0;
  await edit([join(folder, "prompt.md"), join(folder, "workflow.json")]);
  const wrong = (await options.look()).problems.find((one) => one.name === name);
  if (wrong) say(wrong.message);
  return wrong ? 1 : 0;
}
