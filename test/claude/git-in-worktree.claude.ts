import { readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type ModelStep, serveScriptedAnthropic } from "../../mocks/scripted-anthropic.js";
import { closeWindow, createMachine, git } from "../support/one-machine.js";

// What the real Claude Code asks about git in a session's worktree. CLAUDE_CLI names the program.
const CLAUDE = process.env.CLAUDE_CLI ?? "claude";
const LOOKING = [
  "git log",
  "git log --oneline -5",
  "git status",
  "git status --short",
  "git diff",
  "git diff HEAD",
];

const bash = (command: string): ModelStep => ({
  tools: [{ name: "Bash", input: { command, description: "A look" } }],
});

test.each(["review", "architect"])(
  "%s may look at its worktree's git without asking, also in a clone that was moved",
  async (workflow_name) => {
    const model = await serveScriptedAnthropic({
      handler: ({ step }) => (LOOKING[step] ? bash(LOOKING[step]) : { text: "Seen" }),
    });
    onTestFinished(() => model.close());
    const { home, repository, openWindow, engine } = createMachine({
      claudePath: CLAUDE,
      env: {
        ANTHROPIC_BASE_URL: model.url,
        ANTHROPIC_API_KEY: "sk-ant-test",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        DISABLE_AUTOUPDATER: "1",
      },
    });
    const asked: string[] = [];
    const look = async (more: Record<string, string>) => {
      const window = await openWindow({
        onForm: ({ message }) => {
          asked.push(message);
          return { action: "accept", content: { answer: "deny" } };
        },
      });
      model.requests.length = 0;
      const { data } = await window.call({ workflow_name, message: "Look", ...more }, { timeoutMs: 60_000 });
      expect(data.outcome).toBe("completed");
      const results = model.requests.flatMap(({ toolResults }) => toolResults);
      await closeWindow(window);
      return results.map(({ isError }) => isError);
    };
    const none = LOOKING.map(() => false);
    expect(await look({ session_name: "looks", repository_url: repository, git_branch: "main" })).toEqual(
      none,
    );
    expect(asked).toEqual([]);

    await engine("stop");
    const clones = join(home, "engine", "workspaces", "repositories");
    const [name = ""] = readdirSync(clones);
    renameSync(join(clones, name, ".git"), join(clones, name, "git"));
    git(join(clones, name, "git"), "worktree", "repair");
    expect(await look({ continue_session: "looks" })).toEqual(none);
    expect(asked).toEqual([]);
    expect(readdirSync(join(clones, name))).toContain(".git");
    await engine("stop");
  },
);
