import { readdir, realpath } from "node:fs/promises";
import { join, relative, sep } from "node:path";

/** What the agent loads as instructions from its folder, or may in another version. */
const FILES = ["CLAUDE.md", "CLAUDE.local.md", "AGENTS.md", join(".claude", "CLAUDE.md")];
const RULES = join(".claude", "rules");
/** With more rules than these that leave, all rules are left out: what is left out goes through the command line. */
const LEAVING_RULES = 20;

/**
 * The files of instructions in a folder that lead out of it by a link: a repository could have any file of this machine
 * put before the model by a `CLAUDE.md` that is a link to it. A link that stays in the folder is fine.
 * @returns paths below the folder, as they are called there
 */
export async function findOutsideMemory(folder: string): Promise<string[]> {
  const root = await realpath(folder).catch(() => undefined);
  // The agent cannot be started there either, and its error is clearer.
  if (root === undefined) return [];
  const keep = async (names: string[]) => {
    const leaves = await Promise.all(names.map((name) => leadsOut(join(folder, name), root)));
    return names.filter((_, index) => leaves[index]);
  };
  const rules = await keep((await listRules(join(folder, RULES))).map((name) => join(RULES, name)));
  return [...(await keep(FILES)), ...(rules.length > LEAVING_RULES ? [RULES] : rules)];
}

async function leadsOut(path: string, root: string): Promise<boolean> {
  // A link that leads nowhere is not loaded.
  const target = await realpath(path).catch(() => undefined);
  return target !== undefined && !target.startsWith(root + sep);
}

/** Names below the folder of rules; it may itself be a link, and so may folders in it. */
async function listRules(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

/** For the person. @param names what `findOutsideMemory` has found */
export function describeOutsideMemory(names: readonly string[]): string {
  const [is, it] = names.length === 1 ? ["is a link", "it"] : ["are links", "them"];
  return `${names.join(", ")} ${is} to a place outside the repository, so the agent was not given ${it}.`;
}
