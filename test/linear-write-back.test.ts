import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type FakeLinear, serveFakeLinear } from "../mocks/integrations/linear.js";
import type { FakeIssue } from "../mocks/integrations/linear-world.js";
import { serveSimulatedApi } from "../mocks/serve.js";
import { listTargets } from "../src/integrations/list-targets.js";
import { createNotifier } from "../src/notices/notifier.js";
import { progressOfPlan } from "../src/plan-runner/plan-issue.js";
import type { PlanState } from "../src/plans/machine/state.js";
import { createSecrets } from "../src/settings/secrets.js";
import { type Clock, systemClock } from "../src/shared/clock.js";
import type { LinkedIssue } from "../src/shared/linked-issue.js";
import { temporaryFolder } from "./support/bin.js";
import { decide, hasEnded, isAtGate, openDrivenPlans } from "./support/driven-plans.js";
import { silentLog, until } from "./support/harness.js";
import { ENGINE_KEY, engineFolder, QUESTION, startLocalEngine, withScript } from "./support/local-engine.js";
import { type StoredDelivery, storedDeliveries } from "./support/notices.js";
import { planOf } from "./support/plan-place.js";
import { openPullRequestPlace } from "./support/pull-request-place.js";
import { createSkippingClock } from "./support/skipping-clock.js";

// What an issue of Linear is told of the work on it, by the processes that carry it out.

const KEY = "lin_api_of_the_test";

let fake: FakeLinear;
let issue: FakeIssue;
let link: LinkedIssue;
beforeEach(async () => {
  fake = await serveFakeLinear({ key: KEY });
  onTestFinished(() => fake.close());
  issue = fake.world.addIssue(fake.world.addTeam("ENG", "Engineering"), "Log in fails");
  link = { tracker: "linear", id: issue.id, identifier: issue.identifier, url: issue.url };
});

const settings = () => ({ linearApiKey: KEY, linearUrl: fake.url });
const comments = () => issue.comments.map(({ body }) => body);
const told = (folder: string) => storedDeliveries(folder).map(({ kind, state }) => `${kind} ${state}`);

describe("a run of this machine's engine", () => {
  function place() {
    const { folder, remove } = engineFolder();
    onTestFinished(remove);
    return folder;
  }

  async function open(folder: string, more: object = settings(), clock: Clock = systemClock) {
    const engine = await startLocalEngine(folder, more, {}, { clock });
    let isOpen = true;
    const close = async () => {
      if (isOpen) await engine.close();
      isOpen = false;
    };
    onTestFinished(close);
    return { url: engine.url, close };
  }

  async function start(url: string, steps: object[], linked: unknown = link) {
    const response = await fetch(`${url}/api/v1/workflows/claude-code/run/fix?temp_workspace=true`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": ENGINE_KEY },
      body: JSON.stringify({
        message: withScript("Go", { steps }),
        session_name: "log-in",
        input_format: "stream-json",
        linked_issue: linked,
      }),
    });
    return response;
  }

  it("moves its issue once and keeps one comment there, from its beginning over its questions to its result", async () => {
    const { url } = await open(place());
    await start(url, [{ ask: [QUESTION] }, { text: "It was the cookie. See [here](https://evil.example)" }]);
    await until(() => comments()[0]?.includes("waits for a person") === true, "the question");
    expect(comments()[0]).toContain(QUESTION.question);
    const [run] = ((await get(url, "/runs")).runs as { run_id: string }[]) ?? [];
    const status = await get(url, `/run/${run?.run_id}/status`);
    const [{ question_id }] = status.questions as [{ question_id: string }];
    await post(url, `/run/${run?.run_id}/questions/${question_id}/answer`, { answer: "SQLite" });
    await until(() => comments()[0]?.includes("finished") === true, "the end");
    expect(comments()).toHaveLength(1);
    expect(comments()[0]).toContain("```text\nIt was the cookie. See [here](https://evil.example)\n```");
    expect(issue.moves).toEqual(["In Progress"]);
  });

  it("tells why it has failed", async () => {
    const { url } = await open(place());
    await start(url, [
      { result: { subtype: "error_during_execution", is_error: true, errors: ["The *build* is broken"] } },
    ]);
    await until(() => comments()[0]?.includes("Why it has failed") === true, "the failure");
    expect(comments()).toHaveLength(1);
  });

  it("goes on while Linear is away, and Linear hears of its end afterwards", async () => {
    const folder = place();
    fake.fail("States", { kind: "status", status: 503 });
    fake.fail("Comment", { kind: "status", status: 503 });
    const clock = createSkippingClock();
    const { url } = await open(folder, settings(), clock);
    await start(url, [{ text: "Done" }]);
    await until(() => told(folder).join() === "comment pending,start pending", "Linear to be away");
    await until(() => storedDeliveries(folder).every(({ note }) => note?.includes("503")), "both tries");
    clock.skip(6_000);
    await until(() => comments()[0]?.includes("finished") === true, "the end");
    await until(() => told(folder).join() === "comment sent,start sent", "all to be told");
    expect(issue.moves).toEqual(["In Progress"]);
    expect(comments()).toHaveLength(1);
  });

  it("has its comment once, and told as that, where Linear makes it late", async () => {
    const folder = place();
    fake.fail("CreateComment", { kind: "late" });
    const clock = createSkippingClock();
    const { url } = await open(folder, settings(), clock);
    await start(url, [{ text: "Done" }]);
    const isLost = ({ kind, tries, note }: StoredDelivery) =>
      kind === "comment" && tries === 1 && note !== null;
    await until(() => storedDeliveries(folder).some(isLost), "the lost answer");
    await until(
      () => storedDeliveries(folder).some(({ payload }) => payload.includes("finished")),
      "the end",
    );
    clock.skip(6_000);
    await until(() => told(folder).join() === "comment sent,start sent", "all to be told");
    expect(comments()).toEqual([expect.stringContaining("finished")]);
  });

  it("is told by the next engine where the first had no key, and once", async () => {
    const folder = place();
    const first = await open(folder, {});
    await start(first.url, [{ text: "Done" }]);
    await until(() => told(folder).length === 2, "what is to be told");
    await until(
      () => storedDeliveries(folder).some(({ payload }) => payload.includes("finished")),
      "its end",
    );
    await first.close();
    expect(comments()).toEqual([]);
    await open(folder);
    await until(() => told(folder).join() === "comment sent,start sent", "all to be told");
    expect(comments()).toEqual([expect.stringContaining("finished")]);
    expect(issue.moves).toEqual(["In Progress"]);
  });

  it("is refused with an issue that is none", async () => {
    const { url } = await open(place());
    for (const wrong of [
      { ...link, url: "javascript:alert(1)" },
      { ...link, identifier: "x" },
      { tracker: "linear" },
    ])
      expect((await start(url, [{ text: "Done" }], wrong)).status).toBe(422);
  });

  const headers = { "content-type": "application/json", "x-api-key": ENGINE_KEY };
  const base = "/api/v1/workflows/claude-code";
  const get = async (url: string, path: string) =>
    (await fetch(`${url}${base}${path}`, { headers })).json() as Promise<Record<string, unknown>>;
  const post = (url: string, path: string, body: object) =>
    fetch(`${url}${base}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
});

describe("a plan", () => {
  const GATED = {
    name: "log-in",
    steps: [
      { id: "design", run: "architect", task: "Design it" },
      { id: "ok", gate: "Build this?", needs: ["design"] },
      { id: "build", run: "implement", needs: ["ok"], task: "Build it" },
    ],
  };

  async function open(folder: string) {
    const api = await serveSimulatedApi({ apiKey: "test-key", paceMs: 20 });
    const secrets = createSecrets({ settings: settings(), env: {}, home: folder });
    const targets = listTargets({
      settings: settings(),
      secrets,
      env: {},
      clock: systemClock,
      log: silentLog,
    });
    const carrier = createNotifier({ folder, channels: [], targets, clock: systemClock, log: silentLog });
    onTestFinished(async () => {
      await carrier.close();
      await api.close();
    });
    const driven = await openDrivenPlans(api, folder, { onChange: () => carrier.look() });
    driven.runner.start();
    return { ...driven, look: carrier.look };
  }

  it("has one comment at its issue that follows its steps, and moves it once", async () => {
    const folder = temporaryFolder();
    const { runner, until: reach } = await open(folder);
    await runner.begin({ planId: "plan-1", plan: planOf(GATED), inputs: {} }, { issue: link });
    const waiting = await reach("plan-1", isAtGate);
    await until(() => comments()[0]?.includes("waits for a person") === true, "the gate");
    expect(comments()[0]).toMatch(
      /- \[x\] design[\s\S]*ok[\s\S]*- \[ \] build[\s\S]*It waits for: ok: Build this\?/,
    );
    await runner.tell("plan-1", decide(waiting, "approve"));
    const ended = await reach("plan-1", hasEnded);
    await until(() => comments()[0]?.includes("finished") === true, "the end");
    expect(comments()).toHaveLength(1);
    expect(comments()[0]).toMatch(/- \[x\] design[\s\S]*- \[x\] ok[\s\S]*- \[x\] build[\s\S]*2 runs/);
    expect(issue.moves).toEqual(["In Progress"]);
    // Those of its branches are told with it, once their addresses are known.
    const pullRequests = {
      "wf/a": { state: "open", url: "https://github.example/pull/1" },
      "wf/b": { state: "pushed" },
    };
    expect(progressOfPlan({ ...ended, pullRequests } as PlanState).pulls).toEqual([
      { url: "https://github.example/pull/1", title: "wf/a" },
    ]);
  });

  it("has written down with each change what its issue is told, so that the next process tells it after a crash", async () => {
    const folder = temporaryFolder();
    const api = await serveSimulatedApi({ apiKey: "test-key", paceMs: 20 });
    onTestFinished(() => api.close());
    const first = await openDrivenPlans(api, folder);
    first.runner.start();
    await first.runner.begin({ planId: "plan-1", plan: planOf(GATED), inputs: {} }, { issue: link });
    await first.runner.tell("plan-1", decide(await first.until("plan-1", isAtGate), "stop"));
    await first.until("plan-1", (state: PlanState) => !isAtGate(state));
    await first.close();
    expect(comments()).toEqual([]);
    (await open(folder)).look();
    await until(() => comments().length === 1, "the comment");
    expect(comments()[0]).toMatch(/failed|ended by a person/);
  });
});

it("a run that ends with a pull request has it as the one attachment of its issue", async () => {
  const place = await openPullRequestPlace(settings());
  const runId = await place.run({ linked_issue: link });
  const { url } = await place.pullRequestOf(runId);
  await until(() => issue.attachments.length === 1, "the attachment");
  expect(issue.attachments[0]).toMatchObject({ url });
  await until(() => comments()[0]?.includes(String(url)) === true, "the comment to have it");
  expect([comments().length, issue.moves]).toEqual([1, ["In Progress"]]);
});
