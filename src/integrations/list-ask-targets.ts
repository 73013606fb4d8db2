import type { SecretName } from "../settings/secrets.js";
import { NotNow } from "./delivery-error.js";
import { createDiscordAskTarget, discordBase } from "./discord/ask-target.js";
import type { IntegrationParts } from "./integration-parts.js";
import { createNtfyAskTarget } from "./ntfy/ask-target.js";
import { setForAnswers } from "./set-for-answers.js";
import { createSlackAskTarget } from "./slack/ask-target.js";
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
        base: settings.slackUrl ?? "https://slack.com",
        http: openHttp("Slack", parts),
        token: () => readSecret(parts, "slackBotToken"),
        channel: settings.slackChannel ?? "",
      }),
    );
  if (set.discord)
    targets.push(
      createDiscordAskTarget({
        base: discordBase(settings),
        http: openHttp("Discord", parts),
        token: () => readSecret(parts, "discordBotToken"),
        channel: settings.discordChannel ?? "",
      }),
    );
  if (set.ntfy)
    targets.push(
      createNtfyAskTarget({
        http: openHttp("ntfy", parts),
        read: async () => ({
          topic: await readSecret(parts, "ntfyTopic"),
          answers: await readSecret(parts, "ntfyAnswers"),
          token: secrets.has("ntfyToken") ? await readSecret(parts, "ntfyToken") : undefined,
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

/** A secret that cannot be had now may be there later. */
async function readSecret({ secrets }: IntegrationParts, name: SecretName): Promise<string> {
  try {
    return await secrets.read(name);
  } catch (error) {
    throw new NotNow((error as Error).message);
  }
}
