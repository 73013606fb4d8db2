import type { LoggedEvent } from "../../src/api/types.js";
import { toLogEntry } from "../../src/dashboard/log-entry.js";
import type { DiffView, LogEntry } from "../../src/dashboard/views/run.js";

/** What the engine tells of a run that writes tests, as events of its API. */
const EVENTS: [type: string, data: Record<string, unknown>][] = [
  ["status", { status: "pending" }],
  ["status", { status: "running" }],
  ["turn", { turn: 1 }],
  ["action", { action: "I look at how limits are counted now before I write tests." }],
  ["action", { action: "Read src/limits/token-bucket.ts" }],
  ["turn", { turn: 2 }],
  ["action", { action: "Grep: Retry-After" }],
  ["turn", { turn: 4 }],
  ["action", { action: "Write test/limits.test.ts" }],
  ["turn", { turn: 5 }],
  ["question", { text: "test wants to run `npm ci`" }],
  ["answered", { answer: "allow_once" }],
  ["action", { action: "Install what the tests need", detail: "Bash: npm ci" }],
  ["output", { text: "added 212 packages in 4s" }],
  ["turn", { turn: 7 }],
  ["action", { action: "Run the tests of the limits", detail: "Bash: npx vitest run test/limits.test.ts" }],
  [
    "output",
    {
      failed: true,
      text:
        " FAIL  test/limits.test.ts > a burst above the size is refused\nAssertionError: expected 200 to be 429\n" +
        " ❯ test/limits.test.ts:41:27\n\n Test Files  1 failed (1)\n      Tests  1 failed | 6 passed (7)",
    },
  ],
  ["message", { added: "m-1", content: "The refill is to be tested, too" }],
  ["message", { taken: "m-1" }],
  ["turn", { turn: 8 }],
  ["action", { action: "The bucket starts full twice: once when it is made, once at its first refill." }],
  ["action", { action: "Edit src/limits/token-bucket.ts" }],
  ["turn", { turn: 9 }],
  ["action", { action: "Run the tests of the limits", detail: "Bash: npx vitest run test/limits.test.ts" }],
  ["output", { text: " Test Files  1 passed (1)\n      Tests  7 passed (7)" }],
];
const APART_MS = 15_000;

/** The same as the entries of a log; the last one is as old as what stands between two. */
export function logOf(now: number): LogEntry[] {
  const events = EVENTS.map(
    ([type, data], at): LoggedEvent => ({ type, data, at: now - (EVENTS.length - at) * APART_MS }),
  );
  return events.flatMap((event, at) => {
    const told = toLogEntry(event, events[at - 1]);
    return told ? [{ key: at + 1, ...told }] : [];
  });
}

/** What a run has changed. */
export const DIFF: DiffView = {
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
