import { IncomingWebhook } from "@slack/webhook";
import { expect, it, onTestFinished } from "vitest";
import { startFakeSlackWebhook } from "../mocks/integrations/slack-webhook.js";

it("Slack's own client takes the simulated webhook for Slack's, with what it refuses", async () => {
  const slack = await startFakeSlackWebhook();
  onTestFinished(() => slack.close());
  const client = new IncomingWebhook(slack.webhook);
  expect(await client.send({ text: "hello" })).toEqual({ text: "ok" });
  await expect(client.send({})).rejects.toThrow(/400/);
  await expect(new IncomingWebhook(`${slack.url}/services/other`).send("x")).rejects.toThrow(/404/);
  expect(slack.posted).toEqual([{ text: "hello" }]);
});
