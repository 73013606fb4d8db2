import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "./support/bin.js";
import { startAtTerminal, startDemo } from "./support/demo.js";
import { SCRIPTED_AGENT } from "./support/local-engine.js";
import { processesWith } from "./support/one-machine.js";

describe("the demo with a real agent", () => {
  const ask = {
    question: "In which language?",
    header: "Language",
    multiSelect: false,
    options: [
      { label: "English", description: "" },
      { label: "Latin", description: "" },
    ],
  };
  const bash = (command: string) => ({ tools: [{ name: "Bash", input: { command }, run: true }] });
  const script = [
    { ask: [ask] },
    { tools: [{ name: "Write", input: { file_path: "GREETING.md", content: "Hello" } }] },
    bash("git add GREETING.md && git commit --quiet --message Greet && git log --format=%s"),
    bash("touch not-asked-for"),
    { text: "Greeted." },
  ];
  const claude = { AUTOMAGIK_WORKFLOWS_CLAUDE_PATH: SCRIPTED_AGENT, SCRIPTED_AGENT: JSON.stringify(script) };

  it("says what it costs, runs, answers what an agent may be answered unattended, and leaves nothing", {
    timeout: 40_000,
  }, async () => {
    const folder = temporaryFolder();
    const { read, ended } = startDemo(
      { ...claude, TMPDIR: folder, HOME: temporaryFolder(), GIT_DIR: "/nowhere" },
      ["--engine", "--yes"],
    );
    expect(await ended).toBe(0);
    expect(read.stderr).toBe("");
    const parts = [
      "Found Claude Code 2.1.332",
      "costs money",
      "at most 0.50 USD",
      "The server asks by a form for what is missing",
      "The agent asks, by a form of the server",
      "In which language?",
      "> English",
      "wants to run `touch not-asked-for`",
      "> deny",
      "Greeted.",
      "Outcome: completed",
      "The run was real",
    ];
    expect(parts.filter((part) => !read.stdout.includes(part))).toEqual([]);
    const places = parts.map((part) => read.stdout.indexOf(part));
    expect(places).toEqual([...places].sort((one, other) => one - other));
    expect(read.stdout).not.toContain("simulated");
    expect(readdirSync(folder)).toEqual([]);
    expect(processesWith(folder)).toEqual([]);
  });

  it.each([
    ["there is none", { AUTOMAGIK_WORKFLOWS_CLAUDE_PATH: "/nowhere/claude" }, "Claude Code was not found"],
    ["it is not logged in", { ...claude, SCRIPTED_AGENT_LOGGED_OUT: "1" }, "not logged in"],
    ["nobody can be asked", claude, "With --yes it starts without asking."],
  ])("is not started when %s", async (_why, env, said) => {
    const folder = temporaryFolder();
    const { read, ended } = startDemo({ ...env, TMPDIR: folder, HOME: folder }, ["--engine"]);
    expect(await ended).toBe(1);
    expect(read.stdout).toContain(said);
    expect(read.stdout).toContain("Nothing was started");
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is not started when the person at the terminal says no", async () => {
    const { answer, ended, screen, errors, folder } = startAtTerminal({
      env: { PATH: process.env.PATH },
      engine: { claudePath: SCRIPTED_AGENT, yes: false },
    });
    await answer("Start it? [y/N]", "");
    await ended;
    expect(errors()).toBe("");
    expect(screen()).toContain("Nothing was started, and nothing was paid.");
    expect(readdirSync(folder)).toEqual([]);
  });
});
