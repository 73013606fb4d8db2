import { join } from "node:path";
import Libsql from "libsql";
import { expect, it, onTestFinished, vi } from "vitest";
import { startFakeNtfy } from "../mocks/integrations/ntfy.js";
import { SLACK_APP_TOKEN, SLACK_BOT_TOKEN, startFakeSlack } from "../mocks/integrations/slack.js";
import { DATABASE_FILE } from "../src/shared/state-folder.js";
import { askOutside, GATED_PLAN } from "./support/asked-outside.js";
import { until } from "./support/harness.js";

// Somebody has pressed a button, and the process that has noted it has ended before it has given the answer, or before it
// has noted what came of it.

const BEN = { id: "U0BEN", name: "Ben" };

/** A gate that waits, asked about in Slack and on ntfy. */
async function begin() {
  const slack = await startFakeSlack();
  const ntfy = await startFakeNtfy();
  onTestFinished(async () => {
    await Promise.all([slack.close(), ntfy.close()]);
  });
  const asked = await askOutside({
    ...{ SLACK_APP_TOKEN, SLACK_BOT_TOKEN, SLACK_URL: slack.url, SLACK_CHANNEL: "C0123" },
    ...{ SLACK_ANSWERERS: BEN.id, NTFY_ANSWERERS: "Ann" },
    ...{ NTFY_TOPIC: `${ntfy.url}/asked`, NTFY_ANSWERS: `${ntfy.url}/answers` },
  });
  asked.world.script({ result: "A design" });
  const { data } = await asked.begin(GATED_PLAN);
  const planId = data.plan.plan_id as string;
  await until(() => slack.messages.length === 1 && ntfy.messages.length === 1, "both questions");
  await until(() => slack.connections() === 1, "the connection");
  const plan = async () =>
    (await asked.call({ action: "status", plan_id: planId, wait_seconds: 0 })).data.plan;
  return {
    ...{ slack, ntfy, planId, plan },
    ...asked,
    inSlack: () => slack.messages[0]?.text,
    onNtfy: () => ntfy.messages.at(-1)?.message?.split("\n")[0],
  };
}

/** What the database says of the question in Slack when Ben's answer was noted, and nothing of it given yet. */
function noteAnswer(folder: string, answer: string): void {
  const db = new Libsql(join(folder, DATABASE_FILE));
  try {
    const change =
      "update outside_questions set state = 'taken', answer = ?, answered_by = ? where service = 'slack'";
    expect(db.prepare(change).run(answer, BEN.name).changes).toBe(1);
  } finally {
    db.close();
  }
}

it("it is given by the next process, and every place shows who has answered", async () => {
  const { folder, restart, plan, inSlack, onNtfy } = await begin();
  await restart(() => noteAnswer(folder, "approve"));
  await vi.waitFor(async () => expect((await plan()).status).toBe("completed"), { timeout: 30_000 });
  await until(() => inSlack() === "Build this?: Ben by Slack: Approved at gate ok.", "what came of it");
  await until(() => onNtfy() === "Approved by Ben in Slack.", "the same on ntfy");
});

it("a message that it had written and not brought to Slack is brought there by the next process", async () => {
  const { slack, folder, restart, inSlack } = await begin();
  await restart(() => {
    const db = new Libsql(join(folder, DATABASE_FILE));
    const change =
      "update deliveries set state = 'pending', next_at = 0, tries = 0 where target like 'slack%'";
    expect(db.prepare(change).run().changes).toBe(1);
    db.close();
    for (const message of slack.messages) message.text = "";
  });
  await until(() => inSlack() === "Build this?", "the message");
});

it("what was decided in a chat before it could be given is told nowhere as theirs", async () => {
  const { call, folder, restart, plan, planId, inSlack, onNtfy } = await begin();
  const [{ question_id } = { question_id: "" }] = (await plan()).waiting_for;
  await restart(async () => {
    noteAnswer(folder, "approve");
    await call({ action: "answer", plan_id: planId, question_id, answer: "stop", confirm: true });
  });
  await until(() => inSlack() === "Build this?: Stopped in a chat.", "what came of it");
  await until(() => onNtfy() === "Stopped in a chat.", "the same on ntfy");
  expect((await plan()).status).toBe("killed");
});

it("one that was given and not noted is not given again, and counts", async () => {
  const { slack, folder, restart, plan, inSlack } = await begin();
  slack.press("Approve", BEN);
  await until(() => inSlack() === "Build this?: Ben by Slack: Approved at gate ok.", "what came of it");
  await restart(() => noteAnswer(folder, "approve"));
  await until(() => inSlack() === "Build this?: Approved by Ben in Slack.", "the same after it");
  await vi.waitFor(async () => expect((await plan()).status).toBe("completed"), { timeout: 30_000 });
});
