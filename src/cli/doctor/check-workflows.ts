import { join } from "node:path";
import {
  AGENT_KINDS,
  configuredPath,
  createWorkflowLibrary,
  findCopies,
  listOffered,
  type WorkflowCopy,
} from "../../engine/requirements.js";
import type { Settings } from "../../settings/settings.js";
import type { Clock } from "../../shared/clock.js";
import { resolveConfigFolder } from "../../shared/config-folder.js";
import { resolvePackageFolder } from "../../shared/package-folder.js";
import { type Finding, ok, type Result, warning } from "./finding.js";

/**
 * Looks at the workflows of the engine of this machine: a folder that cannot be used is left out by it without a word
 * to its author. One finding for each of those, and for each copy whose original has changed; else one for all, where
 * that engine is used.
 * @param options.settings say where programs of agents are: of those that came with it only those count whose agent is there
 * @param options.needed runs are carried out by that engine
 * @param within puts a limit to the time it takes
 */
export async function checkWorkflows(
  options: {
    env: NodeJS.ProcessEnv;
    platform: NodeJS.Platform;
    home: string;
    clock: Clock;
    settings: Settings | undefined;
    needed: boolean;
  },
  within: (work: Promise<Result>) => Promise<Result>,
): Promise<Finding[]> {
  const shippedFolder = resolvePackageFolder("workflows");
  const ownFolder = join(resolveConfigFolder(options), "workflows");
  const library = createWorkflowLibrary({ shippedFolder, ownFolder, clock: options.clock });
  const { env, platform, settings } = options;
  async function isOffered(agent: string): Promise<boolean> {
    const kind = AGENT_KINDS.find(({ name }) => name === agent);
    const configured = kind && configuredPath(kind, settings);
    return (await kind?.isInstalled?.({ env, platform, ...(configured ? { configured } : {}) })) ?? true;
  }
  let copies: WorkflowCopy[] = [];
  async function look(): Promise<Result> {
    const list = await library.list();
    const copied = list.filter(({ shipped }) => !shipped).map(({ name }) => name);
    copies = await findCopies({ shippedFolder, ownFolder }, copied);
    const offered = await listOffered(library, { isOffered });
    return ok(`${offered.length} can be used`);
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
