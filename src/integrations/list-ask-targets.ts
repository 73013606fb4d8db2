import { createDiscordAskTarget, discordBase } from "./discord/ask-target.js";
import type { IntegrationParts } from "./integration-parts.js";
import { createNtfyAskTarget } from "./ntfy/ask-target.js";
import { secretForDelivery } from "./secret-for-delivery.js";
import { setForAnswers } from "./set-for-answers.js";
import { createSlackAskTarget, slackBase } from "./slack/ask-target.js";
import type { Target } from "./target.js";
import type { VendorHttp } from "./vendor-http.js";

/** The services by which people are asked, as targets of the outbox. */
export function listAskTargets(parts: IntegrationParts): Target[] {
  const { settings, secrets } = parts;
  const set = setForAnswers(settings, secrets);
  const targets: Target[] = [];
  if (set.slack)
    targets.push(
      createSlackAskTarget({
        base: slackBase(settings),
        http: openHttp("Slack", parts),
        token: () => secretForDelivery(secrets, "slackBotToken"),
        channel: settings.slackChannel ?? "",
      }),
    );
  if (set.discord)
    targets.push(
      createDiscordAskTarget({
        base: discordBase(settings),
        http: openHttp("Discord", parts),
        token: () => secretForDelivery(secrets, "discordBotToken"),
        channel: settings.discordChannel ?? "",
      }),
    );
  if (set.ntfy)
    targets.push(
      createNtfyAskTarget({
        http: openHttp("ntfy", parts),
        read: async () => ({
          topic: await secretForDelivery(secrets, "ntfyTopic"),
          answers: await secretForDelivery(secrets, "ntfyAnswers"),
          token: secrets.has("ntfyToken") ? await secretForDelivery(secrets, "ntfyToken") : undefined,
        }),
      }),
    );
  return targets;
}

/** Loads what sends requests with the first of them. */
function openHttp(service: string, { clock, env }: IntegrationParts): () => Promise<VendorHttp> {
  let http: Promise<VendorHttp> | undefined;
  async function open(): Promise<VendorHttp> {
    const { createVendorHttp } = await import("./vendor-http.js");
    const { createFindProxy } = await import("../shared/http/proxy.js");
    return createVendorHttp({ service, clock, findProxy: createFindProxy(env) });
  }
  return () => {
    http ??= open();
    return http;
  };
}
