import { SocketModeClient } from "@slack/socket-mode";
import { expect, it, onTestFinished } from "vitest";
import { SLACK_APP_TOKEN, SLACK_BOT_TOKEN, startFakeSlack } from "../mocks/integrations/slack.js";
import { until } from "./support/harness.js";

it("Slack's own client takes the simulated Slack for Slack: connects, takes a button and acknowledges it", async () => {
  const slack = await startFakeSlack();
  onTestFinished(() => slack.close());
  await fetch(`${slack.url}/api/chat.postMessage`, {
    method: "POST",
    headers: { authorization: `Bearer ${SLACK_BOT_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({
      channel: "C0123",
      text: "Good?",
      blocks: [
        {
          type: "actions",
          elements: [{ type: "button", text: { type: "plain_text", text: "Approve" }, value: "x" }],
        },
      ],
    }),
  });
  const client = new SocketModeClient({
    appToken: SLACK_APP_TOKEN,
    clientOptions: { slackApiUrl: `${slack.url}/api/`, retryConfig: { retries: 0 } },
    autoReconnectEnabled: true,
  });
  const got: unknown[] = [];
  client.on("interactive", async ({ ack, body }) => {
    await ack();
    got.push(body);
  });
  let connected = 0;
  client.on("connected", () => connected++);
  await client.start();
  slack.press("Approve", { id: "U1", name: "ann" });
  await until(() => got.length > 0 && slack.acknowledged.length > 0, "the button");
  expect(got).toEqual([
    expect.objectContaining({ type: "block_actions", user: expect.objectContaining({ id: "U1" }) }),
  ]);
  expect(slack.acknowledged).toEqual(slack.sent);
  // Before Slack ends a connection, its client opens the next one.
  slack.refresh();
  // Its client fails when it is ended while it connects.
  await until(() => connected === 2 && slack.connections() === 1, "the next connection");
  await client.disconnect();
  await until(() => slack.connections() === 0, "the end");
});
