import { basename } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Test files that take longest, most of it waiting: one that begins last is waited for by all workers. Vitest would go
 * by their size where it has not run them before.
 */
const LONGEST = `
  faults plan-kills sessions-clean plan-driver widget-page engine-settings dashboard-browser state-postgres sessions-work
  dashboard-page demo dashboard-command notices-of-runs engine-questions uncommitted-start monitoring allow-repository
  replicas package cancelled-starts engine-push repository-scripts six-windows engine-local clients-of-both-eras
  contract-engine dashboard engine-check engine-review engine-conversations engine-run-faults engine-lost-database
  plan-command plan-shipped-engine plan-chat-engine engine-slots engine-leftovers engine-story stdio engine-api
  plan-engine doctor interrupted-session modern-stdio plans-postgres plan-runner-postgres plan-shifts
  workers worker-moves resumed-runs waiting-changes integrations-story
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
