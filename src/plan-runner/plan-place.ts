/** Where a plan's runs work. */
export interface PlanPlace {
  repositoryUrl?: string;
  gitBranch?: string;
  /** The repository of this machine that the person has allowed. */
  consent?: { path: string; folders: readonly string[] };
}
