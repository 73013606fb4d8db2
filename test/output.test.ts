import { describe, expect, it } from "vitest";
import type { Answer } from "../src/actions/answer.js";
import { renderAnswer } from "../src/server/tools/output.js";

const render = (answer: Answer) =>
  renderAnswer(answer, ({ action, arguments: args }) => ({ tool: action, arguments: args }));
const textOf = (answer: Answer) => render(answer).content[0]?.text ?? "";

/** Everything that a value holds, down to texts and numbers. */
function leavesOf(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [String(value)];
  return Object.values(value).flatMap(leavesOf);
}

const session = (index: number) => ({
  session_name: `session-${index}`,
  session_id: `0b1e52c0-7a55-4d8e-9a6b-${String(index).padStart(12, "0")}`,
  can_continue: true,
  workflow_name: "architect",
  status: "completed",
  run_id: `206f7a9e-0d6a-4f0e-8a34-${String(index).padStart(12, "0")}`,
  runs: 3,
  turns: 12,
  cost_usd: 0.25,
  age_s: 1200,
  repository_url: "https://host.example/team/app.git",
  git_branch: "feature/login",
});

describe("the text of an answer", () => {
  it("calls plans what figures by template count", () => {
    const group = { name: "feature", runs: 4, succeeded: 3, failed: 1, killed: 0, cost_usd: 8, waited_s: 60 };
    const figures = { by: "template" as const, figure: "success" as const, days: 30, groups: [group] };
    const text = textOf({ outcome: "ok", summary: "4 plans have ended.", figures });
    expect(text).toContain("| template | plans | succeeded |\n| --- | --- | --- |\n| feature | 4 | 3 of 4 |");
  });

  it("tells all that the structure tells, for clients that show text only", () => {
    const answer: Answer = {
      outcome: "input_required",
      summary: "The run waits for an answer.",
      run: {
        run_id: "run-1",
        session_id: "conversation-1",
        session_name: "auth",
        workflow_name: "architect",
        status: "running",
        turn: 3,
        max_turns: 17,
        current_action: "Designing database schema",
        tokens: { total: 1301, input: 1203, output: 98 },
        tools_used: ["Read", "Grep"],
        result: "the result",
        phases_completed: ["plan"],
        questions: [
          {
            question_id: "question-1",
            kind: "permission",
            text: "May it do this?",
            tool_name: "Bash",
            detail: "npm publish",
            choices: [{ value: "allow", title: "Allow it once" }],
          },
          { question_id: "question-2", kind: "question", text: "Which database?", choices: [] },
        ],
      },
      missing: [
        {
          name: "git_branch",
          description: "Where to work",
          required: false,
          suggestion: "trunk",
          choices: [{ value: "main", title: "main, the default" }],
        },
      ],
      queue: { waiting: 41, added: 43, consumed: 2, oldest_age_s: 77 },
      cleanup: { success: false, removed: ["the worktree"], errors: ["a file was in use"] },
      api: { address: "http://host.example:28881", problem: "It was slow." },
      next: { action: "answer", arguments: { answer: "…" }, reason: "Ask the person." },
    };
    const text = textOf(answer);
    const { required, ...missing } = answer.missing?.[0] ?? {};
    const { success, ...cleanup } = answer.cleanup ?? {};
    for (const leaf of leavesOf({ ...answer, missing, cleanup })) expect(text).toContain(leaf);
    expect([required, success]).toEqual([false, false]);
    expect(text).toContain("git_branch (optional)");
    expect(text).toContain("no success reported");
  });

  it("says of an open question what kind it is and which tool it is about", () => {
    const text = textOf({
      outcome: "running",
      summary: "It waits.",
      run: {
        run_id: "run-1",
        workflow_name: "fix",
        status: "running",
        questions: [
          { question_id: "q1", kind: "permission", text: "May it?", tool_name: "Bash", choices: [] },
          { question_id: "q2", kind: "question", text: "Which one?", choices: [] },
        ],
      },
    });
    expect(text).toContain("q1 (permission, tool Bash): May it?");
    expect(text).toContain("q2 (question): Which one?");
  });

  it("gives a list of sessions whole as long as it is short", () => {
    const sessions = Array.from({ length: 20 }, (_, index) => session(index));
    const { structuredContent } = render({ outcome: "ok", summary: "20 sessions.", sessions });
    expect(structuredContent).toMatchObject({ summary: "20 sessions.", sessions });
  });

  it("cuts a long list of sessions in both forms alike, and says so", () => {
    const sessions = Array.from({ length: 200 }, (_, index) => session(index));
    const { structuredContent, content } = render({ outcome: "ok", summary: "200 sessions.", sessions });
    const shown = structuredContent.sessions as unknown[];
    expect(shown).toEqual(sessions.slice(0, shown.length));
    expect(shown.length).toBeGreaterThan(20);
    expect(structuredContent.summary).toContain(`only the first ${shown.length} are shown`);
    const text = content[0]?.text ?? "";
    expect(text.match(/^- session-/gm)).toHaveLength(shown.length);
    expect(text).toContain(`only the first ${shown.length} are shown`);
    // A result of a tool is cut by known clients at about 25,000 tokens.
    expect(text.length + JSON.stringify(structuredContent).length).toBeLessThan(45_000);
  });
});
