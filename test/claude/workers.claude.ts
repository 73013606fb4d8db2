import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { type ModelRequest, type ModelStep, serveScriptedAnthropic } from "../../mocks/scripted-anthropic.js";
import type { Body } from "../contract/upstream.js";
import { findPostgres, type PostgresServer, startPostgres } from "../support/postgres-server.js";
import { plainGit as git, makeRemoteRepository, worktreeOf } from "../support/remote-repository.js";
import { startWorker, type WorkerProcess } from "../support/workers.js";

// The real Claude Code as the agent of several workers that share a database. CLAUDE_CLI names the program.
const programs = await findPostgres();
const PATIENT = { timeout: 90_000, interval: 50 };

let postgres: PostgresServer;

/** A model that does what the last line of a person asks for. */
function playModel({ userTexts, step, tools }: ModelRequest): ModelStep {
  const wish = userTexts.at(-1)?.trim().split("\n").at(-1) ?? "";
  const steps: ModelStep[] = [];
  if (wish.includes("Add the login"))
    steps.push(
      { tools: [{ name: "Write", input: { file_path: "login.txt", content: "login\n" } }] },
      {
        tools: [
          {
            name: "Bash",
            input: {
              command: 'git add --all && git commit --quiet -m "Add the login"',
              description: "Commit",
            },
          },
        ],
      },
    );
  if (wish.includes("Ask me")) {
    const options = ["PostgreSQL", "SQLite"].map((label) => ({ label, description: label }));
    expect(tools).toContain("AskUserQuestion");
    steps.push({
      tools: [
        {
          name: "AskUserQuestion",
          input: {
            questions: [{ question: "Which database?", header: "Database", multiSelect: false, options }],
          },
        },
      ],
    });
  }
  if (wish.includes("Think long")) return { text: "Thought", delayMs: 600_000 };
  return steps[step] ?? { text: "Done" };
}

/** Workers whose machines reach the repository by ssh and share nothing but the database. */
async function openPlace() {
  const model = await serveScriptedAnthropic({ handler: playModel });
  onTestFinished(() => model.close());
  const database = await postgres.createDatabase();
  const { address, makeHome } = makeRemoteRepository();
  const open = () =>
    startWorker(database, { CLAUDE_PATH: process.env.CLAUDE_CLI ?? "claude" }, makeHome(), {
      PATH: process.env.PATH ?? "",
      ANTHROPIC_BASE_URL: model.url,
      ANTHROPIC_API_KEY: "sk-ant-test",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
    });
  return { model, open, address };
}

const untilAt = (at: WorkerProcess, runId: string, fits: (body: Body) => boolean): Promise<Body> =>
  vi.waitFor(async () => {
    const { body } = await at.get(`/run/${runId}/status`);
    if (!fits(body)) throw new Error(JSON.stringify(body));
    return body;
  }, PATIENT);
const hasEnded = ({ status }: Body) => ["completed", "failed", "killed"].includes(status);

describe.skipIf(!programs)("the real Claude Code on several workers", () => {
  beforeAll(async () => {
    postgres = await startPostgres(programs as string);
  });
  afterAll(() => postgres?.dispose());

  test("is answered and told things through another worker, and its session goes on there when its own is gone", async () => {
    const place = await openPlace();
    const a = await place.open();
    const first = await a.start({
      message: "Add the login",
      session_name: "login",
      repository_url: place.address,
    });
    expect(await untilAt(a, first.run_id, hasEnded)).toMatchObject({
      status: "completed",
      work: { branch: "automagik/login", commit_count: 1 },
    });
    const { session_id } = first;
    const tip = git(worktreeOf(a), "rev-parse", "HEAD");

    const b = await place.open();
    const asks = await b.start({ message: "Ask me", session_id });
    const { questions } = await untilAt(b, asks.run_id, (body) => body.questions?.length > 0);
    expect(questions[0].text ?? questions[0].question).toContain("Which database?");
    const path = `/run/${asks.run_id}/questions/${questions[0].question_id}/answer`;
    const answered = await b.post(path, { answer: "SQLite" });
    expect(answered.status).toBe(200);
    expect(await untilAt(b, asks.run_id, hasEnded)).toMatchObject({ status: "completed" });
    expect(place.model.requests.flatMap(({ toolResults }) => toolResults).at(-1)?.text).toContain("SQLite");

    const long = await b.start({ message: "Think long", session_id });
    await untilAt(
      b,
      long.run_id,
      () => place.model.requests.at(-1)?.userTexts.at(-1)?.includes("Think long") === true,
    );
    const agents = a.agents();
    expect(agents.length).toBeGreaterThan(0);
    const killedAt = performance.now();
    a.signal("SIGKILL");
    expect(await untilAt(b, long.run_id, hasEnded)).toMatchObject({ error_code: "interrupted" });
    await vi.waitFor(() => expect(a.agents()).toEqual([]), PATIENT);
    process.stdout.write(
      `The agent ended ${Math.round(performance.now() - killedAt)} ms after its worker.\n`,
    );

    const moved = await b.start({ message: "Go on", session_id });
    const ended = await untilAt(b, moved.run_id, hasEnded);
    expect(ended).toMatchObject({ status: "completed", work: { head_commit: tip, commit_count: 1 } });
    expect(ended.result.message).toContain(`goes on at worker`);
    expect(readdirSync(worktreeOf(b))).toContain("login.txt");
    expect(place.model.requests.at(-1)?.userTexts).toEqual([
      expect.stringContaining("This session goes on here from another machine"),
    ]);
  });
});
