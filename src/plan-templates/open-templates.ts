import type { Clock } from "../shared/clock.js";
import { resolvePackageFolder } from "../shared/package-folder.js";
import { createTemplates } from "./create-templates.js";
import { createRepositoryReader } from "./read-repository.js";
import type { Templates } from "./templates.js";
import { createTrustedTemplates } from "./trusted-templates.js";

/** The templates of one server. Nothing is read before it is asked for. */
export function openTemplates(options: {
  /** The person's own folder of plans, absolute; none where it is not known. */
  ownFolder: string | undefined;
  /** Where agreements are kept; in memory when left out. */
  stateFolder: string | undefined;
  /** Whether the API has a workflow. */
  offers: (workflow: string) => boolean;
  /** Whether repositories on this machine are looked at. */
  readsFolders: boolean;
  /** Whether a repository elsewhere may be asked; any may when left out. */
  allows?: ((repositoryUrl: string) => boolean) | undefined;
  /** The environment that git gets. */
  env: NodeJS.ProcessEnv;
  clock: Clock;
}): Templates {
  const { ownFolder, stateFolder, clock } = options;
  return createTemplates({
    shippedFolder: resolvePackageFolder("plans"),
    ownFolder,
    offers: options.offers,
    repository: createRepositoryReader(options),
    standing: createRepositoryReader({ ...options, readsFolders: true }),
    trusted: createTrustedTemplates({ folder: stateFolder, now: () => clock.now() }),
    clock,
  });
}
