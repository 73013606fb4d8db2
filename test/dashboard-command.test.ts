import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Libsql from "libsql";
import { expect, onTestFinished, test, vi } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import type { BoardView } from "../src/dashboard/views/board.js";
import type { RunDetail } from "../src/dashboard/views/run.js";
import { planStatus } from "../src/plans/machine/plan-status.js";
import { createDatabaseSessionStore } from "../src/sessions/store/database-session-store.js";
import { runBin, temporaryFolder, toVariables } from "./support/bin.js";
import { openDashboard } from "./support/dashboard.js";
import { createHome } from "./support/dashboard-home.js";
import { ENGINE_KEY, engineFolder, QUESTION, startLocalEngine, withScript } from "./support/local-engine.js";
import { processesWith } from "./support/one-machine.js";
import { openStoredPlans } from "./support/stored-plans.js";

// The command `dashboard` of the published bin, and the process in the background that serves it.

const LIMIT_MS = 60_000;

async function createPlace() {
  const served = await serveSimulatedApi({
    describe: true,
    branches: true,
    paceMs: 0,
    script: { result: "Done", actions: ["Working"], costUsd: 0.1 },
  });
  onTestFinished(() => served.close());
  return { ...createHome(served.url), served };
}

const GATED = {
  name: "login",
  steps: [
    { id: "design", run: "architect", task: "Design the login" },
    { id: "ok", gate: "Build this design?", needs: ["design"] },
    { id: "build", run: "implement", needs: ["ok"], from: "design", task: "Build it" },
  ],
};

test(
  "the process that carries plans out serves the dashboard, and an approval there lets its plan go on",
  async () => {
    const { home, openLink, served } = await createPlace();
    const plans = await openStoredPlans(home, served.url);
    const planId = await plans.begin(GATED);
    const link = await openLink();
    const page = await openDashboard(link);
    await plans.until(planId, (state) => planStatus(state) === "waiting");
    const live = await page.listen("?plan=login");
    const { needs } = await live
      .next("board", (board) => board.needs.length > 0)
      .catch(async () => {
        return page.get<BoardView>("board");
      });
    const [need] = needs;
    expect(need).toMatchObject({ kind: "gate", plan: "login", step: "ok" });
    const asked = await page.act("answer", { ...need?.call?.arguments, answer: "approve" });
    expect(await page.say(asked, { confirm: "yes" })).toMatchObject({ outcome: "ok" });
    const ended = await plans.until(planId, (state) => planStatus(state) === "completed");
    expect(ended.steps.ok?.decisions).toEqual([
      expect.objectContaining({ decision: "approve", via: "dashboard" }),
    ]);
    await live.next("plan", ({ status }) => status === "completed");
  },
  LIMIT_MS,
);

test(
  "without a key, as `install` leaves it, it is the dashboard of this machine's engine",
  async () => {
    const { home, openLink } = createHome("", "");
    const page = await openDashboard(await openLink());
    const { problem, running } = await page.get<BoardView>("board");
    expect(problem).toBeUndefined();
    expect(running).toEqual([]);
    const { url } = JSON.parse(readFileSync(join(home, "engine", "engine.json"), "utf8"));
    expect(await page.get("session")).toMatchObject({ api: new URL(url).origin });
  },
  LIMIT_MS,
);

test(
  "`engine stop` ends the process behind the dashboard of another API, unless it has an open plan",
  async () => {
    const { home, openLink, served } = await createPlace();
    const stop = () => runBin(["engine", "stop"], { HOME: home, ...toVariables({ STATE_DIR: home }) });
    await openLink();
    expect(processesWith(home)).toHaveLength(1);
    expect(await stop()).toMatchObject({ code: 0 });
    await vi.waitFor(() => expect(processesWith(home)).toEqual([]), 20_000);

    const plans = await openStoredPlans(home, served.url);
    const planId = await plans.begin(GATED);
    await openLink();
    await plans.until(planId, (state) => planStatus(state) === "waiting");
    const { stdout } = await stop();
    expect(stdout).toMatch(/^Process \d+ goes on with plans of a workflows API elsewhere: "login"/m);
    expect(processesWith(home)).toHaveLength(1);
  },
  LIMIT_MS,
);

test(
  "each link is another one at the same place, opens once, and no file has its code",
  async () => {
    const { home, openLink } = await createPlace();
    const [first, second] = [await openLink(), await openLink()];
    expect(new URL(first).origin).toBe(new URL(second).origin);
    expect(new URL(first).hostname).toBe("127.0.0.1");
    const codes = [first, second].map((link) => new URL(link).searchParams.get("code") ?? "");
    expect(codes[0]).not.toBe(codes[1]);
    for (const code of codes) expect(code).toMatch(/^[\w-]{43}$/);
    for (const name of readdirSync(home, { recursive: true, encoding: "utf8" })) {
      const text =
        existsSync(join(home, name)) && /\.(json|log|html)$/.test(name)
          ? readFileSync(join(home, name), "utf8")
          : "";
      for (const code of codes) expect(`${name} ${text}`).not.toContain(code);
    }
    await openDashboard(first);
    await expect(openDashboard(first)).rejects.toThrow("opened before");
    await openDashboard(second);
    expect((await fetch(`${new URL(first).origin}/dashboard/api/board`)).status).toBe(401);
    expect((await fetch(`${new URL(first).origin}/mcp`, { method: "POST" })).status).toBe(404);
  },
  LIMIT_MS,
);

test(
  "what an agent asks is answered on the board, and reaches its run once",
  async () => {
    const place = engineFolder();
    const engine = await startLocalEngine(place.folder);
    onTestFinished(async () => {
      await engine.close();
      place.remove();
    });
    const { openLink } = createHome(engine.url, ENGINE_KEY);
    const page = await openDashboard(await openLink());
    const live = await page.listen();
    await live.next("board");
    const steps = [
      { tools: [{ name: "AskUserQuestion", input: { questions: [QUESTION] } }] },
      { tools: [{ name: "Bash", input: { command: "npm publish" } }] },
      { text: "Done" },
    ];
    const started = await fetch(`${engine.url}/api/v1/workflows/claude-code/run/implement`, {
      method: "POST",
      headers: { "x-api-key": ENGINE_KEY, "content-type": "application/json" },
      body: JSON.stringify({
        message: withScript("Do it", { steps }),
        input_format: "stream-json",
        session_name: "asks",
      }),
    });
    const begun = (await started.json()) as { run_id: string };
    expect(started.status, JSON.stringify(begun)).toBe(200);
    const { run_id: runId } = begun;
    const { needs } = await live.next("change", (one) => one.needs?.set[0]?.kind === "question");
    const [question] = needs?.set ?? [];
    expect(question).toMatchObject({ title: QUESTION.question, session: "asks", runId });
    const answer = { ...question?.call?.arguments, answer: "SQLite" };
    const [given, again] = await Promise.all([page.act("answer", answer), page.act("answer", answer)]);
    const outcomes = [given, again].map((call) => (call.state === "done" ? call.outcome : call.state));
    expect(outcomes.sort()).toEqual(["failed", "ok"]);
    const permission = await live.next("change", (one) =>
      Boolean(one.needs?.set.some(({ kind }) => kind === "permission")),
    );
    const asked = permission.needs?.set.find(({ kind }) => kind === "permission");
    const allow = asked?.choices.find(({ weighty }) => weighty)?.value;
    const form = await page.act("answer", { ...asked?.call?.arguments, answer: allow });
    // What permits something is agreed to by its own form, with the whole command.
    expect(form).toMatchObject({ state: "form", form: { message: expect.stringContaining("npm publish") } });
    expect(await page.say(form)).toMatchObject({ outcome: "declined" });
    expect(await page.act("answer", { ...asked?.call?.arguments, answer: "deny" })).toMatchObject({
      outcome: "ok",
    });
    await live.next("change", (one) => one.ended?.set[0]?.runId === runId);
    const { log, may } = await page.get<RunDetail>(`runs/${runId}`);
    expect(log.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(["status", "turn", "question", "answer", "end"]),
    );
    expect(log.filter(({ kind }) => kind === "answer").map(({ text }) => text)).toEqual([
      "Answered in the dashboard: SQLite",
      "Denied in the dashboard",
    ]);
    expect(may).toContain("diff");
  },
  LIMIT_MS,
);

test(
  "the process stays as long as a page is open, and ends when nobody looks and no plan is open",
  async () => {
    const served = await serveSimulatedApi({ describe: true });
    onTestFinished(() => served.close());
    const homes = ["1", "2"].map(() => createHome(served.url, "test-key", { ENGINE_IDLE_TIMEOUT: "10" }));
    const [watched, left] = await Promise.all(
      homes.map(async ({ home, openLink }) => ({ home, page: await openDashboard(await openLink()) })),
    );
    if (!watched || !left) throw new Error("There are two homes.");
    const live = await watched.page.listen();
    await live.next("board");
    const isGone = (home: string) => vi.waitFor(() => expect(processesWith(home)).toEqual([]), 30_000);
    await left.page.leave();
    await isGone(left.home);
    expect(await watched.page.get("session")).toMatchObject({ caller: "local" });
    await watched.page.leave();
    expect(await live.next("bye")).toMatchObject({ why: expect.stringContaining("open a new link") });
    await isGone(watched.home);
  },
  LIMIT_MS,
);

test(
  "where sessions are shared by servers the command says whom to ask, and starts nothing",
  async () => {
    const { code, stdout } = await runBin(["dashboard"], {
      HOME: temporaryFolder(),
      ...toVariables({ API_KEY: "test-key", DATABASE: "postgres://127.0.0.1:1/team" }),
    });
    expect(code).toBe(1);
    expect(stdout).toContain("POST /dashboard/link");
  },
  LIMIT_MS,
);

test(
  "of a database that a newer version has changed the command says so at once, and starts nothing",
  async () => {
    const stateFolder = temporaryFolder();
    const store = createDatabaseSessionStore({ folder: stateFolder, upstream: "http://a.test" });
    await store.list();
    await store.close();
    const db = new Libsql(join(stateFolder, "automagik.db"));
    db.exec("insert into schema_migrations (name, release, applied_at) values ('900-later', '9.1.0', 1)");
    db.close();
    const { code, stderr } = await runBin(["dashboard", "--no-open"], {
      HOME: temporaryFolder(),
      ...toVariables({ API_KEY: "test-key", STATE_DIR: stateFolder }),
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/changed by version 9\.1\.0 .*Update this one/);
    expect(existsSync(join(stateFolder, "plan-drivers"))).toBe(false);
  },
  LIMIT_MS,
);
