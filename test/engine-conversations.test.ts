import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { type Body, type ContractClient, createContractClient } from "./contract/upstream.js";
import { connectInMemory } from "./support/harness.js";
import { ENGINE_KEY, engineFolder, startLocalEngine, withScript } from "./support/local-engine.js";

// Each has several runs, some with a worktree, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let place: ReturnType<typeof engineFolder>;
let repository: string;
let engine: LocalEngine;
let direct: ContractClient;

beforeAll(async () => {
  place = engineFolder();
  repository = join(place.folder, "repository");
  mkdirSync(repository);
  git("init", "--quiet", "--initial-branch=main");
  git("commit", "--quiet", "--allow-empty", "-m", "Begin");
  engine = await startLocalEngine(place.folder, { engineAllowedFolders: [repository] });
  direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
});
afterAll(async () => {
  await engine.close();
  place.remove();
});

function git(...args: string[]): void {
  const author = ["-c", "user.name=A", "-c", "user.email=a@host.example"];
  execFileSync("git", ["-C", repository, ...author, ...args], { stdio: "ignore" });
}

/** Starts a run whose agent does this. */
function start(message: string, steps: object[], fields: Record<string, unknown> = {}): Promise<Body> {
  return direct.start({ message: withScript(message, { steps }), ...fields });
}

/** Where the scripted agent keeps a conversation. */
const transcript = (sessionId: string) => join(place.folder, ".scripted-agent", `${sessionId}.json`);
/** What persons have said in a conversation. */
function saidIn(sessionId: string): string[] {
  const { messages } = JSON.parse(readFileSync(transcript(sessionId), "utf8"));
  return messages.map((text: string) => text.split("\n")[0]);
}
const NO_CREDIT = { result: { is_error: true, result: "Credit balance is too low" } };
const DONE = { text: "Done" };

describe("a session whose first run failed before its first turn", () => {
  it("is continued where the agent had begun a conversation", async () => {
    const { run_id, session_id } = await start("One", [NO_CREDIT]);
    expect(await direct.ended(run_id)).toMatchObject({ status: "failed", current_turn: 0 });
    const second = await start("Two", [DONE], { session_id });
    expect(await direct.ended(second.run_id)).toMatchObject({ status: "completed" });
    expect(saidIn(session_id)).toEqual(["One", "Two"]);
  });

  it("is begun anew where the agent kept nothing of it", async () => {
    const { run_id, session_id } = await start("One", [NO_CREDIT]);
    await direct.ended(run_id);
    rmSync(transcript(session_id));
    const second = await start("Two", [DONE], { session_id });
    expect(await direct.ended(second.run_id)).toMatchObject({ status: "completed" });
    expect(saidIn(session_id)).toEqual(["Two"]);
  });

  it("is continued where nobody knew that there was a conversation, and messages come after all", async () => {
    const { run_id, session_id } = await start("One", [DONE], {
      repository_url: join(repository, "none"),
    });
    expect(await direct.ended(run_id)).toMatchObject({ status: "failed" });
    mkdirSync(join(place.folder, ".scripted-agent"), { recursive: true });
    writeFileSync(transcript(session_id), JSON.stringify({ messages: ["Before"], costUsd: 0 }));
    const second = await start("Two", [{ listen: 1 }, DONE], { session_id, repository_url: repository });
    await direct.post(`/run/${second.run_id}/add-message`, {
      message_type: "user",
      content: "Three",
    });
    expect(await direct.ended(second.run_id)).toMatchObject({ status: "completed" });
    expect(saidIn(session_id)).toEqual(["Before", "Two", "Three"]);
  });
});

describe("a run that has failed", () => {
  async function fail(result: object) {
    const { run_id, session_id } = await start("One", [{ text: "Begun" }, { result }], {
      session_name: "the-work",
    });
    const status = await direct.ended(run_id);
    const { call } = await connectInMemory({ settings: { API_KEY: ENGINE_KEY, BASE_URL: engine.url } });
    const { data } = await call({ action: "status", run_id, detailed: true });
    return { run_id, session_id, status, data, call };
  }

  it.each([
    ["context_full", { is_error: true, result: "Prompt is too long", terminal_reason: "prompt_too_long" }],
    ["no_credit", { is_error: true, result: "Credit balance is too low" }],
    ["not_logged_in", { is_error: true, result: "Invalid API key · Please run /login" }],
    ["usage_limit", { is_error: true, result: "Claude AI usage limit reached|1764360000" }],
    ["overloaded", { is_error: true, result: "API Error: 529 Overloaded." }],
    [
      "cost_limit",
      { subtype: "error_max_budget_usd", is_error: true, errors: ["Reached maximum budget ($1)"] },
    ],
    ["model_refused", { is_error: false, stop_reason: "refusal", result: "I cannot help with that." }],
  ])("says why in plain words, and offers a step that can work: %s", async (code, result) => {
    const { status, data } = await fail(result);
    expect(status).toMatchObject({ status: "failed", error_code: code });
    expect(status.error_message).not.toMatch(/success|ended with/);
    expect(status.error_message).toContain("Claude Code says:");
    const { arguments: step } = data.next_step;
    expect(step).toMatchObject({ action: "run", workflow_name: "implement" });
    expect(step.continue_session).toBe(code === "context_full" ? "" : "the-work");
  });

  it("has failed at its turn limit: nothing is merged, and its session goes on", async () => {
    const { run_id, session_id } = await start("One", [{ text: "Begun" }, { text: "Done" }], {
      repository_url: repository,
      max_turns: 1,
      auto_merge: true,
    });
    const status = await direct.ended(run_id);
    expect(status).toMatchObject({ status: "failed", error_code: "turn_limit", result: { success: false } });
    expect(status.error_message).toBe(
      "The turn limit of 1 was reached before the agent had finished. Continue the session to go on.",
    );
    const next = await start("Two", [DONE], { session_id });
    expect(await direct.ended(next.run_id)).toMatchObject({ status: "completed" });
  });

  it("is the end of a session whose conversation is full: nothing continues it, and nothing offers to", async () => {
    const { run_id, session_id, call } = await fail({ is_error: true, result: "Prompt is too long" });
    const { sessions } = (await call({ action: "list_sessions", active_only: false })).data;
    const listed = sessions.filter((one: Body) => one.run_id === run_id);
    expect(listed).toMatchObject([{ session_name: "the-work", status: "failed", can_continue: false }]);
    for (const target of [{ run_id }, { session_id }]) {
      const { data } = await call({ action: "feedback", message: "Go on", ...target });
      expect(data.summary).toMatch(
        /^Nothing was sent: .* cannot be continued either: its conversation is full/,
      );
      expect(data.next_step.arguments).toMatchObject({ action: "run", continue_session: "" });
    }
    const count = async () => (await direct.get("/runs?page_size=1")).body.total;
    const before = await count();
    const wanted = { workflow_name: "implement", message: "Go on", session_id, wait_seconds: 0 };
    const refused = await call({ action: "run", ...wanted });
    expect(refused.data.summary).toMatch(/cannot be continued: its conversation is full.*Nothing was sent/);
    const body = { message: "Go on", input_format: "stream-json", session_id };
    expect(await direct.post("/run/implement", body)).toMatchObject({
      status: 409,
      body: {
        detail: expect.stringMatching(/cannot be continued: its conversation is full.*Nothing was started/),
      },
    });
    expect(await count()).toBe(before);
  });

  it("says that a conversation is gone, and does not begin another one in silence", async () => {
    const { run_id, session_id } = await start("One", [DONE]);
    await direct.ended(run_id);
    rmSync(transcript(session_id));
    const second = await start("Two", [DONE], { session_id });
    expect(await direct.ended(second.run_id)).toMatchObject({
      status: "failed",
      error_code: "transcript_gone",
      error_message: expect.stringContaining("Start a new session"),
    });
    expect(existsSync(transcript(session_id))).toBe(false);
  });

  it("is not said to have succeeded when the agent gives no reason that is known", async () => {
    const { status } = await fail({ is_error: true, result: "Something odd" });
    expect(status.error_message).toBe("The agent's last request to the model failed: Something odd");
    expect(status).not.toHaveProperty("error_code");
  });
});

describe("work in the background of an agent", () => {
  it("keeps the run open: it may ask, and messages are taken, until it is done", async () => {
    const publish = { tools: [{ name: "Bash", input: { command: "npm publish" } }] };
    const { run_id } = await start("One", [
      { background: [{ listen: 1 }, publish], name: "Release" },
      { text: "Begun" },
    ]);
    await direct.until(run_id, ({ current_action }) => /background/.test(current_action ?? ""));
    const added = await direct.post(`/run/${run_id}/add-message`, {
      message_type: "user",
      content: withScript("Go", { steps: [{ text: "Heard" }] }),
    });
    expect(added.status).toBe(200);
    const { questions } = await direct.until(run_id, ({ waiting_for }) => waiting_for === "question");
    const path = `/run/${run_id}/questions/${questions[0].question_id}/answer`;
    expect(await direct.post(path, { answer: "allow_once" })).toMatchObject({ status: 200 });
    const status = await direct.ended(run_id);
    expect(status).toMatchObject({ status: "completed", result: { final_output: "Release is done" } });
  });
});

describe("leave for the run, of several requests that are the same", () => {
  it("is asked for once", async () => {
    const view = (n: number) => ({
      tools: [{ name: "Bash", input: { command: "npm view thing" } }],
      name: `${n}`,
    });
    const { run_id } = await start("One", [
      { background: [view(1)] },
      { background: [view(2)] },
      { background: [view(3)] },
      { text: "Begun" },
    ]);
    const { questions } = await direct.until(run_id, (status) => status.questions?.length === 3);
    const path = `/run/${run_id}/questions/${questions[1].question_id}/answer`;
    await direct.post(path, { answer: "allow_run" });
    expect(await direct.ended(run_id)).toMatchObject({ status: "completed" });
    const { body } = await direct.get(`/run/${run_id}/questions`);
    expect(body.questions.map((one: Body) => [one.answer, one.answered_by])).toEqual(
      Array.from({ length: 3 }, () => ["allow_run", "person"]),
    );
  });
});

describe("a repository's instructions", () => {
  it("are not given to the agent where they are links out of the repository, and the person is told", async () => {
    const secret = join(place.folder, "secret.txt");
    writeFileSync(secret, "SECRET");
    writeFileSync(join(repository, "AGENTS.md"), "Rules");
    mkdirSync(join(repository, ".claude", "rules"), { recursive: true });
    symlinkSync("../AGENTS.md", join(repository, ".claude", "CLAUDE.md"));
    symlinkSync(secret, join(repository, "CLAUDE.md"));
    symlinkSync(secret, join(repository, ".claude", "rules", "more.md"));
    git("add", ".");
    git("commit", "--quiet", "-m", "Add instructions");
    const { run_id } = await start(
      "One",
      [{ tools: [{ name: "Bash", input: { command: "echo one" } }] }, DONE],
      {
        repository_url: repository,
      },
    );
    const { result } = await direct.ended(run_id);
    expect(result.final_output).toContain(
      ".claude/rules/more.md, CLAUDE.md are links to a place outside the repository",
    );
    expect(result.final_output).not.toContain(".claude/CLAUDE.md");
  });
});
