import { join } from "node:path";
import { createWorkflowLibrary, findCopies, type WorkflowCopy } from "../../engine/requirements.js";
import type { Clock } from "../../shared/clock.js";
import { resolveConfigFolder } from "../../shared/config-folder.js";
import { resolvePackageFolder } from "../../shared/package-folder.js";
import { type Finding, ok, type Result, warning } from "./finding.js";

/**
 * Looks at the workflows of the engine of this machine: a folder that cannot be used is left out by it without a word
 * to its author. One finding for each of those, and for each copy whose original has changed; else one for all, where
 * that engine is used.
 * @param options.needed runs are carried out by that engine
 * @param within puts a limit to the time it takes
 */
export async function checkWorkflows(
  options: {
    env: NodeJS.ProcessEnv;
    platform: NodeJS.Platform;
    home: string;
    clock: Clock;
    needed: boolean;
  },
  within: (work: Promise<Result>) => Promise<Result>,
): Promise<Finding[]> {
  const shippedFolder = resolvePackageFolder("workflows");
  const ownFolder = join(resolveConfigFolder(options), "workflows");
  const library = createWorkflowLibrary({ shippedFolder, ownFolder, clock: options.clock });
  let copies: WorkflowCopy[] = [];
  async function look(): Promise<Result> {
    const list = await library.list();
    const copied = list.filter(({ shipped }) => !shipped).map(({ name }) => name);
    copies = await findCopies({ shippedFolder, ownFolder }, copied);
    return ok(`${list.length} can be used`);
  }
  const result = await within(look());
  const found = [
    ...library
      .problems()
      .map(({ name, message }) =>
        warning(
          message,
          name ? `Correct what is in the folder "${name}" of your own workflows.` : "Let it be read.",
        ),
      ),
    ...copies
      .filter(({ isOutdated }) => isOutdated)
      .map(({ name, version }) =>
        warning(
          `the workflow "${name}" that came with the engine has changed since you copied it from version ${version}`,
          `automagik-workflows-mcp workflows edit ${name} shows how to compare, and how to go back. Your copy goes on working.`,
        ),
      ),
  ];
  if (found.length === 0) return options.needed ? [{ check: "workflows", ...result }] : [];
  return found.map((one) => ({ check: "workflows", ...one }));
}
