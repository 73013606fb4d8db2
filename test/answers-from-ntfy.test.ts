import { expect, it, onTestFinished, vi } from "vitest";
import { startFakeNtfy } from "../mocks/integrations/ntfy.js";
import { SLACK_APP_TOKEN, SLACK_BOT_TOKEN, startFakeSlack } from "../mocks/integrations/slack.js";
import { type AskedOutside, askOutside, GATED_PLAN } from "./support/asked-outside.js";
import { until } from "./support/harness.js";

async function begin(more: Record<string, string> = {}) {
  const ntfy = await startFakeNtfy("tk_secretsecret");
  onTestFinished(() => ntfy.close());
  const asked = await askOutside({
    NTFY_TOPIC: `${ntfy.url}/asked`,
    NTFY_ANSWERS: `${ntfy.url}/answers`,
    NTFY_TOKEN: "tk_secretsecret",
    NTFY_ANSWERERS: "Ann",
    ...more,
  });
  return { ntfy, ...asked };
}

const untilStatus = (call: AskedOutside["call"], plan_id: string, status: string) =>
  vi.waitFor(
    async () =>
      expect((await call({ action: "status", plan_id, wait_seconds: 0 })).data.plan?.status).toBe(status),
    { timeout: 30_000 },
  );

it("a gate is approved by a button of ntfy, also one that was pressed while nobody listened", async () => {
  const { ntfy, world, begin: beginPlan, call } = await begin();
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  await until(() => ntfy.messages.length > 0 && ntfy.followers("answers") === 1, "the question");
  expect(ntfy.messages[0]).toMatchObject({ topic: "asked", title: "Build this?" });
  expect(ntfy.messages[0]?.actions?.map(({ label }) => label)).toEqual(["Approve", "Stop"]);
  ntfy.dropStreams();
  expect(await ntfy.press("Approve")).toBe(200);
  await untilStatus(call, data.plan.plan_id, "completed");
  await until(() => ntfy.messages.some(({ title }) => title === "Over: Build this?"), "what has come of it");
  const last = ntfy.messages.at(-1);
  expect(last?.message).toContain("Ann by ntfy: Approved at gate ok.");
  expect(last).toMatchObject({ priority: 1, sequence_id: ntfy.messages[0]?.id });
});

it("what others post to the topic is nothing", async () => {
  const { ntfy, world, begin: beginPlan, call } = await begin();
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  await until(() => ntfy.messages.length > 0 && ntfy.followers("answers") === 1, "the question");
  for (const text of ["approve", "aw:0123456789abcdef0123:0", '{"approve":true}', "aw:x:0"])
    ntfy.publish("answers", text);
  await ntfy.press("Stop");
  await untilStatus(call, data.plan.plan_id, "killed");
});

it("of an answer by one service the others show by whom it was given", async () => {
  const slack = await startFakeSlack();
  onTestFinished(() => slack.close());
  const {
    ntfy,
    world,
    begin: beginPlan,
    call,
  } = await begin({
    ...{
      SLACK_APP_TOKEN,
      SLACK_BOT_TOKEN,
      SLACK_URL: slack.url,
      SLACK_CHANNEL: "C0123",
      SLACK_ANSWERERS: "U0BEN",
    },
  });
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  await until(() => ntfy.messages.length > 0 && slack.messages.length > 0, "both questions");
  await until(() => ntfy.followers("answers") === 1 && slack.connections() === 1, "both connections");
  // Both at once: the first counts, and the other one is told.
  slack.press("Approve", { id: "U0BEN", name: "Ben" });
  await ntfy.press("Approve");
  await untilStatus(call, data.plan.plan_id, "completed");
  const texts = () => JSON.stringify([slack.messages, ntfy.messages]);
  await until(
    () => /Approved (?:at gate ok|by (?:Ben|Ann) in (?:Slack|ntfy))/.test(texts()),
    "what has come of it",
  );
  await until(
    () =>
      !JSON.stringify(slack.messages).includes('"actions"') &&
      ntfy.messages.some(({ title }) => title?.startsWith("Over")),
    "both to be over",
  );
  const winner = texts().includes("Ben by Slack: Approved at gate ok.") ? "Ben" : "Ann";
  const shownBySlack = JSON.stringify(slack.messages);
  expect(shownBySlack).toContain(winner);
  expect(ntfy.messages.at(-1)?.message).toContain(winner);
});
