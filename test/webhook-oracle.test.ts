import { Webhook } from "standardwebhooks";
import { expect, it, onTestFinished } from "vitest";
import { startFakeWebhook } from "../mocks/integrations/webhook.js";
import { createVendorHttp } from "../src/integrations/vendor-http.js";
import { sendWebhook } from "../src/integrations/webhook/send-webhook.js";
import { systemClock } from "../src/shared/clock.js";

const SECRET = `whsec_${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`;

async function sent(secret: string, now = Date.now()) {
  const webhook = await startFakeWebhook();
  onTestFinished(() => webhook.close());
  const http = createVendorHttp({ service: "the webhook", clock: systemClock });
  const message = {
    id: "run_1/question/q1",
    event: "needs_you",
    at: "2026-11-25T12:00:00.000Z",
    title: "t",
    body: "b",
    data: { id: "run_1/question/q1", title: "ünï" },
  };
  await sendWebhook(http, { url: webhook.url, secret }, message, now, AbortSignal.timeout(10_000));
  const [taken] = webhook.got;
  if (!taken) throw new Error("nothing came");
  return taken;
}

it("the library of Standard Webhooks takes what is sent for signed, and nothing that was changed", async () => {
  const { body, headers } = await sent(SECRET);
  const given = headers as Record<string, string>;
  expect(new Webhook(SECRET).verify(body, given)).toMatchObject({ type: "automagik_workflows.needs_you" });
  expect(() => new Webhook(SECRET).verify(`${body} `, given)).toThrow();
  expect(() =>
    new Webhook(`whsec_${Buffer.from("another".repeat(5)).toString("base64")}`).verify(body, given),
  ).toThrow();
  expect(() => new Webhook(SECRET).verify(body, { ...given, "webhook-id": "msg_x" })).toThrow();
  expect(Buffer.byteLength(body)).toBeLessThan(20_000);
});

it("a signature is the library's own for the same id and time", async () => {
  const now = 1_764_072_000_000;
  const { body, headers } = await sent(SECRET, now);
  const id = String(headers["webhook-id"]);
  expect(headers["webhook-signature"]).toBe(new Webhook(SECRET).sign(id, new Date(now), body));
});
