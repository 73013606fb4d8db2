import type { OnBehalf } from "../runs/on-behalf.js";
import type { LinkedIssue } from "../shared/linked-issue.js";

/** Where a plan's runs work, and on whose behalf. */
export interface PlanPlace {
  repositoryUrl?: string;
  gitBranch?: string;
  /** The repository of this machine that the person has allowed. */
  consent?: { path: string; folders: readonly string[] };
  onBehalf?: OnBehalf;
  /** The issue that it is about, which is kept up to date. */
  issue?: LinkedIssue;
}
