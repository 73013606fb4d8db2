import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { serveScriptedAnthropic } from "../../mocks/scripted-anthropic.js";
import { closeWindow, createMachine } from "../support/one-machine.js";

// What the real Claude Code keeps by the folder that it works in, when another session gets that folder's path. Within
// one state folder no path is given twice; one that was deleted and begun anew forgets. CLAUDE_CLI names the program.
const CLAUDE = process.env.CLAUDE_CLI ?? "claude";

test("a session in a folder that another one had has neither its conversation nor what was allowed there", async () => {
  const model = await serveScriptedAnthropic({
    handler: ({ step }) =>
      step === 0
        ? { tools: [{ name: "Bash", input: { command: "npm publish", description: "Publish" } }] }
        : { text: "Seen" },
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
  const begin = async (message: string) => {
    const window = await openWindow({
      onForm: ({ message: form }) => {
        asked.push(form);
        return { action: "accept", content: { answer: "deny" } };
      },
    });
    const place = { session_name: "login", repository_url: repository, git_branch: "main" };
    const { data } = await window.call(
      { workflow_name: "implement", message, ...place },
      { timeoutMs: 60_000 },
    );
    expect(data.outcome).toBe("completed");
    await closeWindow(window);
    await engine("stop");
    const worktrees = join(home, "engine", "workspaces", "worktrees");
    return join(worktrees, readdirSync(worktrees)[0] ?? "");
  };
  const first = await begin("The first one's secret task");
  expect(asked).toHaveLength(1);
  const file = join(home, ".claude.json");
  const known = JSON.parse(readFileSync(file, "utf8"));
  const allowed = { allowedTools: ["Bash", "Bash(npm publish:*)"], hasTrustDialogAccepted: true };
  writeFileSync(file, JSON.stringify({ ...known, projects: { ...known.projects, [first]: allowed } }));
  rmSync(join(home, "engine"), { recursive: true });
  for (const name of readdirSync(home)) if (name.startsWith("automagik.db")) rmSync(join(home, name));

  model.requests.length = 0;
  expect(await begin("Another task")).toBe(first);
  expect(asked).toHaveLength(2);
  const seen = JSON.stringify(model.requests);
  expect(seen).toContain("Another task");
  expect(seen).not.toContain("secret task");
});
