import { join } from "node:path";
import type { Clock } from "../../shared/clock.js";
import { resolveConfigFolder } from "../../shared/config-folder.js";
import { createGit } from "../../shared/git/git.js";
import { ALLOWED_FILE, createAllowedRepositories } from "./allowed-repositories.js";
import type { Consent } from "./consent.js";
import { createGitRunner } from "./git-runner.js";
import { describeConsent } from "./repository.js";
import { WorkspaceError } from "./types.js";

/** The repositories of this machine that agents may work on copies of, for a person in a terminal. */
export interface RepositoryPermissions {
  /** @throws WorkspaceError when the file that lists them cannot be read */
  list(): Promise<Consent[]>;
  /**
   * What would be allowed: the repository that holds the folder, with all folders that it consists of.
   * @throws WorkspaceError when there is none
   */
  find(folder: string): Promise<Consent>;
  /** @throws WorkspaceError when it cannot be written down */
  allow(consent: Consent): Promise<void>;
  /** @returns false when it was not allowed so. @throws WorkspaceError as for `allow` */
  remove(path: string): Promise<boolean>;
}

/**
 * Creates them on the file in the person's configuration folder, which an engine reads at each look: it need not run.
 * @param options.env the environment without this product's own variables
 */
export function createRepositoryPermissions(options: {
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
  home: string;
  clock: Clock;
}): RepositoryPermissions {
  const { env, clock } = options;
  const file = join(resolveConfigFolder(options), ALLOWED_FILE);
  const allowed = createAllowedRepositories({ file, now: () => clock.now() });
  return {
    list: allowed.list,
    allow: allowed.add,
    remove: allowed.remove,
    async find(folder) {
      const found = await createGit({ env }).findRepository(folder);
      if (found.kind === "none") throw new WorkspaceError(`${folder} is not in a git repository.`);
      const top = found.kind === "found" ? found.top : folder;
      return describeConsent(top, { git: createGitRunner({ env, clock }) });
    },
  };
}
