import type { RepositoryPermissions } from "../../engine/requirements.js";

export interface AllowOptions {
  permissions: RepositoryPermissions;
  /** Absolute. */
  folder: string;
  what: "allow" | "remove" | "list";
  out: (text: string) => void;
}

/**
 * Allows a repository of this machine for agents, takes that back, or lists what is allowed so.
 * @returns the exit code: 0 when it is now as asked for, else 1
 */
export async function runAllow({ permissions, folder, what, out }: AllowOptions): Promise<number> {
  try {
    if (what === "list") {
      const allowed = await permissions.list();
      out(
        allowed.length > 0
          ? allowed.map(tellConsent).join("")
          : "No repository was allowed by itself. Those inside ENGINE_ALLOWED_FOLDERS are allowed besides.\n",
      );
      return 0;
    }
    if (what === "remove") {
      // Also one that is not there any more.
      const path = await permissions.find(folder).then(
        (consent) => consent.path,
        () => folder,
      );
      const removed = await permissions.remove(path);
      out(
        removed
          ? `${path} is not allowed any more. What runs on it goes on; its commits stay in the engine's clone.\n`
          : `${path} was not allowed here; --list shows what is.\n`,
      );
      return removed ? 0 : 1;
    }
    const consent = await permissions.find(folder);
    await permissions.allow(consent);
    out(
      `Agents may work on copies of\n${tellConsent(consent)}Finished work comes back as a branch. An engine that runs knows it already.\n`,
    );
    return 0;
  } catch (error) {
    out(`${(error as Error).message}\n`);
    return 1;
  }
}

function tellConsent({ path, folders }: { path: string; folders: readonly string[] }): string {
  const others = folders.filter((folder) => folder !== path);
  return `  ${path}${others.length > 0 ? ` (with ${others.join(", ")})` : ""}\n`;
}
