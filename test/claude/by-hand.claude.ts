import { exec } from "node:child_process";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { serveScriptedAnthropic } from "../../mocks/scripted-anthropic.js";
import { COMPLETE } from "../support/harness.js";
import { closeWindow, createMachine } from "../support/one-machine.js";

// What the answer at a run's end says for going on in a terminal, done with the real Claude Code. CLAUDE_CLI names it.
const CLAUDE = process.env.CLAUDE_CLI ?? "claude";

test("the command of an answer goes on with the agent's conversation by hand, in the session's worktree", async () => {
  const model = await serveScriptedAnthropic({
    script: [
      [
        { tools: [{ name: "Write", input: { file_path: "login.md", content: "JWT\n" } }] },
        {
          tools: [
            {
              name: "Bash",
              input: { command: "git add -A && git commit -q -m Login", description: "Commit" },
            },
          ],
        },
        { text: "Designed" },
      ],
      [{ text: "By hand" }],
    ],
  });
  onTestFinished(() => model.close());
  const env = {
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: "sk-ant-test",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
  };
  const { home, repository, openWindow, engine } = createMachine({ claudePath: CLAUDE, env });
  const onForm = () => ({ action: "accept" as const, content: { answer: "allow_run" } });
  const window = await openWindow({ onForm });
  const { data } = await window.call(
    { ...COMPLETE, workflow_name: "implement", message: "Design the login", repository_url: repository },
    { timeoutMs: 120_000 },
  );
  expect(data).toMatchObject({ outcome: "completed", run: { work: { commit_count: 1 } } });
  const { resume } = data.run.work;
  expect(resume).toMatch(/^cd \S+ && claude --resume \S+$/);

  const byHand = `${resume.replace("&& claude", `&& '${CLAUDE}'`)} -p "Go on by hand"`;
  // Not while this process waits for it: the model is served here.
  const { stdout } = await promisify(exec)(`${byHand} < /dev/null`, {
    env: { PATH: process.env.PATH, HOME: home, ...env },
  });
  expect(stdout.trim()).toBe("By hand");
  expect(model.requests.at(-1)?.userTexts).toEqual(
    expect.arrayContaining(["Design the login", "Go on by hand"]),
  );
  await closeWindow(window);
  await engine("stop");
});
