import { join } from "node:path";
import {
  createWorkflowLibrary,
  resolveConfigFolder,
  resolveShippedFolder,
} from "../../engine/requirements.js";
import type { Clock } from "../../shared/clock.js";
import { type Finding, ok, type Result, warning } from "./finding.js";

/**
 * Looks at the workflows of the engine of this machine: a folder that cannot be used is left out by it without a word
 * to its author. One finding for each of those, else one for all, where that engine is used.
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
  const library = createWorkflowLibrary({
    shippedFolder: resolveShippedFolder(),
    ownFolder: join(resolveConfigFolder(options), "workflows"),
    clock: options.clock,
  });
  const result = await within(library.list().then(({ length }) => ok(`${length} can be used`)));
  const problems = library.problems();
  if (problems.length === 0) return options.needed ? [{ check: "workflows", ...result }] : [];
  return problems.map(({ name, message }) => ({
    check: "workflows",
    ...warning(
      message,
      name ? `Correct what is in the folder "${name}" of your own workflows.` : "Let it be read.",
    ),
  }));
}
