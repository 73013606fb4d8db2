import { join } from "node:path";
import {
  AGENT_KINDS,
  createWorkflowLibrary,
  findCopies,
  type WorkflowCopy,
} from "../../engine/requirements.js";
import { resolveConfigFolder } from "../../shared/config-folder.js";
import { resolvePackageFolder } from "../../shared/package-folder.js";

/** Where workflows are, and what there is. */
export interface OpenWorkflows {
  shippedFolder: string;
  ownFolder: string;
  workflows: {
    name: string;
    description: string;
    /** The kind of agent that it names. */
    agent?: string;
    /** `copy`: the person's own in place of the shipped one of that name. */
    from: "shipped" | "yours" | "copy";
    copy?: WorkflowCopy;
  }[];
  copies: WorkflowCopy[];
  /** The kinds of agents that the engine has. */
  agents: { name: string; tellsCost: boolean }[];
  /** What cannot be used, and why. `name` is empty where it is about the whole folder. */
  problems: { name: string; message: string }[];
}

/** Looks at the workflows of this machine's engine, without one. */
export async function openWorkflows(options: {
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
  home: string;
}): Promise<OpenWorkflows> {
  const shippedFolder = resolvePackageFolder("workflows");
  const ownFolder = join(resolveConfigFolder(options), "workflows");
  const library = createWorkflowLibrary({ shippedFolder, ownFolder });
  const list = await library.list();
  const problems = library.problems();
  const copies = await findCopies(
    { shippedFolder, ownFolder },
    [...list, ...problems].map(({ name }) => name).filter((name) => name !== ""),
  );
  const workflows = list.map(({ name, description, agent, shipped }): OpenWorkflows["workflows"][number] => {
    const copy = copies.find((one) => one.name === name);
    return {
      name,
      description,
      ...(agent === undefined ? {} : { agent }),
      from: shipped ? "shipped" : copy ? "copy" : "yours",
      ...(copy ? { copy } : {}),
    };
  });
  const agents = AGENT_KINDS.map(({ name, capabilities }) => ({ name, tellsCost: capabilities.tellsCost }));
  return { shippedFolder, ownFolder, workflows, copies, agents, problems };
}

/** The command that shows what the shipped one has that the copy has not, and the other way round. */
export function compareCommand(
  shippedFolder: string,
  { name, folder }: Pick<WorkflowCopy, "name" | "folder">,
): string {
  return `diff -r ${quote(join(shippedFolder, name))} ${quote(folder)}`;
}

/** A path as a shell reads it. */
export function quote(path: string): string {
  return /^[\w./~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
