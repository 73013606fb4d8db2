import { type ChildProcess, execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it, onTestFinished } from "vitest";
import { createAutomaticAnswerer, createKeyboardAnswerer, type Field } from "../src/cli/demo/answer-form.js";
import { createScreen } from "../src/cli/demo/screen.js";
import { tellStory } from "../src/cli/demo/story.js";
import { SUPER_TOOL } from "../src/server/tools/registry.js";
import { temporaryFolder } from "./support/bin.js";
import { startAtTerminal, startDemo, waitForText } from "./support/demo.js";
import { asLongAs } from "./support/patient.js";

const ESCAPE = "\u001b";

function childrenOf({ pid }: ChildProcess): number[] {
  const rows = existsSync("/proc/self/stat")
    ? readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .map((name) => [name, readParent(name)])
    : execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" })
        .split("\n")
        .map((line) => line.trim().split(/\s+/));
  return rows.filter(([, parent]) => Number(parent) === pid).map(([child]) => Number(child));
}

function readParent(pid: string): string | undefined {
  try {
    // The name before the parenthesis may hold anything, what follows is the state and the parent.
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[1];
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("the demo without a terminal", () => {
  it("tells the whole story in order and leaves nothing behind", { timeout: 40_000 }, async () => {
    const folder = temporaryFolder();
    const startedAt = Date.now();
    const { child, read, ended, shows } = startDemo({
      TMPDIR: folder,
      // The person's own settings are not the demo's.
      AUTOMAGIK_WORKFLOWS_BASE_URL: "http://127.0.0.1:1",
      AUTOMAGIK_WORKFLOWS_TOOLSET: "named",
    });
    await shows("Turn 1/10");
    const children = childrenOf(child);
    expect(children).toHaveLength(1);
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^automagik-workflows-demo-/)]);

    expect(await ended).toBe(0);
    expect(Date.now() - startedAt).toBeLessThan(await asLongAs(30_000));
    expect(read.stderr).toBe("");
    expect(children.filter(isAlive)).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);

    const parts = [
      "architect  Design system architecture",
      '"Design the JWT login for my app"',
      '"workflow_name":"architect"',
      "Session name: A name to find the work again by.",
      "> design-jwt-login-app",
      "Repository (optional)",
      "Branch (optional)",
      "Turn 1/10: ",
      "Turn 3/10: Designing database schema\n",
      "Turn 5/10: ",
      '"Make sure to include refresh token rotation"',
      "The server answers: Delivered: ",
      "Turn 10/10: ",
      "JWT login: the design",
      "Taken up on the way: Make sure to include refresh token rotation",
      "Outcome: completed",
      "session design-jwt-login-app",
      '"Build it: the token service and the endpoints at the same time',
      // A plan is looked at now and then: which of a step's turns is seen is chance.
      "split: Turn ",
      "The plan needs the person, and asks by a form",
      "jwt-login: Build these parts?",
      "> approve",
      "split ✓ · ok ✓ · build 2/2 ✓ · $0.59 of $5.00\n",
      "The plan: completed",
      "The API was simulated",
      "AUTOMAGIK_WORKFLOWS_BASE_URL",
    ];
    const told = read.stdout;
    expect(parts.filter((part) => !told.includes(part))).toEqual([]);
    const places = parts.map((part) => told.indexOf(part));
    expect(places).toEqual([...places].sort((one, other) => one - other));
    expect(told).not.toContain(ESCAPE);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("leaves nothing behind when it is stopped by %s", async (signal, code) => {
    const folder = temporaryFolder();
    const { child, read, ended, shows } = startDemo({ TMPDIR: folder });
    await shows("Turn 1/10");
    const children = childrenOf(child);
    expect(children).toHaveLength(1);
    child.kill(signal);
    expect(await ended).toBe(code);
    expect(read.stderr).toBe("The demo was stopped.\n");
    expect(children.filter(isAlive)).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("ends by itself when nobody reads what it shows", async () => {
    const folder = temporaryFolder();
    const { child, read, ended, shows } = startDemo({ TMPDIR: folder });
    await shows("The person says");
    const children = childrenOf(child);
    child.stdout?.destroy();
    expect(await ended).toBe(1);
    expect(read.stderr).toBe("");
    expect(children.filter(isAlive)).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("says what failed in one plain line, with exit code 1", async () => {
    const missing = join(temporaryFolder(), "missing");
    const { read, ended } = startDemo({ TMPDIR: missing });
    expect(await ended).toBe(1);
    expect(read.stderr).toMatch(/^The demo failed: .*missing.*\n$/);
  });
});

it("waits for the workflows of a server that does not know them yet", async () => {
  const server = new Server(
    { name: "late", version: "1" },
    { capabilities: { tools: { listChanged: true } } },
  );
  let lists = 0;
  server.setRequestHandler(ListToolsRequestSchema, () => {
    const known = { enum: ["architect"], description: "architect: Design" };
    const workflow_name = ++lists === 1 ? { description: "Being read." } : known;
    if (lists === 1) setImmediate(() => void server.sendToolListChanged());
    const inputSchema = { type: "object" as const, properties: { workflow_name } };
    return { tools: [{ name: SUPER_TOOL, inputSchema }] };
  });
  server.setRequestHandler(CallToolRequestSchema, () => ({
    content: [{ type: "text", text: "Done" }],
    structuredContent: { outcome: "completed", run: { result: "The design" } },
  }));
  const [ofClient, ofServer] = InMemoryTransport.createLinkedPair();
  await server.connect(ofServer);
  const client = new Client({ name: "demo", version: "1" }, { capabilities: { elicitation: {} } });
  onTestFinished(() => client.close());
  const output = new PassThrough();
  const screen = createScreen(output as unknown as NodeJS.WriteStream, {});
  const signal = new AbortController().signal;
  const plot = { task: "Design", request: { message: "Design" } };
  const connect = () => client.connect(ofClient);
  const answerer = createAutomaticAnswerer(screen);
  expect(await tellStory({ client, connect, screen, answerer, signal, plot })).toBe(true);
  expect(String(output.read())).toContain("architect  Design");
  expect(lists).toBe(2);
});

describe("the demo at a terminal", () => {
  it("takes what is typed, asks again for what the server refuses, and redraws one bar", {
    timeout: 40_000,
  }, async () => {
    const { answer, ended, screen, errors, folder } = startAtTerminal();
    await answer("[design-jwt-login-app] >", "auth-system");
    await answer("Repository (optional)", "not a repository");
    await answer("Branch (optional)", "");
    await answer("[design-jwt-login-app] >", "auth-system");
    await answer("Repository (optional)", "");
    await answer("Branch (optional)", "");
    await answer("Approve: the plan goes on", "2");
    await ended;
    const shown = screen();
    expect(errors()).toBe("");
    expect(shown).toContain("The plan: completed");
    expect(shown).toContain("`repository_url`: ");
    expect(shown).toContain("Outcome: completed");
    expect(shown).toContain("session auth-system");
    expect(shown.match(/Turn \d+\/10/g)).toEqual(["Turn 10/10"]);
    expect(shown.indexOf("The server answers: Delivered: ")).toBeLessThan(shown.indexOf("Turn 10/10"));
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    ["declined", "/decline"],
    ["cancelled", "/cancel"],
  ])("starts nothing when the form is %s", async (outcome, typed) => {
    const { answer, ended, screen, errors, folder } = startAtTerminal();
    await answer("[design-jwt-login-app] >", typed);
    await ended;
    expect(errors()).toBe("");
    expect(screen()).toContain(`Outcome: ${outcome}\n`);
    expect(screen()).toMatch(/Nothing was\s+sent/);
    expect(screen()).not.toContain("The run\n");
    expect(readdirSync(folder)).toEqual([]);
  });

  it("takes the end of the input for a closed form", async () => {
    const { answer, ended, input, screen } = startAtTerminal();
    await answer("[design-jwt-login-app] >", "auth-system");
    input.end();
    await ended;
    expect(screen()).toContain("Outcome: cancelled");
  });

  it("stops on Ctrl-C while the form is open", async () => {
    const { answer, ended, errors, folder } = startAtTerminal();
    await answer("[design-jwt-login-app] >", "\u0003");
    expect(await ended).toBe(130);
    expect(errors()).toBe("The demo was stopped.\n");
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("a form with choices", () => {
  const field: Field = {
    name: "git_branch",
    title: "Branch",
    description: "Branch to work on.",
    required: true,
    suggestion: undefined,
    choices: [
      { value: "main", title: "main (default branch)" },
      { value: "next", title: "next" },
    ],
  };

  function createTerminal() {
    const input = new PassThrough() as unknown as NodeJS.ReadStream & PassThrough;
    const output = new PassThrough() as unknown as NodeJS.WriteStream & PassThrough;
    const screen = createScreen(output, {});
    return { input, output, screen, shown: () => String(output.read() ?? "") };
  }

  it.each([
    ["by number", "2", "next"],
    ["by name", "main", "main"],
    ["again after what is none", "3\n\n1", "main"],
  ])("is answered %s", async (_how, typed, git_branch) => {
    const { input, output, screen } = createTerminal();
    const answerer = createKeyboardAnswerer({ input, output, screen, interrupt: () => {} });
    const answer = answerer.answer([field], new AbortController().signal);
    for (const line of typed.split("\n")) {
      await waitForText(() => String(output.read() ?? ""), "> ");
      input.write(`${line}\n`);
    }
    expect(await answer).toEqual({ action: "accept", content: { git_branch } });
  });

  it("takes the first one where nobody can type, and shows it", async () => {
    const { screen, shown } = createTerminal();
    const answer = await createAutomaticAnswerer(screen).answer([field], new AbortController().signal);
    expect(answer).toEqual({ action: "accept", content: { git_branch: "main" } });
    expect(shown()).toContain("  2. next\n  > main\n");
  });
});
