import { createHash } from "node:crypto";
import { Refused } from "../integrations/delivery-error.js";
import type { EventMessage } from "../integrations/message.js";
import { secretForDelivery } from "../integrations/secret-for-delivery.js";
import type { VendorHttp } from "../integrations/vendor-http.js";
import type { NotifyService, NotifyWay } from "../settings/notify.js";
import type { SecretName, Secrets } from "../settings/secrets.js";
import { type Clock, systemClock } from "../shared/clock.js";
import { createFindProxy } from "../shared/http/proxy.js";
import type { Channel } from "./channel.js";
import type { Notice } from "./notice.js";

/** What services are reached by. */
export interface ServiceParts {
  secrets: Secrets;
  /** Names proxies. */
  env: NodeJS.ProcessEnv;
  /** Whether the service asks people as well, by what is set for it. */
  asks?: boolean | undefined;
  /** Where the dashboard is reached. */
  dashboardUrl?: string | undefined;
  clock?: Clock | undefined;
}

/** Each service, as a person calls it, with the setting that has its address. */
export const SERVICES: Record<NotifyService, { name: string; setting: SecretName }> = {
  slack: { name: "Slack", setting: "slackWebhook" },
  discord: { name: "Discord", setting: "discordWebhook" },
  ntfy: { name: "ntfy", setting: "ntfyTopic" },
  webhook: { name: "the webhook", setting: "webhookUrl" },
};

/** The channel of a service. What it needs is loaded with its first message. */
export function createServiceChannel(
  { kind, address }: Extract<NotifyWay, { kind: NotifyService }>,
  { secrets, env, asks = false, dashboardUrl, clock = systemClock }: ServiceParts,
): Channel {
  const { name, setting } = SERVICES[kind];
  let http: VendorHttp | undefined;
  /** A webhook that has said that it is gone for good. */
  let isGone = false;

  async function send(notice: Notice, signal: AbortSignal): Promise<void> {
    if (isGone) throw new Refused(`${name} has said before that it is gone (HTTP 410)`);
    const { createVendorHttp } = await import("../integrations/vendor-http.js");
    http ??= createVendorHttp({ service: name, clock, findProxy: createFindProxy(env) });
    const url = address ?? (await secretForDelivery(secrets, setting));
    const to = { http, url, secrets, clock, signal };
    try {
      await SENDERS[kind](toMessage(notice, dashboardUrl), to);
    } catch (error) {
      isGone = error instanceof Refused && error.message.includes("(HTTP 410)");
      throw error;
    }
  }
  const mark = address ? `-${createHash("sha256").update(address).digest("hex").slice(0, 8)}` : "";
  return {
    ...{ name: `${kind}${mark}`, label: kind, knowsIds: kind === "webhook", send },
    // An address in the list is another place than the one in which people are asked.
    ...(asks && kind !== "webhook" && address === undefined ? { asks: kind } : {}),
  };
}

interface To {
  http: VendorHttp;
  url: string;
  secrets: Secrets;
  clock: Clock;
  signal: AbortSignal;
}

const SENDERS: Record<NotifyService, (message: EventMessage, to: To) => Promise<void>> = {
  async slack(message, { http, url, signal }) {
    const { postToSlack } = await import("../integrations/slack/post-webhook.js");
    await postToSlack(http, url, message, signal);
  },
  async discord(message, { http, url, signal }) {
    const { postToDiscord } = await import("../integrations/discord/post-webhook.js");
    await postToDiscord(http, url, message, signal);
  },
  async ntfy(message, { http, url, secrets, signal }) {
    const { publishToNtfy } = await import("../integrations/ntfy/publish.js");
    const token = secrets.has("ntfyToken") ? await secretForDelivery(secrets, "ntfyToken") : undefined;
    const { title, body, link, event } = message;
    const priority = event === "needs_you" || event === "failed" ? 4 : 3;
    await publishToNtfy(http, { topic: url, token }, { title, message: body, priority, click: link }, signal);
  },
  async webhook(message, { http, url, secrets, clock, signal }) {
    const { sendWebhook } = await import("../integrations/webhook/send-webhook.js");
    const secret = await secretForDelivery(secrets, "webhookSecret");
    await sendWebhook(http, { url, secret }, message, clock.now(), signal);
  },
};

function toMessage(notice: Notice, dashboardUrl: string | undefined): EventMessage {
  const { id, event, at, title, body, run, plan } = notice;
  const place = plan
    ? `plans/${encodeURIComponent(plan.plan_id)}`
    : `runs/${encodeURIComponent(run?.run_id ?? "")}`;
  const link = dashboardUrl === undefined ? undefined : `${dashboardUrl}/#/${place}`;
  return { id, event, at, title, body, link, data: { ...notice, ...(link ? { link } : {}) } };
}
