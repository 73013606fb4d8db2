import { relative, sep } from "node:path";
import type { LocalRepository } from "../../shared/git/git.js";
import type { Call, Services } from "../define-action.js";

/** So many of the client's folders are looked at. */
const MAX_FOLDERS = 3;

type Place = Pick<Services, "sharesMachine" | "ownFolders" | "home">;

/**
 * The folders in which the client stands, first the likeliest: those that it names itself (roots), else those in which
 * the server was started for it. Empty where they share no machine. Never rejects.
 */
export async function listClientFolders(
  { localFolders }: Pick<Call, "localFolders">,
  { sharesMachine, ownFolders }: Place,
  signal: AbortSignal,
): Promise<string[]> {
  if (!sharesMachine) return [];
  const named = await localFolders(signal).catch(() => []);
  return [...named.slice(0, MAX_FOLDERS), ...ownFolders];
}

/** The repository that the client stands in: the first of the folders that is in one. */
export async function findClientRepository(
  call: Pick<Call, "localFolders">,
  services: Place & Pick<Services, "git">,
  signal: AbortSignal,
): Promise<LocalRepository | undefined> {
  for (const folder of await listClientFolders(call, services, signal)) {
    const found = await services.git.describeFolder(folder, signal);
    // A home that is kept in git is no project that somebody stands in.
    if (found && found.top !== services.home) return found;
  }
  return undefined;
}

/** A path as people write it: `~` for the home folder. */
export function showPath(path: string, home: string | undefined): string {
  if (!home) return path;
  const way = relative(home, path);
  if (way === "") return "~";
  return way === ".." || way.startsWith(`..${sep}`) || way === path ? path : `~${sep}${way}`;
}
