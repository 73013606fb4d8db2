import { createHash, createHmac } from "node:crypto";
import { Refused } from "../delivery-error.js";
import type { EventMessage } from "../message.js";
import type { VendorHttp } from "../vendor-http.js";

/**
 * Sends an event as Standard Webhooks describe it: signed, with an id that is the same in each try, so that the receiver
 * can leave out what it has already.
 * @param to.url a secret, as `to.secret` is: `whsec_` and a key in Base64
 * @param now epoch ms
 * @throws as `VendorHttp`
 */
export async function sendWebhook(
  http: VendorHttp,
  to: { url: string; secret: string },
  { id, event, at, data }: EventMessage,
  now: number,
  signal: AbortSignal,
): Promise<void> {
  const body = JSON.stringify({ type: `automagik_workflows.${event}`, timestamp: at, data });
  const messageId = `msg_${createHash("sha256").update(id).digest("base64url").slice(0, 27)}`;
  const timestamp = `${Math.floor(now / 1000)}`;
  await http({
    method: "POST",
    url: to.url,
    headers: {
      "content-type": "application/json",
      "webhook-id": messageId,
      "webhook-timestamp": timestamp,
      "webhook-signature": sign(to.secret, `${messageId}.${timestamp}.${body}`),
    },
    body,
    signal,
  });
}

function sign(secret: string, text: string): string {
  const key = /^(?:whsec_)?([A-Za-z0-9+/]{16,}={0,2})$/.exec(secret)?.[1];
  if (!key) throw new Refused("the secret is none of a Standard Webhook: whsec_ and a key in Base64");
  return `v1,${createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64")}`;
}
