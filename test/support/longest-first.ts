import { basename } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Test files that take longest, most of it waiting: one that begins last is waited for by all workers. Vitest would go
 * by their size where it has not run them before.
 */
const LONGEST = `
  resumed-runs worker-moves plans-postgres workers-ops workers widget-page sessions-work worker-engines callers-apart
  plan-kills state-postgres waiting-changes faults plan-driver pull-requests foreseen engine-settings
  dashboard-browser engine-check clients-of-both-eras demo stdio notices-of-runs engine-run-faults faults-cluster
  monitoring engine-questions plan-command engine-workspaces engine-story allow-repository sessions-clean plan-shifts
  engine-leftovers modern-stdio plan-runner-postgres watched-pull-requests uncommitted-start engine-review
  sessions-command cancelled-starts package dashboard-command engine-deliver doctor uncommitted-take-along
  engine-kills worker-kills answers-story replicas dashboard-page engine-local plan-pull-requests engine-push workers-failover
  plan-shipped-engine acknowledged-starts interrupted-session six-windows state engine-slots plan-chat-engine
  plan-run-command plan-save acp-agent integrations-story elicitation answers-from-discord stdin-end contract-engine
  engine-api engine-lost-database plan-engine start-limiter plugin dashboard pull-request-crash http-security
  standing-here plan-changes check-pr readable-worktrees truthful-answers engine-conversations engine-costs
  workflows-command engine-callers plan-gates codex-runs engine-status
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
