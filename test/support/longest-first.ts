import { basename } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Test files that take longest, most of it waiting: one that begins last is waited for by all workers. Vitest would go
 * by their size where it has not run them before.
 */
const LONGEST = `
  resumed-runs worker-moves faults workers widget-page state-postgres plans-postgres uncommitted-take-along
  faults-cluster sessions-work worker-engines plan-driver dashboard-browser plan-kills workers-ops callers-apart
  engine-settings engine-workspaces clients-of-both-eras waiting-changes engine-deliver plan-shifts stdio
  notices-of-runs pull-requests engine-leftovers demo plan-runner-postgres watched-pull-requests engine-check
  sessions-clean package monitoring plan-command engine-questions dashboard-command dashboard-page doctor engine-story
  engine-run-faults modern-stdio engine-push cancelled-starts uncommitted-start engine-costs engine-local
  engine-review state sessions-command allow-repository workers-failover engine-api plan-engine interrupted-session
  replicas plan-chat-engine elicitation six-windows start-limiter plan-run-command engine-slots standing-here
`
  .trim()
  .split(/\s+/);

/** Begins with the longest files of each project; the rest comes in the order of Vitest. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const projects = [...new Set(sorted.map(({ project }) => project.name))];
    return projects.flatMap((name) => {
      const own = sorted.filter(({ project }) => project.name === name);
      return own.sort((one, other) => rankOf(one) - rankOf(other));
    });
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const rank = LONGEST.indexOf(basename(moduleId, ".test.ts"));
  return rank < 0 ? LONGEST.length : rank;
}
