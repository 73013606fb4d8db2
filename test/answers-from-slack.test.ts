import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import {
  type FakeSlack,
  SLACK_APP_TOKEN,
  SLACK_BOT_TOKEN,
  startFakeSlack,
} from "../mocks/integrations/slack.js";
import { type AskedOutside, askOutside, GATED_PLAN } from "./support/asked-outside.js";
import { COMPLETE, until } from "./support/harness.js";
import { ENGINE_KEY, engineFolder, startLocalEngine, withScript } from "./support/local-engine.js";
import { questionStates, storedDeliveries } from "./support/notices.js";
import { serveWatchedProxy } from "./support/watched-proxy.js";

/** With characters that are markup to Slack. */
const COMMAND = 'touch "$HOME/published" # `id -un` *all* <!here>';
const PUBLISHES = { tools: [{ name: "Bash", input: { command: COMMAND }, run: true }] };
const ANN = { id: "U0ANN", name: "Ann" };
const STRANGER = { id: "U0BAD", name: "Mallory" };

async function begin(more: Record<string, string> = {}, elsewhere?: { url: string; key: string }) {
  const slack = await startFakeSlack();
  onTestFinished(() => slack.close());
  const asked = await askOutside(
    {
      SLACK_APP_TOKEN,
      SLACK_BOT_TOKEN,
      SLACK_URL: slack.url,
      SLACK_CHANNEL: "C0123",
      SLACK_ANSWERERS: "U0ANN,U0BEN",
      DASHBOARD_URL: "https://mcp.example.org/dashboard",
      ...more,
    },
    elsewhere,
  );
  return { slack, ...asked };
}

const shown = ({ messages }: FakeSlack) =>
  messages.map(({ blocks, text }) => [text, ...blocks.map((block) => JSON.stringify(block))].join("\n"));
const untilShown = (slack: FakeSlack, text: string) =>
  until(() => shown(slack).some((one) => one.includes(text)) && slack.connections() > 0, text);
const stateOf = async (call: AskedOutside["call"], planId: string) =>
  (await call({ action: "status", plan_id: planId, wait_seconds: 0 })).data.plan?.status;

it("a gate is asked in Slack; a stranger's button is refused, the right one goes on with the plan", async () => {
  const { slack, world, begin: beginPlan, call, lines: logged, folder } = await begin();
  const design = "A design <!channel> @here\n```\n*Approved* by `Ann`";
  world.script({ result: design });
  const { data } = await beginPlan(GATED_PLAN);
  const planId = data.plan.plan_id as string;
  await untilShown(slack, "Build this?");
  expect(slack.messages).toHaveLength(1);
  // What an agent has written is shown as it is: in a text that Slack finds no markup in.
  const quoted = design.replace(/^/gm, "> ");
  const code = {
    type: "rich_text_preformatted",
    elements: [{ type: "text", text: expect.stringContaining(quoted) }],
  };
  expect(slack.messages[0]?.blocks).toContainEqual({ type: "rich_text", elements: [code] });
  expect(shown(slack)[0]?.match(/<!channel>/g)).toHaveLength(1);
  expect(shown(slack)[0]).not.toContain("mrkdwn");
  expect(shown(slack)[0]).toContain(`https://mcp.example.org/dashboard/#/plans/${planId}`);
  slack.press("Approve", STRANGER);
  await until(() => slack.whispers.length > 0, "the refusal");
  expect(slack.whispers).toEqual(["You are not among those who may answer here. Nothing was changed."]);
  expect(await stateOf(call, planId)).toBe("waiting");
  // The same click is delivered twice: it counts once.
  slack.press("Approve", ANN, 2);
  await vi.waitFor(async () => expect(await stateOf(call, planId)).toBe("completed"), { timeout: 30_000 });
  await untilShown(slack, "Ann by Slack: Approved at gate ok.");
  expect(slack.messages).toHaveLength(1);
  expect(shown(slack)[0]).not.toContain('"actions"');
  expect(slack.acknowledged).toEqual(expect.arrayContaining(slack.sent));
  const status = await call({ action: "status", plan_id: planId, wait_seconds: 0 });
  expect(JSON.stringify(status.data)).toContain("Ann");
  // A button that is pressed late changes nothing, and says so.
  expect(logged()).toContain("Somebody who may not answer has tried to by Slack: Mallory (U0BAD).");
  expect(JSON.stringify(storedDeliveries(folder)) + logged()).not.toMatch(/secretsecret/);
});

it("words that send a gate back are written in a form", async () => {
  const { slack, world, begin: beginPlan, call } = await begin();
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  await untilShown(slack, "Build this?");
  slack.press("Send back", ANN);
  await until(() => slack.views.length > 0, "the form");
  slack.submit("Use JWT", ANN);
  await untilShown(slack, "Ann by Slack: Sent back at gate ok: Use JWT.");
  // The next opening of the gate is another question.
  await until(() => slack.messages.length === 2, "the next question");
  slack.press("Stop", ANN);
  await vi.waitFor(async () => expect(await stateOf(call, data.plan.plan_id)).toBe("killed"), {
    timeout: 30_000,
  });
});

it("what is decided elsewhere is shown there, with who has, and its buttons go", async () => {
  const { slack, world, begin: beginPlan, call } = await begin();
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  const planId = data.plan.plan_id as string;
  await untilShown(slack, "Build this?");
  const [{ question_id } = { question_id: "" }] = (
    await call({ action: "status", plan_id: planId, wait_seconds: 0 })
  ).data.plan.waiting_for;
  await call({ action: "answer", plan_id: planId, question_id, answer: "approve", confirm: true });
  await untilShown(slack, "Approved in a chat.");
  expect(shown(slack)[0]).not.toContain('"actions"');
});

it.each([
  ["that Slack has refused is told as failed", { kind: "refused", status: 403 }, "failed"],
  ["that Slack has not taken yet is not asked any more", { kind: "limited", afterS: 3_600 }, "dropped"],
] as const)("a question %s, also when it was decided elsewhere", async (_what, fault, state) => {
  const { slack, folder, world, begin: beginPlan, call } = await begin();
  await until(() => slack.connections() === 1, "the connection");
  slack.faults.push(fault);
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  const stored = () => storedDeliveries(folder).map((one) => [one.state, one.note !== null]);
  const asked = JSON.stringify([[state === "failed" ? "failed" : "pending", true]]);
  await until(() => JSON.stringify(stored()) === asked, "what has become of the post");
  const plan_id = data.plan.plan_id as string;
  const [{ question_id } = { question_id: "" }] = (await call({ action: "status", plan_id, wait_seconds: 0 }))
    .data.plan.waiting_for;
  await call({ action: "answer", plan_id, question_id, answer: "approve", confirm: true });
  await until(() => questionStates(folder).join() === "closed", "the end of the question");
  expect(stored().map(([now]) => now)).toEqual([state]);
  expect(slack.messages).toEqual([]);
});

it("a question is asked and answered also by the process that comes after the one that has asked it", async () => {
  const { slack, world, begin: beginPlan, call, restart } = await begin();
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  await untilShown(slack, "Build this?");
  await restart();
  await until(() => slack.connections() === 1, "the next connection");
  slack.press("Approve", ANN);
  await vi.waitFor(async () => expect(await stateOf(call, data.plan.plan_id)).toBe("completed"), {
    timeout: 30_000,
  });
  expect(slack.messages).toHaveLength(1);
});

it("the connection is made anew before Slack ends it, and after it was lost", async () => {
  const { slack, world, begin: beginPlan, call } = await begin();
  await until(() => slack.connections() === 1, "the connection");
  slack.refresh();
  await until(() => slack.accepted() === 2 && slack.connections() === 1, "the next connection");
  slack.drop();
  await until(() => slack.accepted() === 3 && slack.connections() === 1, "another connection");
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  await untilShown(slack, "Build this?");
  slack.press("Approve", ANN);
  await vi.waitFor(async () => expect(await stateOf(call, data.plan.plan_id)).toBe("completed"), {
    timeout: 30_000,
  });
});

/** An engine whose agents want to write a file, with a person who is asked about it in Slack. */
async function beginAtEngine(more: Record<string, string> = {}) {
  const { folder, remove } = engineFolder();
  const engine = await startLocalEngine(folder);
  onTestFinished(async () => {
    await engine.close();
    remove();
  });
  const proxy = await serveWatchedProxy(engine.url);
  const { slack, call, ...asked } = await begin(more, { url: proxy.url, key: ENGINE_KEY });
  const message = withScript("Go", { steps: [PUBLISHES, { text: "Done" }] });
  const of = (name: string) => shown(slack).find((one) => one.includes(`session ${name}`)) ?? "";
  return {
    ...{ slack, call, engine, proxy, of, ...asked },
    /** A run that waits for its permission, which was asked about. */
    async start(session_name: string): Promise<string> {
      const { data } = await call({ ...COMPLETE, session_name, message, wait_seconds: 0 });
      await untilShown(slack, `session ${session_name}`);
      return data.run.run_id;
    },
    end: async (run_id: string) => (await call({ action: "status", run_id, wait_seconds: 30 })).text,
    published: () => existsSync(join(folder, "published")),
  };
}

it("a permission cannot be given in Slack unless that is set; who has answered it elsewhere is told there", async () => {
  const { call, start, of, end, published } = await beginAtEngine();
  const run_id = await start("one");
  expect(of("one")).toContain(
    "Permissions are not given from here. Answer it in a chat window or the dashboard.",
  );
  expect(of("one")).not.toContain('"actions"');
  await call({ action: "answer", run_id, answer: "deny" });
  await until(() => of("one").includes("Answered in a chat."), "what has come of it");
  // In the chat itself that is no news.
  expect(await end(run_id)).not.toContain("Answered last");
  expect(published()).toBe(false);
});

it("where it is set the whole command is shown, and carried out when it is allowed, or not when it is denied", async () => {
  const { slack, engine, start, of, end, published } = await beginAtEngine({
    ANSWER_PERMISSIONS: "on",
  });
  const denied = await start("denied");
  const code = { type: "rich_text_preformatted", elements: [{ type: "text", text: COMMAND }] };
  expect(slack.messages[0]?.blocks).toContainEqual({ type: "rich_text", elements: [code] });
  slack.press("Allow once", STRANGER);
  await until(() => slack.whispers.length === 1, "the refusal");
  slack.press("Deny", ANN);
  await until(() => of("denied").includes("Ann by Slack: Answered: Deny."), "what has come of it");
  expect(of("denied")).not.toContain('"actions"');
  expect(await end(denied)).toMatch(/Answered last: ".*" was denied by Ann in Slack\./);
  expect(published()).toBe(false);

  const allowed = await start("allowed");
  slack.press("Allow once", ANN);
  await until(() => of("allowed").includes("Ann by Slack: Answered: Allow once."), "what has come of it");
  expect(await end(allowed)).toMatch(
    /has completed.*Answered last: ".*" was allowed once by Ann in Slack\./s,
  );
  expect(published()).toBe(true);
  // Whoever comes late is told who was first.
  const path = `${engine.url}/api/v1/workflows/claude-code/run/${allowed}/questions`;
  const headers = { "x-api-key": ENGINE_KEY, "content-type": "application/json" };
  const { questions } = (await (await fetch(path, { headers })).json()) as {
    questions: { question_id: string }[];
  };
  const late = { method: "POST", headers, body: JSON.stringify({ answer: "deny" }) };
  const refused = await fetch(`${path}/${questions[0]?.question_id}/answer`, late);
  expect([refused.status, await refused.text()]).toEqual([
    409,
    expect.stringContaining("was answered already by Ann in Slack"),
  ]);
});

it("an answer of which nobody knows whether it has arrived is given once, and told as theirs when it has", async () => {
  const { slack, proxy, start, of } = await beginAtEngine({ ANSWER_PERMISSIONS: "on" });
  await start("one");
  proxy.lose = /answer$/;
  slack.press("Deny", ANN);
  await until(() => of("one").includes("Answered by Ann in Slack."), "what has come of it");
  expect(proxy.count(/answer$/)).toBe(1);
});

it("an answer that the engine refuses is not sent again, and somebody else can answer", async () => {
  const { slack, proxy, call, start, of, end } = await beginAtEngine({ ANSWER_PERMISSIONS: "on" });
  const run_id = await start("one");
  proxy.refuse = /answer$/;
  slack.press("Deny", ANN);
  await until(() => of("one").includes("Not in this way"), "what has come of it");
  expect(of("one")).toContain("Ann by Slack: ");
  expect(proxy.count(/answer$/)).toBe(1);
  proxy.refuse = undefined;
  await call({ action: "answer", run_id, answer: "deny" });
  expect(await end(run_id)).toContain("has completed");
});

it("a form that is open in a chat is closed by an answer in Slack, and says who has given it", async () => {
  const { slack, start, connect } = await beginAtEngine({ ANSWER_PERMISSIONS: "on" });
  const run_id = await start("one");
  const chat = await connect({
    onForm: (_form, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("closed")))),
  });
  const answering = chat.call({ action: "answer", run_id, answer: "allow_once" });
  await until(() => chat.forms.length === 1, "the form");
  slack.press("Deny", ANN);
  expect((await answering).text).toContain("was answered meanwhile by Ann in Slack");
});
