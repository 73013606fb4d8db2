import { readdir, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { stopAtDeadline } from "../../shared/deadline.js";
import { checkLocalRepository, isLocalRepository } from "../../shared/git/repository-address.js";
import { findNearest } from "../../shared/nearest.js";
import { ActionError } from "../answer.js";
import { findClientRepository, listClientFolders, showPath } from "./client-folders.js";
import type { Step, StepContext } from "./draft.js";

type Standing = Pick<StepContext, "call" | "services">;

/** Looking where a path leads may take this long, in ms: a folder may lie on a network that is away. */
const LOOK_MS = 3_000;
/** So many folders beside one that was not found are compared with its name. */
const MAX_COMPARED = 2_000;

/** Replaces a repository that is named as people do on their own machine (`.`, `~/code/x`, `myapp`) by its folder. */
export const resolveRepository: Step = async (draft, context) => {
  const { args } = draft;
  if (!args.repository_url) return draft;
  const repositoryUrl = await readRepository(args.repository_url, context);
  return repositoryUrl === args.repository_url
    ? draft
    : { ...draft, args: { ...args, repository_url: repositoryUrl } };
};

/**
 * What somebody means by a repository's address where the runs are carried out on this machine: the top folder of the
 * repository for what leads into one, from where the client stands. All other addresses stay as they are.
 * @throws ActionError when there is no repository, with the nearest name that there is
 */
export async function readRepository(text: string, context: Standing): Promise<string> {
  const { services, call } = context;
  const value = text.trim();
  if (services.settings.engine !== "local" || !services.sharesMachine || !isPath(value)) return text;
  return stopAtDeadline(services.clock, LOOK_MS, (signal) => lookFor(value, context, signal), call.signal);
}

async function lookFor(value: string, context: Standing, signal: AbortSignal): Promise<string> {
  const { services, call } = context;
  const [here] = await listClientFolders(call, services, signal);
  const candidates = await listCandidates(value, here, context, signal);
  for (const folder of candidates) {
    if (!(await isFolder(folder))) continue;
    const found = await services.git.findRepository(folder, signal);
    if (found.kind === "found") return found.top;
    // Why git does not use it is for the engine to say.
    if (found.kind === "unknown") return folder;
    throw new ActionError(
      `\`repository_url\`: ${shown(folder, context)} is not in a git repository. ${await tellNearest(folder, context)}` +
        "Name a repository, run `git init` there and commit, or leave it empty for a workspace without one. Nothing was sent.",
    );
  }
  const [folder] = candidates;
  if (folder === undefined)
    throw new ActionError(
      `\`repository_url\` ${JSON.stringify(value.slice(0, 200))}: it is not known in which folder you are, so the path must be absolute. Nothing was sent.`,
    );
  throw new ActionError(
    `\`repository_url\`: there is no folder ${shown(folder, context)}. ${await tellNearest(folder, context)}Nothing was sent.`,
  );
}

/** True for what can only be meant as a folder, and for words that are no address of a server. */
function isPath(value: string): boolean {
  if (isLocalRepository(value)) return true;
  return value !== "" && !/[\p{Cc}]/u.test(value) && !/^-|:\/\/|::|^[^/\\]*[@:]/.test(value);
}

/** The folders that can be meant, first the likeliest; empty when it is not known from where to begin. */
async function listCandidates(
  value: string,
  here: string | undefined,
  context: Standing,
  signal: AbortSignal,
): Promise<string[]> {
  const { home } = context.services;
  if (/^file:/i.test(value)) {
    const checked = checkLocalRepository(value);
    if (!checked.ok) throw new ActionError(`\`repository_url\`: ${checked.problem} Nothing was sent.`);
    return [checked.path];
  }
  if (/^~(?=$|[\\/])/.test(value)) return home ? [resolve(join(home, value.slice(1)))] : [];
  if (isAbsolute(value)) return [resolve(value)];
  if (here === undefined) return [];
  const below = resolve(here, value);
  if (/[\\/]/.test(value) || value.startsWith(".")) return [below];
  // A bare name: a folder in here, the repository one stands in, or one beside it.
  const standing = await findClientRepository(context.call, context.services, signal);
  const top = standing?.top ?? here;
  return [below, ...(basename(top) === value ? [top] : []), join(dirname(top), value)];
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

/** A sentence with the repository that is called most like the folder, where there is one beside it; else "". */
async function tellNearest(folder: string, context: Standing): Promise<string> {
  const beside = dirname(folder);
  const entries = await readdir(beside, { withFileTypes: true }).catch(() => []);
  const names = entries
    .slice(0, MAX_COMPARED)
    .filter((entry) => entry.isDirectory() && entry.name !== basename(folder))
    .map((entry) => entry.name);
  for (const name of findNearest(basename(folder), names)) {
    const isRepository = await stat(join(beside, name, ".git")).catch(() => undefined);
    if (isRepository) return `The nearest repository is ${shown(join(beside, name), context)}. `;
  }
  return "";
}

function shown(path: string, { services }: Standing): string {
  return showPath(path, services.home);
}
