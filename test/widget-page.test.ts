import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type ServeOptions, serveSimulatedApi } from "../mocks/serve.js";
import { BIN, temporaryFolder, toVariables } from "./support/bin.js";
import { findChromium, keepScreenshot } from "./support/browser.js";
import { ERA_CLIENTS } from "./support/era-clients.js";
import { COMPLETE, type InMemoryOptions, until } from "./support/harness.js";
import { ASKS, ENGINE_KEY, openEngine, QUESTION, withScript } from "./support/local-engine.js";
import { endAll, processesWith } from "./support/one-machine.js";
import { connectForPlans } from "./support/plan-chat.js";
import { GATED, HOSTILE, RELEASE } from "./support/shown-plans.js";
import { useBrowser } from "./support/use-browser.js";
import { showWidget } from "./support/widget-host.js";

const chromium = await findChromium();

it("the widget is one file of at most 60 KB, compressed, that names no other address", () => {
  const html = readFileSync(fileURLToPath(new URL("../dist/widget/widget.html", import.meta.url)));
  expect(gzipSync(html).length).toBeLessThan(60 * 1024);
  const text = html.toString();
  expect(text).toContain("default-src 'none'; script-src 'sha256-");
  // Names of kinds of elements, which nothing is asked for.
  const namespaces = /http:\/\/www\.w3\.org\/(1999\/xhtml|2000\/svg|1998\/Math\/MathML)/g;
  expect(text.replace(namespaces, "")).not.toMatch(/https?:\/\/|<link|<script[^>]+src|@import|url\(/);
});

describe.skipIf(!chromium)("the widget in a host on the official app-bridge, in a browser", () => {
  const browser = useBrowser(chromium);

  async function open(api: ServeOptions = {}, options: InMemoryOptions = {}) {
    const served = await serveSimulatedApi({ describe: true, branches: true, apiKey: "test-key", ...api });
    onTestFinished(() => served.close());
    const chat = await connectForPlans({ widgets: true, ...options, settings: { BASE_URL: served.url } });
    return { ...chat, world: served.api.world, api: served.api };
  }

  async function startRun(chat: Awaited<ReturnType<typeof open>>) {
    const given = { action: "run", ...COMPLETE, wait_seconds: 0 };
    const result = await chat.client.callTool({ name: "orchestrate_workflow", arguments: given });
    const { run_id: runId } = (result.structuredContent as { run: { run_id: string } }).run;
    return { given, result, runId };
  }

  it("shows a run as it goes on, sends it feedback, and kills it only after a yes to the chat's own form", async () => {
    let agrees = "no";
    const chat = await open(
      { paceMs: "manual" },
      { onForm: () => ({ action: "accept", content: { confirm: agrees } }) },
    );
    const { given, result, runId } = await startRun(chat);
    const shown = await showWidget(browser.get(), chat.client);
    const { widget } = shown;
    await shown.tell(given, result);
    await widget.getByRole("heading", { name: COMPLETE.session_name }).waitFor();
    chat.world.run(runId).turn(`Writes ${HOSTILE}`);
    await widget.getByText(`Writes ${HOSTILE}`).waitFor();
    expect(await widget.locator("img").count()).toBe(0);
    await widget.getByLabel("Feedback").fill("Use sessions");
    await widget.getByRole("button", { name: "Send feedback" }).click();
    await vi.waitFor(() => expect(chat.api.posts(/add-message/)).toHaveLength(1), 20_000);
    await keepScreenshot(shown.page, "widget-run");
    await widget.getByRole("button", { name: "Kill…" }).click();
    await widget.getByText("Not done.").waitFor();
    expect(chat.api.posts(/kill/)).toHaveLength(0);
    agrees = "yes";
    await widget.getByRole("button", { name: "Kill…" }).click();
    await widget.locator(".card-head .status").filter({ hasText: "killed" }).waitFor();
    expect(chat.api.posts(/kill/)).toHaveLength(1);
    expect(chat.forms.map(({ message }) => message.split(" ")[0])).toEqual(["Kill", "Kill"]);
    // What the person has done, the model learns; what was not done, it does not.
    await vi.waitFor(() => expect(shown.news).toHaveLength(2), 20_000);
    expect(shown.news[1]).toMatch(/^In the widget the person has done this \(kill\)/);
    expect(await shown.page.title()).toBe("A chat");
    expect([shown.requests, shown.complaints]).toEqual([[], []]);
  });

  it("where the chat has no forms, asks in the widget what the server wants agreed to", async () => {
    const chat = await open({ paceMs: "manual" });
    const { given, result } = await startRun(chat);
    const shown = await showWidget(browser.get(), chat.client);
    await shown.tell(given, result);
    const { widget } = shown;
    await widget.getByRole("button", { name: "Kill…" }).click();
    const dialog = widget.getByRole("dialog");
    await dialog.getByText(COMPLETE.session_name).first().waitFor();
    await keepScreenshot(shown.page, "widget-agreement");
    await dialog.getByRole("button", { name: "No", exact: true }).click();
    await widget.getByText("You did not agree. Nothing was sent.").waitFor();
    expect(chat.api.posts(/kill/)).toHaveLength(0);
    await widget.getByRole("button", { name: "Kill…" }).click();
    await dialog.getByRole("button", { name: /^yes/i }).click();
    await widget.locator(".card-head .status").filter({ hasText: "killed" }).waitFor();
    expect(shown.calls.filter((call) => call.arguments.confirm === true)).toHaveLength(1);
  });

  it("sends a plan back at its gate with words, then approves it, and shows it to its end", async () => {
    const chat = await open(
      { paceMs: 0, script: { result: `Done ${HOSTILE}`, actions: ["Working"], costUsd: 0.1 } },
      { onForm: () => ({ action: "accept", content: { confirm: "yes" } }) },
    );
    const begun = await chat.begin(GATED);
    const planId = begun.data.plan.plan_id;
    const shown = await showWidget(browser.get(), chat.client, { theme: "dark" });
    const { widget } = shown;
    await shown.tell({ action: "status", plan_id: planId });
    const card = widget.getByRole("article", { name: "Build this design?" });
    await card.waitFor();
    const about = card.getByRole("region", { name: "What is decided on" });
    expect(await about.getByRole("blockquote").innerText()).toBe(`Done ${HOSTILE}`);
    await keepScreenshot(shown.page, "widget-gate-dark", true);
    await card.getByRole("textbox").fill("With sessions, not tokens");
    await card.getByRole("button", { name: "Send back" }).click();
    await until(() => chat.world.runs().length === 2, "the design to be done again");
    await card.getByRole("button", { name: "Approve" }).click();
    await widget.locator(".card-head .status").filter({ hasText: "completed" }).waitFor();
    const tasks = chat.world.runs().map(({ body }) => String(body.message));
    expect(tasks).toHaveLength(3);
    expect(tasks[1]).toContain("With sessions, not tokens");
    expect(await widget.locator("img").count()).toBe(0);
    await keepScreenshot(shown.page, "widget-plan-dark");
    expect([shown.requests, shown.complaints]).toEqual([[], []]);
    // Nothing is asked any more of what has ended, but for what was under way.
    await vi.waitFor(async () => {
      const looked = shown.calls.length;
      await shown.page.waitForTimeout(2_500);
      expect(shown.calls).toHaveLength(looked);
    }, 20_000);
  });

  it("stays up to date when a busy browser tells at once that it was out of sight and is in sight", async () => {
    const chat = await open({ paceMs: "manual" });
    const { given, result, runId } = await startRun(chat);
    const shown = await showWidget(browser.get(), chat.client, undefined, async (page) => {
      await page.addInitScript(`window.IntersectionObserver = class extends IntersectionObserver {
        constructor(tell) {
          super((seen) => tell([{ isIntersecting: false }, ...seen]));
        }
      };`);
    });
    await shown.tell(given, result);
    await shown.widget.getByRole("heading", { name: COMPLETE.session_name }).waitFor();
    const looked = shown.calls.length;
    await until(() => shown.calls.length >= looked + 2, "it to look again by itself");
    chat.world.run(runId).turn("Goes on");
    await shown.widget.getByText("Goes on").waitFor();
  });

  it("asks again when its client has lost an answer, and shows none that comes after a newer one", async () => {
    const chat = await open({ paceMs: "manual" });
    const { given, result, runId } = await startRun(chat);
    const turn = (action: string) => chat.world.run(runId).turn(action);
    let loses = false;
    let release = () => {};
    const late = new Promise<void>((resolve) => {
      release = resolve;
    });
    const client: Parameters<typeof showWidget>[1] = {
      readResource: (what) => chat.client.readResource(what),
      async callTool(call) {
        const isLost = loses;
        loses = false;
        const answer = await chat.client.callTool(call);
        if (isLost) await late;
        return answer;
      },
    };
    const shown = await showWidget(browser.get(), client, undefined, (page) => page.clock.install());
    const { widget, page } = shown;
    turn("First");
    await shown.tell(given, result);
    await widget.getByText("First").waitFor();
    const card = widget.locator(".card");
    await card.evaluate(`(() => {
      window.told = [];
      const action = document.querySelector(".card-action");
      const changes = { childList: true, characterData: true, subtree: true };
      new MutationObserver(() => window.told.push(action.textContent)).observe(action, changes);
    })()`);
    const looked = shown.calls.length;
    loses = true;
    await until(() => shown.calls.length > looked, "the look whose answer is lost");
    turn("Second");
    await page.clock.fastForward(30_000);
    await widget.getByText("Not up to date: the client gives no answer. It is asked again.").waitFor();
    await page.clock.fastForward(10_000);
    await widget.getByText("Second").waitFor();
    expect(await widget.locator(".problem").count()).toBe(0);
    release();
    turn("Third");
    await widget.getByText("Third").waitFor();
    expect(await card.evaluate("window.told")).toEqual(["Second", "Third"]);
  });

  it("is dark or light as the chat is, whatever the browser is", async () => {
    const chat = await open({ paceMs: "manual" });
    const { given, result } = await startRun(chat);
    const shown = await showWidget(browser.get(), chat.client, { theme: "dark" });
    await shown.tell(given, result);
    const ground = () =>
      shown.widget.locator("body").evaluate("getComputedStyle(document.body).backgroundColor");
    await shown.widget.getByRole("heading", { name: COMPLETE.session_name }).waitFor();
    expect(await ground()).toBe("rgb(26, 29, 33)");
    await shown.change({ theme: "light" });
    await vi.waitFor(async () => expect(await ground()).toBe("rgb(255, 255, 255)"), 20_000);
    await shown.change({ theme: "dark" });
    await vi.waitFor(async () => expect(await ground()).toBe("rgb(26, 29, 33)"), 20_000);
  });

  it("shows a run that is just being started before its call has an answer", async () => {
    const chat = await open({ paceMs: "manual" });
    const shown = await showWidget(browser.get(), chat.client);
    await shown.tell({ action: "run", ...COMPLETE });
    await startRun(chat);
    await shown.widget.getByRole("heading", { name: COMPLETE.session_name }).waitFor();
  });

  it("shows what an answer says that is about no run and no plan", async () => {
    const chat = await open();
    const shown = await showWidget(browser.get(), chat.client);
    const given = { action: "list_workflows" };
    const result = await chat.client.callTool({ name: "orchestrate_workflow", arguments: given });
    await shown.tell(given, result);
    await shown.widget.getByText(/\d+ workflows/).waitFor();
    expect(shown.calls).toEqual([]);
  });

  describe.each(ERA_CLIENTS.filter(([name]) => name !== "SDK v2, auto"))(
    "of the built bin, in a chat with %s",
    (_name, connect, version) => {
      /** A chat with the engine whose agents ask, and the person who answers its forms with yes or no. */
      async function openChat() {
        const engine = await openEngine();
        const home = temporaryFolder();
        onTestFinished(() => endAll(processesWith(home)));
        const own = { STATE_DIR: home, BASE_URL: engine.url, API_KEY: ENGINE_KEY, POLLING_INTERVAL: "0.2" };
        const env = {
          PATH: process.env.PATH ?? "",
          HOME: home,
          ...toVariables({ ...own, ERA: "auto", NOTIFY: "off" }),
        };
        const chat = await connect({ command: process.execPath, args: [BIN], env }, { widgets: true });
        onTestFinished(() => chat.close());
        expect(chat.version).toBe(version);
        const person = { says: "yes" };
        chat.answer = () => ({ action: "accept", content: { confirm: person.says } });
        return { chat, person };
      }

      it("the question of a run is answered by a button, and its agent goes on with that", async () => {
        const { chat } = await openChat();
        const given = { action: "run", ...COMPLETE, message: ASKS, wait_seconds: 0 };
        const result = await chat.call(given);
        const shown = await showWidget(browser.get(), chat.client);
        await shown.tell(given, result);
        const card = shown.widget.getByRole("article", { name: QUESTION.question });
        await card.getByRole("button", { name: /SQLite/ }).click();
        await shown.widget.locator(".card-head .status").filter({ hasText: "completed" }).waitFor();
        expect(shown.calls.filter((call) => call.arguments.answer !== undefined)).toMatchObject([
          { arguments: { run_id: result.structuredContent.run.run_id, answer: "SQLite" } },
        ]);
        await vi.waitFor(() => expect(shown.news).toHaveLength(1), 20_000);
        expect(shown.news[0]).toMatch(/^In the widget the person has done this \(answer\)/);
        expect([shown.requests, shown.complaints]).toEqual([[], []]);
      });

      it("the question of a plan's agent is answered, and the plan is killed only after a yes", async () => {
        const { chat, person } = await openChat();
        const stays = withScript("Stay", { steps: [{ text: "Here" }, { hang: true }] });
        const plan = {
          name: "storage",
          steps: [
            { id: "choose", run: "implement", task: ASKS },
            { id: "build", run: "implement", task: stays, needs: ["choose"] },
          ],
        };
        const begun = await chat.call({
          ...{ action: "plan", plan, session_name: "storage", repository_url: "", git_branch: "" },
          wait_seconds: 0,
        });
        const { plan_id } = begun.structuredContent.plan;
        const shown = await showWidget(browser.get(), chat.client);
        const { widget } = shown;
        await shown.tell({ action: "status", plan_id });
        await widget
          .getByRole("article", { name: QUESTION.question })
          .getByRole("button", { name: /SQLite/ })
          .click();
        const build = widget.getByRole("listitem").filter({ hasText: "build" });
        await build.locator(".status").filter({ hasText: "running" }).waitFor();
        await keepScreenshot(shown.page, "widget-plan-kill");
        const status = widget.locator(".card-head .status");
        const asked = chat.forms.length;
        person.says = "no";
        await widget.getByRole("button", { name: "Kill…" }).click();
        await widget.getByText("Not done.").waitFor();
        expect(await status.innerText()).toContain("running");
        person.says = "yes";
        await widget.getByRole("button", { name: "Kill…" }).click();
        await status.filter({ hasText: "killed" }).waitFor();
        expect(chat.forms.slice(asked).map(({ message }) => message.split(" ")[0])).toEqual(["Kill", "Kill"]);
        const { structuredContent: told } = await chat.call({ action: "status", plan_id, wait_seconds: 0 });
        expect(told.plan).toMatchObject({ status: "killed", runs: { started: 2 } });
        expect(shown.news.at(-1)).toMatch(/^In the widget the person has done this \(kill\)/);
        expect([shown.requests, shown.complaints]).toEqual([[], []]);
      });
    },
  );

  it("does a step of a plan again whose start was lost, with words, and skips one that is blocked", async () => {
    const chat = await open(
      { paceMs: 0 },
      { onForm: () => ({ action: "accept", content: { confirm: "yes" } }) },
    );
    chat.api.fault({ method: "POST", path: /\/run\// }, { drop: "before" }, 1);
    const begun = await chat.begin(RELEASE);
    const shown = await showWidget(browser.get(), chat.client);
    const { widget } = shown;
    await shown.tell({ action: "status", plan_id: begun.data.plan.plan_id });
    const lost = widget.getByRole("article", { name: /^Nobody knows whether its run was started/ });
    await lost.getByLabel(/to be different/).fill("In English");
    await lost.getByRole("button", { name: "Do again…" }).click();
    const blocked = widget.locator(".need-blocked");
    await blocked.getByRole("button", { name: "Skip…" }).click();
    const dialog = widget.getByRole("dialog", { name: "Skip step build?" });
    await dialog.getByRole("button", { name: "No, leave it" }).click();
    await dialog.waitFor({ state: "detached" });
    await blocked.getByRole("button", { name: "Skip…" }).click();
    await dialog.getByRole("button", { name: "Yes, skip it" }).click();
    await widget.locator(".card-head .status").filter({ hasText: "completed" }).waitFor();
    expect(chat.world.runs().map(({ body }) => String(body.message))).toEqual([
      expect.stringContaining("In English"),
    ]);
    expect(chat.forms.map(({ message }) => message)).toEqual([expect.stringContaining("paid for twice")]);
    expect(shown.calls.filter((call) => call.arguments.change !== undefined)).toHaveLength(2);
  });
});
