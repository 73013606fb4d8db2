import type { BoardView } from "../../src/dashboard/views/board.js";
import type { NeedView } from "../../src/dashboard/views/needs.js";
import type { PlanDetail } from "../../src/dashboard/views/plan.js";
import type { DiffView, LogEntry, RunDetail, RunRow } from "../../src/dashboard/views/run.js";
import { figuresOf, rowsBehind } from "./dashboard-figures.js";
import type { Told } from "./stand-in-dashboard.js";

const MINUTE = 60_000;

/** A day's work to look at: a plan that waits at its gate, a question, runs that go on, wait and have ended. */
export function busyDay(now: number): Told {
  const gate = gateNeed(now);
  const question = questionNeed(now);
  const runs = [implementRun(now), questionRun(now), ...otherRuns(now)];
  const board: BoardView = {
    at: "1",
    now,
    needs: [gate, permissionNeed(now), question],
    running: runs,
    queue: [
      {
        runId: "run-queued",
        session: "docs-search",
        workflow: "implement",
        status: "pending",
        repository: "https://example.com/acme/handbook.git",
        startedAt: now - 3 * MINUTE,
        queue: { position: 1, inS: 240 },
      },
    ],
    ended: endedRuns(now),
    endedLeft: 0,
    plans: [
      {
        planId: "plan-1",
        name: "rate-limits",
        status: "waiting",
        line: "gate review waits for you; 3 of 7 steps done",
        createdAt: now - 58 * MINUTE,
        changedAt: now - 6 * MINUTE,
        runsStarted: 4,
        runsLimit: 12,
        costUsd: 1.84,
        costLimitUsd: 6,
        waiting: 1,
      },
    ],
    today: now - 600 * MINUTE,
    totals: { running: runs.length, needs: 3, endedToday: 5, failedToday: 1, costTodayUsd: 2.69 },
  };
  return {
    board,
    plans: { "plan-1": planDetail(now, gate) },
    runs: { "run-implement": runDetail(now, runs[0] as RunRow), "run-ended": endedDetail(now) },
    diffs: { "run-ended": DIFF, "run-implement": DIFF },
    figures: (by) => figuresOf(by, now),
    rows: (by, key) => rowsBehind(by, key, now),
    call: ({ id, action }) =>
      action === "kill"
        ? {
            id,
            state: "form",
            form: {
              id: "form-1",
              message: "End session rate-limits?\nThe agent stops at once. Its commits stay.",
              fields: [
                {
                  name: "confirm",
                  title: "Confirm",
                  description: "",
                  required: true,
                  choices: [
                    { value: "no", title: "No, let it go on" },
                    { value: "yes", title: "Yes, end it" },
                  ],
                },
              ],
            },
          }
        : { id, state: "done", outcome: "done", summary: "Sent." },
    reply: ({ id }, { values }) =>
      values?.confirm === "yes"
        ? { id, state: "done", outcome: "killed", summary: "Ended." }
        : { id, state: "failed", message: "Nobody agreed; nothing was done." },
  };
}

function gateNeed(now: number): NeedView {
  return {
    id: "gate-review-1",
    kind: "gate",
    since: now - 6 * MINUTE,
    title: "Is the token bucket what we want, before it goes into every route?",
    detail:
      "implement has succeeded: 2 commits, 6 files, +212 −38\n  3f9c2e1 Add a token bucket per API key\n  a71b0d4 Answer 429 with Retry-After",
    planId: "plan-1",
    plan: "rate-limits",
    step: "review",
    choices: [
      { value: "approve", title: "Approve", weighty: true },
      {
        value: "send back: ",
        title: "Send back",
        takesWords: true,
        description: "Say what should change.",
      },
      { value: "stop", title: "Stop", description: "The plan ends here.", weighty: true },
    ],
    words: { label: "What should change", alone: false },
    call: { action: "answer", arguments: { plan_id: "plan-1", question_id: "review/1" } },
  };
}

function permissionNeed(now: number): NeedView {
  return {
    id: "permission-1",
    kind: "permission",
    since: now - 95_000,
    title: "May it run a command that reaches the network?",
    detail: "npm install --save-dev autocannon@8",
    session: "load-test",
    workflow: "implement",
    runId: "run-2",
    choices: [
      { value: "allow", title: "Allow once", weighty: true },
      { value: "deny", title: "Deny" },
    ],
    call: { action: "answer", arguments: { run_id: "run-2", question_id: "q-2" } },
  };
}

function questionNeed(now: number): NeedView {
  return {
    id: "question-1",
    kind: "question",
    since: now - 40_000,
    title: "Two date formats are in use. Which one is right?",
    session: "fix-import",
    workflow: "fix",
    runId: "run-question",
    choices: [
      { value: "ISO 8601", title: "ISO 8601 (2026-03-01)" },
      { value: "As in the old file", title: "As in the old file (01.03.2026)" },
    ],
    words: { label: "Your answer", alone: true },
    call: { action: "answer", arguments: { run_id: "run-question", question_id: "q-1" } },
  };
}

function implementRun(now: number): RunRow {
  return {
    runId: "run-implement",
    session: "rate-limits-tests",
    workflow: "test",
    status: "running",
    action: "Runs npx vitest run test/limits.test.ts",
    turn: 9,
    maxTurns: 40,
    expectedTurns: 14,
    branch: "automagik/rate-limits-tests",
    repository: "https://example.com/acme/gateway.git",
    model: "sonnet",
    costUsd: 0.41,
    startedAt: now - 7 * MINUTE,
    lastSeenAt: now - 2_000,
    plan: "rate-limits",
    planId: "plan-1",
    step: "tests",
  };
}

function questionRun(now: number): RunRow {
  return {
    runId: "run-question",
    session: "fix-import",
    workflow: "fix",
    status: "running",
    waits: true,
    action: "Waits for your answer",
    turn: 5,
    expectedTurns: 11,
    branch: "automagik/fix-import",
    costUsd: 0.19,
    startedAt: now - 4 * MINUTE,
    lastSeenAt: now - 40_000,
  };
}

function otherRuns(now: number): RunRow[] {
  const names: [session: string, workflow: string, action: string][] = [
    ["load-test", "implement", "Waits for your answer"],
    ["rename-config", "refactor", "Edits src/config/read-config.ts"],
    ["login-timeout", "fix", "Reads test/session-expiry.test.ts"],
    ["api-docs", "document", "Writes docs/errors.md"],
    ["panel-review-2", "review", "Compares main...automagik/panel"],
  ];
  return names.map(([session, workflow, action], at) => ({
    runId: `run-${at + 2}`,
    session,
    workflow,
    status: "running",
    action,
    ...(at === 0 ? { waits: true as const } : {}),
    ...(at === 4 ? { stalledMs: 11 * MINUTE } : {}),
    turn: 3 + at * 4,
    expectedTurns: 12 + at,
    branch: `automagik/${session}`,
    costUsd: 0.12 + at * 0.11,
    startedAt: now - (3 + at * 5) * MINUTE,
    lastSeenAt: at === 4 ? now - 11 * MINUTE : now - (1 + at) * 3_000,
  }));
}

function endedRuns(now: number): RunRow[] {
  const rows: [string, string, string, number, number][] = [
    ["csv-export", "implement", "completed", 17, 0.62],
    ["flaky-clock", "fix", "completed", 8, 0.23],
    ["upgrade-zod", "refactor", "failed", 40, 1.31],
    ["rate-limits-design", "architect", "completed", 11, 0.48],
    ["typo-in-help", "fix", "killed", 2, 0.05],
  ];
  return rows.map(([session, workflow, status, turn, costUsd], at) => ({
    runId: at === 0 ? "run-ended" : `ended-${at}`,
    session,
    workflow,
    status,
    turn,
    costUsd,
    branch: `automagik/${session}`,
    startedAt: now - (70 + at * 40) * MINUTE,
    endedAt: now - (52 + at * 36) * MINUTE,
    ...(status === "failed" ? { error: "The limit of 40 turns was reached before the work was done" } : {}),
    ...(status === "completed" ? { action: "Committed, and ready to be taken" } : {}),
  }));
}

function planDetail(now: number, gate: NeedView): PlanDetail {
  const at = (minutes: number) => now - minutes * MINUTE;
  return {
    planId: "plan-1",
    name: "rate-limits",
    status: "waiting",
    line: "gate review waits for you; 3 of 7 steps done",
    version: 2,
    now,
    startedAt: at(58),
    changedAt: at(6),
    repository: "https://example.com/acme/gateway.git",
    branch: "main",
    inputs: [{ name: "task", value: "Limit requests per API key, with a clear answer when it is too many" }],
    nodes: [
      node("design", "run", "succeeded", 0, "architect", at(46), {
        turns: 11,
        costUsd: 0.48,
        runId: "ended-3",
        outcome: "A token bucket per key, kept in memory, refilled each second",
        session: "rate-limits-design",
        may: ["redo"],
      }),
      node("agree", "gate", "succeeded", 1, "Is the design right?", at(41), { outcome: "approved" }),
      node("implement", "run", "succeeded", 2, "implement", at(6), {
        turns: 23,
        costUsd: 0.95,
        attempt: 2,
        runId: "run-ended",
        session: "rate-limits-implement",
        outcome: "2 commits, 6 files",
        branch: "automagik/rate-limits",
        may: ["redo"],
      }),
      node("tests", "run", "running", 2, "test", at(7), {
        turns: 9,
        runId: "run-implement",
        session: "rate-limits-tests",
        action: "Runs npx vitest run test/limits.test.ts",
        branch: "automagik/rate-limits-tests",
      }),
      node("review", "gate", "waiting", 3, gate.title, at(6), { reason: "waits for you" }),
      node("routes", "run", "pending", 4, "implement", at(58), { items: { done: 0, of: 5 }, may: ["skip"] }),
      node("merge", "merge", "pending", 5, "routes", at(58), { may: ["skip"] }),
    ],
    edges: [
      edge("design", "agree"),
      edge("agree", "implement"),
      edge("agree", "tests"),
      edge("implement", "review"),
      edge("review", "routes"),
      edge("tests", "routes"),
      edge("routes", "merge"),
      { from: "review", to: "implement", kind: "back" },
    ],
    timeline: [
      {
        key: "1",
        step: "design",
        kind: "run",
        status: "completed",
        attempt: 1,
        from: at(58),
        to: at(46),
        runId: "ended-3",
        turns: 11,
        costUsd: 0.48,
      },
      { key: "2", step: "agree", kind: "gate", status: "succeeded", attempt: 1, from: at(46), to: at(41) },
      {
        key: "3",
        step: "implement",
        kind: "run",
        status: "failed",
        attempt: 1,
        from: at(41),
        to: at(30),
        turns: 9,
        costUsd: 0.33,
      },
      {
        key: "4",
        step: "implement",
        kind: "run",
        status: "completed",
        attempt: 2,
        why: "retry",
        from: at(29),
        to: at(6),
        runId: "run-ended",
        turns: 14,
        costUsd: 0.62,
      },
      {
        key: "5",
        step: "tests",
        kind: "run",
        status: "running",
        attempt: 1,
        from: at(7),
        runId: "run-implement",
        turns: 9,
      },
      { key: "6", step: "review", kind: "gate", status: "waiting", attempt: 1, from: at(6) },
    ],
    gates: [
      { step: "review", attempt: 1, question: gate.title, openedAt: at(6), commits: ["3f9c2e1", "a71b0d4"] },
      {
        step: "agree",
        attempt: 1,
        question: "Is the design right?",
        openedAt: at(46),
        commits: [],
        decision: "approve",
        words: "Keep it in memory for now",
        decidedAt: at(41),
        via: "chat",
        by: "ada",
      },
    ],
    versions: [
      { version: 1, from: at(58), until: at(40), added: [], removed: [], changed: [] },
      { version: 2, from: at(40), added: ["tests"], removed: [], changed: ["routes"] },
    ],
    needs: [gate],
    runs: { started: 4, limit: 12 },
    costUsd: 1.84,
    knownCostUsd: 1.84,
    heldUsd: 0.6,
    costLimitUsd: 6,
    workMs: 47 * MINUTE,
    limitMinutes: 180,
    nearLimits: [],
    may: ["pause", "kill"],
  };
}

function node(
  id: string,
  kind: "run" | "gate" | "merge",
  status: PlanDetail["nodes"][number]["status"],
  depth: number,
  about: string,
  since: number,
  more: Partial<PlanDetail["nodes"][number]> = {},
): PlanDetail["nodes"][number] {
  return { id, kind, status, depth, about, since, attempt: 1, may: [], ...more };
}

const edge = (from: string, to: string) => ({ from, to, kind: "needs" as const });

function runDetail(now: number, row: RunRow): RunDetail {
  return {
    ...row,
    now,
    task: "Test the token bucket: bursts, refill, two keys at once, the clock set back.",
    tokens: 184_220,
    needs: [],
    filesChanged: ["test/limits.test.ts", "test/support/hand-clock.ts"],
    log: logOf(now),
    logLeft: 0,
    may: ["feedback", "kill", "diff"],
  };
}

function endedDetail(now: number): RunDetail {
  const row = endedRuns(now)[0] as RunRow;
  return {
    ...row,
    now,
    model: "sonnet",
    repository: "https://example.com/acme/gateway.git",
    durationS: 1_080,
    tokens: 402_118,
    task: "Export the report as CSV, with the columns of the page and a header.",
    result: "The report has a CSV export. Quotes, commas and line breaks within a cell are kept.",
    needs: [],
    work: {
      branch: "automagik/csv-export",
      baseBranch: "main",
      commits: [
        { id: "8d20f4c", title: "Write cells with quotes, commas and lines as RFC 4180 says" },
        { id: "51c9e07", title: "Add the export to the report's menu" },
      ],
      commitCount: 2,
      files: 2,
      insertions: 10,
      deletions: 1,
      deliveredTo: "repository",
    },
    filesChanged: ["src/report/csv.ts", "src/report/menu.ts"],
    log: logOf(now - 52 * MINUTE),
    logLeft: 0,
    may: ["take", "discard", "diff", "feedback"],
  };
}

function logOf(now: number): LogEntry[] {
  const entries: Omit<LogEntry, "key" | "at">[] = [
    { kind: "status", text: "Started in a workspace of its own on main" },
    { kind: "turn", text: "Turn 1", turn: 1 },
    { kind: "message", text: "I look at how limits are counted now before I write tests.", turn: 1 },
    { kind: "action", text: "Reads src/limits/token-bucket.ts", turn: 1 },
    { kind: "action", text: "Searches for “Retry-After” in src", turn: 2 },
    { kind: "file", text: "Writes test/limits.test.ts", turn: 4 },
    { kind: "question", text: "May it run npm ci?", turn: 5 },
    { kind: "answer", text: "Allowed by you", turn: 5 },
    { kind: "command", text: "npm ci", detail: "added 212 packages in 4s", turn: 5 },
    {
      kind: "command",
      text: "npx vitest run test/limits.test.ts",
      detail:
        " FAIL  test/limits.test.ts > a burst above the size is refused\nAssertionError: expected 200 to be 429\n ❯ test/limits.test.ts:41:27\n\n Test Files  1 failed (1)\n      Tests  1 failed | 6 passed (7)",
      turn: 7,
    },
    {
      kind: "message",
      text: "The bucket starts full twice: once on creation, once on the first refill. The test is right.",
      turn: 8,
    },
    { kind: "file", text: "Edits src/limits/token-bucket.ts", turn: 8 },
    {
      kind: "command",
      text: "npx vitest run test/limits.test.ts",
      detail: " Test Files  1 passed (1)\n      Tests  7 passed (7)",
      turn: 9,
    },
  ];
  return entries.map((entry, key) => ({ ...entry, key, at: now - (entries.length - key) * 24_000 }));
}

const DIFF: DiffView = {
  branch: "automagik/csv-export",
  baseBranch: "main",
  cut: false,
  text: `diff --git a/src/report/csv.ts b/src/report/csv.ts
new file mode 100644
index 0000000..8d20f4c
--- /dev/null
+++ b/src/report/csv.ts
@@ -0,0 +1,8 @@
+/** The rows as CSV (RFC 4180), with a header. */
+export function toCsv(columns: string[], rows: string[][]): string {
+  return [columns, ...rows].map((cells) => cells.map(quote).join(",")).join("\\r\\n");
+}
+
+function quote(cell: string): string {
+  return /[",\\r\\n]/.test(cell) ? \`"\${cell.replaceAll('"', '""')}"\` : cell;
+}
diff --git a/src/report/menu.ts b/src/report/menu.ts
index 51c9e07..a1b2c3d 100644
--- a/src/report/menu.ts
+++ b/src/report/menu.ts
@@ -12,4 +12,5 @@ export const MENU = [
   { title: "Refresh", does: "refresh" },
-  { title: "Print", does: "print" },
+  { title: "Print…", does: "print" },
+  { title: "Export as CSV", does: "csv" },
   { title: "Close", does: "close" },
 ];
`,
};
