import type { Run, RunQuestion } from "../../src/api/types.js";
import { bareRun } from "../../src/runs/run-facts.js";

const MINUTE = 60_000;

/** Runs of a busy day as a workflows API tells them, of which {@link busyDay} makes what the dashboard's server tells. */
export function shownRuns(now: number): Run[] {
  return [testsOfPlan(now), asking(now), ...others(now), queued(now), ...ended(now)];
}

const run = (runId: string, workflowName: string, sessionName: string, more: Partial<Run>): Run => ({
  ...bareRun(runId),
  ...{ workflowName, sessionName, status: "running", gitBranch: `automagik/${sessionName}` },
  ...more,
});

function testsOfPlan(now: number): Run {
  return run("run-implement", "test", "rate-limits-tests", {
    ...{ turn: 9, maxTurns: 40, expectedTurns: 14, model: "sonnet", costUsd: 0.41 },
    ...{ startedAt: now - 7 * MINUTE, lastActivityAt: now - 2_000, tokens: { total: 184_220 } },
    currentAction: "Run the tests of the limits",
    repositoryUrl: "https://example.com/acme/gateway.git",
    message: "Test the token bucket: bursts, refill, two keys at once, the clock set back.",
    filesChanged: ["test/limits.test.ts", "test/support/hand-clock.ts"],
  });
}

const DATE_FORMAT: RunQuestion = {
  questionId: "q-1",
  kind: "question",
  text: "Two date formats are in use. Which one is right?",
  choices: [
    { value: "ISO 8601", title: "ISO 8601 (2026-03-01)" },
    { value: "As in the old file", title: "As in the old file (01.03.2026)" },
  ],
  multiSelect: false,
};

const INSTALL: RunQuestion = {
  questionId: "q-2",
  kind: "permission",
  text: "implement wants to run `npm install --save-dev autocannon@8`",
  toolName: "Bash",
  detail: "npm install --save-dev autocannon@8",
  choices: [
    { value: "allow_once", title: "Allow once" },
    { value: "allow_run", title: "Allow for this run: npm install" },
    { value: "deny", title: "Deny" },
  ],
  multiSelect: false,
};

function asking(now: number): Run {
  return run("run-question", "fix", "fix-import", {
    ...{
      turn: 5,
      expectedTurns: 11,
      costUsd: 0.19,
      startedAt: now - 4 * MINUTE,
      lastActivityAt: now - 40_000,
    },
    currentAction: "Asking: Two date formats are in use. Which one is right?",
    questions: [{ ...DATE_FORMAT, askedAt: now - 40_000 }],
  });
}

function others(now: number): Run[] {
  const names: [session: string, workflow: string, action: string][] = [
    ["load-test", "implement", "Bash: npm install --save-dev autocannon@8"],
    ["rename-config", "refactor", "Edit src/config/read-config.ts"],
    ["login-timeout", "fix", "Read test/session-expiry.test.ts"],
    ["api-docs", "document", "Write docs/errors.md"],
    ["panel-review-2", "review", "Compare the panel with main"],
  ];
  return names.map(([session, workflow, currentAction], at) =>
    run(`run-${at + 2}`, workflow, session, {
      ...{ currentAction, turn: 3 + at * 4, expectedTurns: 12 + at, costUsd: 0.12 + at * 0.11 },
      startedAt: now - (3 + at * 5) * MINUTE,
      lastActivityAt: at === 4 ? now - 11 * MINUTE : now - (1 + at) * 3_000,
      ...(at === 0 ? { questions: [{ ...INSTALL, askedAt: now - 95_000 }] } : {}),
    }),
  );
}

function queued(now: number): Run {
  return {
    ...bareRun("run-queued"),
    ...{
      workflowName: "implement",
      sessionName: "docs-search",
      status: "pending",
      startedAt: now - 3 * MINUTE,
    },
    repositoryUrl: "https://example.com/acme/handbook.git",
    waitsForSlot: { position: 1, estimateS: 240 },
  };
}

/** The newest first. */
function ended(now: number): Run[] {
  const rows: [session: string, workflow: string, turn: number, costUsd: number, Partial<Run>][] = [
    ["csv-export", "implement", 17, 0.62, csvExport()],
    [
      "flaky-clock",
      "fix",
      8,
      0.23,
      { result: "The test waited for a second of the real clock; it now moves its own." },
    ],
    [
      "upgrade-zod",
      "refactor",
      40,
      1.31,
      { status: "failed", error: "The limit of 40 turns was reached before the work was done" },
    ],
    [
      "typo-in-help",
      "fix",
      2,
      0.05,
      { status: "killed", messageStart: "Mend the typo in the help of the export" },
    ],
  ];
  return rows.map(([session, workflow, turn, costUsd, more], at) =>
    run(at === 0 ? "run-ended" : `ended-${at}`, workflow, session, {
      ...{ status: "completed", turn, costUsd },
      startedAt: now - (70 + at * 40) * MINUTE,
      completedAt: now - (52 + at * 36) * MINUTE,
      ...more,
    }),
  );
}

const csvExport = (): Partial<Run> => ({
  model: "sonnet",
  repositoryUrl: "https://example.com/acme/gateway.git",
  durationS: 1_080,
  tokens: { total: 402_118 },
  message: "Export the report as CSV, with the columns of the page and a header.",
  result: "The report has a CSV export. Quotes, commas and line breaks within a cell are kept.",
  work: {
    branch: "automagik/csv-export",
    baseBranch: "main",
    commits: [
      { id: "8d20f4c", title: "Write cells with quotes, commas and lines as RFC 4180 says" },
      { id: "51c9e07", title: "Add the export to the report's menu" },
    ],
    ...{ commitCount: 2, files: 2, insertions: 10, deletions: 1, deliveredTo: "repository" },
  },
  filesChanged: ["src/report/csv.ts", "src/report/menu.ts"],
});
