import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { planStatus } from "../src/plans/machine/plan-status.js";
import { findChromium, keepScreenshot, openPage } from "./support/browser.js";
import { runToCommit } from "./support/committed-run.js";
import { createHome } from "./support/dashboard-home.js";
import { makeGitPlace } from "./support/git-place.js";
import {
  ASKS,
  ENGINE_KEY,
  openEngine,
  QUESTION,
  startLocalEngine,
  withScript,
} from "./support/local-engine.js";
import { GATED, HOSTILE, RELEASE } from "./support/shown-plans.js";
import { openStoredPlans } from "./support/stored-plans.js";
import { useBrowser } from "./support/use-browser.js";

// What a person does on the dashboard, in a real browser, from the link that the published bin prints.

const chromium = await findChromium();

/** Starts a run of the engine's by its API, as others do. */
async function startRun(engineUrl: string, message: string, name: string): Promise<void> {
  const started = await fetch(`${engineUrl}/api/v1/workflows/claude-code/run/implement`, {
    method: "POST",
    headers: { "x-api-key": ENGINE_KEY, "content-type": "application/json" },
    body: JSON.stringify({ message, input_format: "stream-json", session_name: name }),
  });
  expect(started.status).toBe(200);
}

describe.skipIf(!chromium)("the dashboard of the built bin, in a browser", () => {
  const browser = useBrowser(chromium);

  /** The page behind a link, which stays within its server and breaks no rule of its policy. */
  async function follow(link: string) {
    const { page, requests, complaints } = await openPage(browser.get(), link);
    onTestFinished(async () => {
      await page.context().close();
      const { origin } = new URL(link);
      expect(requests.filter((url) => !url.startsWith(`${origin}/dashboard/`) && url !== "data:,")).toEqual(
        [],
      );
      expect(complaints).toEqual([]);
    });
    await page.getByText("live", { exact: true }).waitFor();
    return page;
  }

  it("a gate is sent back with words, then approved, and its plan goes on", async () => {
    const served = await serveSimulatedApi({
      describe: true,
      branches: true,
      paceMs: 0,
      script: { result: `Done ${HOSTILE}`, actions: ["Working"], costUsd: 0.1 },
    });
    onTestFinished(() => served.close());
    const { home, openLink } = createHome(served.url);
    const plans = await openStoredPlans(home, served.url);
    const planId = await plans.begin(GATED);
    const page = await follow(await openLink());
    const card = page.getByRole("article", { name: "Build this design?" });
    // What is decided on stands on the card, and what the agent has said is set off as its words.
    const about = card.getByRole("region", { name: "What is decided on" });
    await about.getByText(/^Decided on:\s+- [0-9a-f]{7,10} on \S+/).waitFor();
    await about.getByText("design, its agent's words:").waitFor();
    expect(await about.getByRole("blockquote").innerText()).toBe(`Done ${HOSTILE}`);
    await card.getByRole("textbox").fill("With sessions, not tokens");
    await card.getByRole("textbox").press("Control+Enter");
    const agree = page.getByRole("dialog").getByRole("button", { name: /^yes/i });
    await agree.waitFor();
    // What is about to happen is said once, and as nothing that is thrown away.
    expect(await page.getByRole("dialog").getByText("Send back at gate ok").count()).toBe(1);
    expect(await agree.getAttribute("class")).not.toContain("danger");
    await agree.click();
    await plans.until(planId, (state) => (state.steps.ok?.decisions.length ?? 0) === 1);
    const opened = await plans.until(planId, (state) => state.steps.ok?.open !== undefined);
    expect(opened.steps.ok?.decisions[0]).toMatchObject({ via: "dashboard" });
    await page.goto(new URL(`#/plans/${planId}`, page.url()).href);
    // It is open again, so the step tells no decision.
    await page.getByRole("button", { name: /^ok\s+gate · opening 2\s+waiting for you/ }).waitFor();
    expect(await page.getByRole("region", { name: "Step ok" }).innerText()).not.toMatch(/sen[dt].back/);
    await page
      .getByRole("article", { name: "Build this design?" })
      .getByRole("button", { name: /approve/i })
      .click();
    await agree.click();
    await plans.until(planId, (state) => planStatus(state) === "completed");
    await page.locator("h1 ~ *, .title .status").filter({ hasText: "completed" }).first().waitFor();
    // What the agent has said stands there as text.
    await page.getByRole("button", { name: /^design/ }).click();
    expect(await page.locator("main img").count()).toBe(0);
    expect(await page.title()).not.toBe("taken");
    const row = page.getByRole("row", { name: /sent back/ });
    expect(await row.innerText()).toMatch(/With sessions, not tokens[\s\S]*dashboard/);
    // Ended runs are written into the history a moment later.
    await page.goto(new URL("#/figures", page.url()).href);
    const bar = page.getByRole("button", { name: /^architect/ }).first();
    await vi.waitFor(async () => {
      await page.reload();
      expect(await bar.innerText({ timeout: 5_000 })).toMatch(/^architect\s+2$/);
    }, 60_000);
    await bar.click();
    await page.getByRole("heading", { name: /^architect 2 runs/ }).waitFor();
  });

  it("a run is watched, told something, and killed after a yes", async () => {
    const served = await serveSimulatedApi({ describe: true, branches: true, paceMs: "manual" });
    onTestFinished(() => served.close());
    const page = await follow(await createHome(served.url).openLink());
    const { world } = served.api;
    const { runId } = world.start("implement", { message: "Do it", session_name: "watched" });
    await page.getByRole("link", { name: "watched" }).click();
    await page.getByRole("heading", { level: 1, name: "watched" }).waitFor();
    world.run(runId).turn(`Writes ${HOSTILE}`);
    await page.locator(".entry").getByText(`Writes ${HOSTILE}`).first().waitFor();
    await page.getByLabel("Feedback").fill("Use sessions");
    await page.getByRole("button", { name: "Send feedback" }).click();
    await vi.waitFor(() => expect(served.api.posts(/add-message/)).toHaveLength(1), 20_000);
    await page.getByRole("button", { name: "Kill…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: /^no/i }).click();
    await page.getByText("Not done.").first().waitFor();
    expect(served.api.posts(/kill/)).toHaveLength(0);
    await page.getByRole("button", { name: "Kill…" }).click();
    await dialog.getByRole("button", { name: /^yes/i }).click();
    await page.locator(".title .status").filter({ hasText: "killed" }).waitFor();
    expect(served.api.posts(/kill/)).toHaveLength(1);
  });

  it("a question of an agent is answered on the board", async () => {
    const engine = await openEngine();
    const page = await follow(await createHome(engine.url, ENGINE_KEY).openLink());
    await startRun(engine.url, ASKS, "asks");
    const card = page.getByRole("article", { name: QUESTION.question });
    await card.getByRole("button", { name: /SQLite/ }).click();
    await page.getByRole("status").filter({ hasText: "Nothing waits for you." }).waitFor();
    await page.getByRole("list", { name: "Ended today" }).getByRole("link", { name: "asks" }).click();
    await page.locator(".entry-answer").waitFor();
  });

  it("a run that waits for a free slot is counted in the queue, and not as running", async () => {
    const engine = await openEngine({ engineConcurrency: 1 });
    const page = await follow(await createHome(engine.url, ENGINE_KEY).openLink());
    const stays = withScript("Stay", { steps: [{ text: "Here" }, { hang: true }] });
    for (const name of ["first", "second"]) await startRun(engine.url, stays, name);
    const total = (name: string) => page.locator(".total").filter({ hasText: name });
    await total("in the queue").filter({ hasText: "1" }).waitFor();
    await total("running").filter({ hasText: "1" }).waitFor();
    await page.getByRole("list", { name: "Running" }).getByRole("link", { name: "first" }).waitFor();
  });

  it("what the agent of a plan's step asks is answered on the plan's page", async () => {
    const engine = await openEngine();
    const { home, openLink } = createHome(engine.url, ENGINE_KEY);
    const plans = await openStoredPlans(home, engine.url);
    const planId = await plans.begin({
      name: "storage",
      steps: [{ id: "choose", run: "implement", task: ASKS }],
    });
    const page = await follow(await openLink());
    await page.goto(new URL(`#/plans/${planId}`, page.url()).href);
    const card = page.getByRole("article", { name: QUESTION.question });
    await card.getByRole("button", { name: /SQLite/ }).click();
    await plans.until(planId, (state) => planStatus(state) === "completed");
    await page.locator(".title .status").filter({ hasText: "completed" }).waitFor();
    await page.getByRole("button", { name: /^choose/ }).click();
    await page
      .getByRole("region", { name: "Step choose" })
      .getByRole("link", { name: /choose/ })
      .click();
    await page.locator(".entry-answer").filter({ hasText: "SQLite" }).waitFor();
  });

  it("a plan is paused, goes on again, and goes on without a step that has failed", async () => {
    const served = await serveSimulatedApi({ describe: true, branches: true, paceMs: "manual" });
    onTestFinished(() => served.close());
    const { world } = served.api;
    const { home, openLink } = createHome(served.url);
    const plans = await openStoredPlans(home, served.url);
    const planId = await plans.begin({
      name: "release",
      steps: [
        { id: "notes", run: "architect", task: "Write the notes" },
        { id: "build", run: "implement", task: "Build it", needs: ["notes"] },
      ],
    });
    const page = await follow(await openLink());
    const runs = () => world.runs();
    await page.getByRole("link", { name: "release" }).first().click();
    await vi.waitFor(() => expect(runs()).toHaveLength(1), 20_000);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.locator(".title .status").filter({ hasText: "paused" }).waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.locator(".title .status").filter({ hasText: "running" }).waitFor();
    world.run(runs()[0]?.runId ?? "").fail("It has no idea");
    await plans.until(planId, ({ steps }) => steps.notes?.status === "failed");
    const step = page.getByRole("region", { name: "Step notes" });
    await page.getByRole("button", { name: /^notes/ }).click();
    const dialog = page.getByRole("dialog", { name: "Skip step notes?" });
    await step.getByRole("button", { name: "Skip…" }).click();
    await dialog.getByRole("button", { name: /^no/i }).click();
    expect((await plans.runner.look(planId))?.state.steps.notes?.status).toBe("failed");
    await step.getByRole("button", { name: "Skip…" }).click();
    await dialog.getByRole("button", { name: /^yes/i }).click();
    await vi.waitFor(() => expect(runs()).toHaveLength(2), 20_000);
    world.run(runs()[1]?.runId ?? "").complete({ result: "Done" });
    await plans.until(planId, (state) => planStatus(state) === "completed");
    await page.locator(".title .status").filter({ hasText: "completed" }).waitFor();
    expect(runs()).toHaveLength(2);
  });

  it("a step whose start was lost is done again on the board with words, and one that is blocked is skipped there", async () => {
    const served = await serveSimulatedApi({ describe: true, branches: true, paceMs: 0 });
    onTestFinished(() => served.close());
    const { api } = served;
    api.fault({ method: "POST", path: /\/run\// }, { drop: "before" }, 1);
    const { home, openLink } = createHome(served.url);
    const plans = await openStoredPlans(home, served.url);
    const planId = await plans.begin(RELEASE);
    const page = await follow(await openLink());
    const lost = page.getByRole("article", { name: /^Nobody knows whether its run was started/ });
    await lost.getByText(/It would be a run of the session \S*notes/).waitFor();
    await keepScreenshot(page, "lost");
    const dialog = page.getByRole("dialog");
    await lost.getByLabel(/to be different/).fill("In English");
    await lost.getByRole("button", { name: "Do again…" }).click();
    await dialog.getByText(/the same is paid for twice/).waitFor();
    await dialog.getByRole("button", { name: /^no/i }).click();
    await page.getByText("Not done.").first().waitFor();
    expect(api.world.runs()).toHaveLength(0);
    await lost.getByLabel(/to be different/).press("Control+Enter");
    await dialog.getByRole("button", { name: /^yes/i }).click();
    await lost.waitFor({ state: "detached" });
    const blocked = page.locator(".need-blocked");
    await blocked.getByText("build", { exact: true }).waitFor();
    expect(api.world.runs().map(({ body }) => String(body.message))).toEqual([
      expect.stringContaining("In English"),
    ]);
    await blocked.getByRole("button", { name: "Skip…" }).click();
    await dialog.getByRole("button", { name: /^no/i }).click();
    expect((await plans.runner.look(planId))?.state.steps.build?.status).toBe("blocked");
    await blocked.getByRole("button", { name: "Skip…" }).click();
    await dialog.getByRole("button", { name: /^yes/i }).click();
    await page.getByRole("status").filter({ hasText: "Nothing waits for you." }).waitFor();
    await plans.until(planId, (state) => planStatus(state) === "completed");
    expect(api.world.runs()).toHaveLength(1);
  });

  it("the work of a run is merged into the repository after a yes, and what is left of it thrown away", async () => {
    const place = makeGitPlace();
    const engine = await startLocalEngine(join(place.folder, "engine"), {
      engineAllowedFolders: [place.folder],
    });
    onTestFinished(async () => {
      await engine.close();
      place.remove();
    });
    const page = await follow(await createHome(engine.url, ENGINE_KEY).openLink());
    await runToCommit(engine.url, place.source);
    const git = (...args: string[]) => place.git(place.source, ...args);
    const before = git("rev-parse", "main");
    await page.getByRole("list", { name: "Ended today" }).getByRole("link", { name: "login" }).click();
    await page.getByRole("tab", { name: /Diff/ }).click();
    await page.locator(".diff-add").getByText("login").first().waitFor();
    const dialog = page.getByRole("dialog");
    const take = async (answer: RegExp) => {
      await page.getByRole("button", { name: "Take…" }).click();
      await dialog.getByRole("button", { name: "Go on…" }).click();
      await dialog.getByRole("heading", { name: /^Merge the work of/ }).waitFor();
      await dialog.getByRole("button", { name: answer }).click();
    };
    await take(/^no/i);
    await page.getByText("Not done.").first().waitFor();
    expect(git("rev-parse", "main")).toBe(before);
    await take(/^yes/i);
    const notices = page.locator(".notices");
    await vi.waitFor(async () => expect(await notices.innerText()).toContain("Merged into main"), 30_000);
    expect(git("log", "--format=%s", "main")).toContain("Add the login");
    const facts = page.locator("dl").first();
    await vi.waitFor(async () => expect(await facts.innerText()).toMatch(/merged into\s+main/i), 30_000);
    const branches = () => git("branch", "--list", "--all");
    const kept = branches();
    await page.getByRole("button", { name: "Discard…" }).click();
    await dialog.getByRole("button", { name: /^no/i }).click();
    await dialog.waitFor({ state: "hidden" });
    expect(branches()).toBe(kept);
    await page.getByRole("button", { name: "Discard…" }).click();
    await dialog.getByRole("button", { name: /^yes/i }).click();
    await page.getByRole("button", { name: "Discard…" }).waitFor({ state: "detached" });
    expect(git("log", "--format=%s", "main")).toContain("Add the login");
  });
});
