import { relative, sep } from "node:path";
import type { RepositoryPermissions } from "../../engine/requirements.js";

export interface OfferOptions {
  permissions: RepositoryPermissions;
  /** Where the person stands; absolute. */
  folder: string;
  home: string;
  /** Folders whose repositories are allowed by a setting; absolute. */
  allowedFolders: readonly string[];
  /** They have said so on the command line. */
  allow: boolean;
  /** Asks the person; left out when nobody is to be asked. */
  ask?: ((question: string) => Promise<boolean>) | undefined;
  out: (text: string) => void;
}

/**
 * Offers to allow the repository that the person stands in, for the engine that was just set up. Nothing is allowed
 * without `--allow` or a yes.
 * @returns the exit code: 1 when it was to be allowed and is not
 */
export async function offerAllow(options: OfferOptions): Promise<number> {
  const { permissions, folder, home, allowedFolders, allow, ask, out } = options;
  try {
    const consent = await permissions.find(folder);
    const { path, folders } = consent;
    // A home that is kept in git is no project.
    if (path === home && !allow) return 0;
    const isKnown = (await permissions.list()).some((one) => one.path === path);
    if (isKnown || folders.every((part) => allowedFolders.some((one) => isWithin(one, part)))) {
      out(`Agents may work on copies of ${path} already.\n`);
      return 0;
    }
    const others = folders.filter((part) => part !== path);
    const whole = others.length > 0 ? `${path} (with ${others.join(", ")})` : path;
    if (
      !allow &&
      !(await ask?.(`Allow agents to work on copies of ${whole}? Work comes back as a branch.`))
    ) {
      out(
        `${path} is not allowed for agents; \`automagik-workflows-mcp allow\` in it does that, or the first run asks.\n`,
      );
      return 0;
    }
    await permissions.allow(consent);
    out(
      `Agents may work on copies of ${whole}; \`automagik-workflows-mcp allow --remove\` takes that back.\n`,
    );
    return 0;
  } catch (error) {
    if (!allow) return 0;
    out(`Nothing was allowed: ${(error as Error).message}\n`);
    return 1;
  }
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && way !== path;
}
