import { describe, expect, it } from "vitest";
import { createStoredRunsApi, readStoredEvents } from "../src/api/stored-runs.js";
import { tellAnswer } from "../src/cli/plans/tell-answer.js";
import { paintChanges, splitDiff } from "../src/cli/sessions/render-diff.js";
import { renderEvent } from "../src/cli/sessions/render-log.js";
import type { Whose } from "../src/shared/whose.js";

// What commands of the terminal print; that they print it, others see at the built bin.

const at = new Date(2026, 10, 28, 9, 5, 7).getTime();
const line = (type: string, data: Record<string, unknown> = {}) => renderEvent({ type, at, data });

describe("a run's log in the terminal", () => {
  it.each([
    ["status", { status: "pending" }, "accepted"],
    ["status", { status: "running" }, "started"],
    ["turn", { turn: 3 }, "turn 3"],
    ["action", { action: "Reads files", detail: "src/a.ts" }, "  Reads files (src/a.ts)"],
    ["action", { action: "Thinks" }, "  Thinks"],
    ["phase", { phase: "design" }, "  done: design"],
    ["message", { added: 1, content: "Use sessions" }, "  message from you: Use sessions"],
    ["message", { taken: 1 }, "  message read by the agent"],
    ["message", {}, "  message not delivered"],
    ["question", { text: "Which database?" }, "  asks: Which database?"],
    ["answered", { answer: "allow_once" }, "  -> allowed once"],
    ["answered", { answer: "SQLite" }, "  -> answered: SQLite"],
    ["answered", {}, "  -> answered"],
    ["answered", { by: "timeout" }, "  -> nobody answered in time, so it was not carried out"],
    ["answered", { by: "ended" }, "  -> not answered: the run ended before"],
    ["slot", { has_slot: true }, "  has a slot again"],
    ["slot", { has_slot: false }, "  gave its slot to others while it waits for you"],
    ["result", { ok: true }, "gave its result"],
    ["result", { ok: false }, "gave up"],
    ["finished", { status: "completed" }, "completed"],
    ["finished", { status: "failed", error_code: "interrupted" }, "interrupted"],
  ])("tells %s %j in words", (type, data, told) => {
    expect(line(type, data)).toBe(`09:05:07  ${told}`);
  });

  it("tells who has answered and where, as far as that is known", () => {
    const data = { by: "person", answer: "allow_once" };
    const told = (whose: Whose) => renderEvent({ type: "answered", at, data, whose });
    expect(told({ by: "Ann", via: "slack" })).toBe("09:05:07    -> allowed once by Ann in Slack");
    expect(told({ via: "terminal" })).toBe("09:05:07    -> allowed once in a terminal");
    // No word of an agent's is taken for one of these.
    expect(line("answered", { answer: "constructor" })).toBe("09:05:07    -> answered: constructor");
  });

  it("leaves out what nobody has to know, and the time where it is not known", () => {
    expect(line("tokens", { total: 5 })).toBeUndefined();
    expect(line("turn", { turn: "3" })).toBeUndefined();
    expect(renderEvent({ type: "turn", at: undefined, data: { turn: 1 } })).toBe("          turn 1");
  });

  it("is one line of visible characters for each event, whatever an agent says", () => {
    const told = line("question", { text: `Delete\n\u001b[2Jit?\u202e ${"x".repeat(2_000)}` }) ?? "";
    expect(told).not.toMatch(/[\n\u001b\u202e]/);
    expect(told).toContain("<U+001B>[2Jit?<U+202E>");
    expect(told.length).toBeLessThan(600);
  });
});

describe("a difference in the terminal", () => {
  const DIFF = [
    " a.txt | 2 +-",
    " 1 file changed, 1 insertion(+), 1 deletion(-)",
    "",
    "diff --git a/a.txt b/a.txt",
    "--- a/a.txt",
    "+++ b/a.txt",
    "@@ -1,3 +1,3 @@",
    " same",
    "--- a removed line that looks like a head",
    "+++ an added one",
    "",
  ].join("\n");

  it("is told in short first", () => {
    const { stat, changes } = splitDiff(DIFF);
    expect(stat).toBe(" a.txt | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)");
    expect(changes.startsWith("diff --git")).toBe(true);
    expect(splitDiff("")).toEqual({ stat: "", changes: "" });
  });

  it("has its heads, places, added and removed lines told apart, also where a line looks like a head", () => {
    const painted = paintChanges(splitDiff(DIFF).changes, (text, tone) => `${tone}:${text}`);
    expect(painted.split("\n")).toEqual([
      "head:diff --git a/a.txt b/a.txt",
      "head:--- a/a.txt",
      "head:+++ b/a.txt",
      "place:@@ -1,3 +1,3 @@",
      " same",
      "removed:--- a removed line that looks like a head",
      "added:+++ an added one",
      "",
    ]);
  });
});

describe("an answer in a terminal where nobody can be asked", () => {
  const missing = (name: string, more: object = {}) => ({
    name,
    description: "Says what.",
    required: true,
    ...more,
  });
  const tell = (summary: string, of: ReturnType<typeof missing>[], otherwise?: string) =>
    tellAnswer({ outcome: "input_required", summary, missing: of }, otherwise);

  it("is the summary where nothing is missing", () => {
    expect(tell("Done.", [])).toBe("Done.");
  });

  it("names the flags that say what is missing, with choices and what is suggested", () => {
    const choices = [
      { value: "a", title: "A" },
      { value: "b", title: "B" },
    ];
    expect(
      tell("Nothing was started.", [
        missing("session_name", { suggestion: "login" }),
        missing("git_branch", { required: false, choices }),
        missing("input_feature"),
        missing("agree", { description: "npm test" }),
      ]),
    ).toBe(
      [
        "Nothing was started.",
        "",
        "Nobody can be asked here. These flags say it:",
        "  --name NAME  Says what. Suggested: login.",
        "  --branch BRANCH  (may be empty) Says what. One of a, b.",
        "  --input feature=…  Says what.",
        "  --agree 'npm test'",
      ].join("\n"),
    );
  });

  it("says what to do in place of a yes or no, once", () => {
    const told = tell("Nothing was merged. Nobody can be asked here.", [missing("confirm")], "Give --yes.");
    expect(told).toBe("Nothing was merged. Nobody can be asked here.\n\nSays what.\n\nGive --yes.");
  });
});

describe("the runs of an engine that is not running", () => {
  const api = createStoredRunsApi({
    address: "the engine of this machine",
    problem: "The engine is not running. Nothing was sent.",
    statuses: [
      { run_id: "run-2", status: "completed", workflow_name: "fix" },
      { run_id: "run-1", status: "running", workflow_name: "test" },
      { status: "completed" },
      "nonsense",
    ],
  });

  it("can be listed, by status and by page, and read", async () => {
    const ids = async (how: Parameters<typeof api.listRuns>[0]) =>
      (await api.listRuns(how)).runs.map(({ runId }) => runId);
    expect(await ids({})).toEqual(["run-2", "run-1"]);
    expect(await ids({ status: "running" })).toEqual(["run-1"]);
    expect(await api.listRuns({ page: 1, pageSize: 1 })).toMatchObject({ last: false });
    expect(await ids({ page: 2, pageSize: 1 })).toEqual(["run-1"]);
    expect(await api.getRun("run-2")).toMatchObject({ workflowName: "fix", status: "completed" });
    await expect(api.getRun("run-3")).rejects.toMatchObject({ kind: "not_found" });
  });

  it("are all that can be had of it: what would need it is refused before anything is sent", async () => {
    for (const call of [api.startRun, api.killRun, api.takeWork, api.cleanupRun, api.listWorkflows]) {
      const sent = (call as () => Promise<unknown>)();
      await expect(sent).rejects.toMatchObject({ message: "The engine is not running. Nothing was sent." });
    }
  });

  it("have their events told as a stream would, and what is none left out", () => {
    const events = readStoredEvents([
      { id: 1, run_id: "run-2", at: "2026-11-28T09:00:00Z", type: "turn", data: { turn: 1 } },
      "nonsense",
    ]);
    expect(events.map(({ type }) => type)).toEqual(["turn"]);
  });
});
