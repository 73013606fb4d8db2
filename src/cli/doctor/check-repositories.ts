import { createRepositoryPermissions } from "../../engine/requirements.js";
import type { Clock } from "../../shared/clock.js";
import { ok, type Result, warning } from "./finding.js";

/** So many are named. */
const SHOWN = 10;

/**
 * Tells which repositories of this machine agents may work on copies of.
 * @param options.allowedFolders those of the setting
 * @param options.shorten writes a path with `~`
 */
export async function checkRepositories(options: {
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
  home: string;
  clock: Clock;
  allowedFolders: readonly string[];
  shorten: (text: string) => string;
}): Promise<Result> {
  const { allowedFolders, shorten } = options;
  try {
    const paths = (await createRepositoryPermissions(options).list()).map(({ path }) => shorten(path));
    const named = paths.length > SHOWN ? [...paths.slice(0, SHOWN), `${paths.length - SHOWN} more`] : paths;
    const inside = allowedFolders.map((folder) => `all in ${shorten(folder)}`);
    const all = [...inside, ...named];
    return ok(
      all.length > 0
        ? `allowed: ${all.join(", ")}`
        : "no local repository is allowed yet; the first run asks",
    );
  } catch (error) {
    return warning(
      (error as Error).message,
      "Mend the file, or move it away and allow the repositories again.",
    );
  }
}
