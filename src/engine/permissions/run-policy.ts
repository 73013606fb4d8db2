import { CHECKS_SET, type Decision, decide, type PermissionFacts } from "./decide.js";
import type { ScriptConsents } from "./script-consents.js";

/** What one run's agent may do without a question, and what the person adds to it. */
export interface RunPolicy {
  decide(toolName: string, input: unknown): Decision;
  /** The repository's own scripts may run from now on: in this run, or in every run on this repository. */
  allowScripts(how: "run" | "repository"): void;
  /** Whether they may already now. */
  scriptsAllowed(): boolean;
  /** The repository whose scripts can be allowed for good; without one the run has a plain folder. */
  repository?: string | undefined;
  /** Commands run in the agent's sandbox. */
  sandboxed: boolean;
}

/** Joins the workflow's rules with what was remembered. */
export function createRunPolicy(options: {
  facts: PermissionFacts;
  consents: ScriptConsents;
  repository?: string | undefined;
  sandboxed: boolean;
}): RunPolicy {
  const { facts, consents, repository, sandboxed } = options;
  let scriptsInThisRun = false;
  const mayRun = () => scriptsInThisRun || (repository !== undefined && consents.has(repository));
  return {
    repository,
    sandboxed,
    decide(toolName, input) {
      return decide(toolName, input, facts, { scripts: mayRun() });
    },
    scriptsAllowed: () => facts.allowedTools.includes(CHECKS_SET) && mayRun(),
    allowScripts(how) {
      scriptsInThisRun = true;
      if (how === "repository" && repository !== undefined) consents.add(repository);
    },
  };
}
