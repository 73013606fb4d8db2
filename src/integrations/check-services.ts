import type { SecretName } from "../settings/secrets.js";
import { createFindProxy } from "../shared/http/proxy.js";
import { cleanLine } from "../shared/text.js";
import { NotNow } from "./delivery-error.js";
import { discordBase } from "./discord/ask-target.js";
import type { IntegrationParts } from "./integration-parts.js";
import { slackBase } from "./slack/ask-target.js";
import { createVendorHttp, type VendorHttp, type VendorRequest } from "./vendor-http.js";

/** One service that is set, and the one read that proves what is set for it. */
export interface ServiceCheck {
  service: "linear" | "github" | "slack" | "discord" | "ntfy" | "webhook";
  /** As a person calls what is checked. */
  name: string;
  /** How to set it up: what `install` is called with. */
  setting: string;
  /** The setting that gives access, where that is another one. */
  token?: string;
  /**
   * Asks once, and changes nothing.
   * @returns who or what it is, on one line; undefined where nothing can be asked without sending something
   * @throws Refused, NotNow, or SettingsError where the secret cannot be had
   */
  ask?(signal: AbortSignal): Promise<string>;
}

/** A check takes no longer, in ms. */
const LIMIT_MS = 4_000;
const NAME_CHARS = 80;

/** What can be asked of the services that are set. Nothing is sent, and no secret is read, before it is asked. */
export async function listServiceChecks(parts: IntegrationParts): Promise<ServiceCheck[]> {
  const { secrets } = parts;
  const checks: (ServiceCheck | undefined)[] = [
    secrets.has("linearApiKey") ? checkLinear(parts) : undefined,
    await checkGithub(parts),
    secrets.has("slackBotToken") ? checkSlackBot(parts) : undefined,
    secrets.has("slackWebhook")
      ? { service: "slack", name: "Slack's webhook", setting: "SLACK_WEBHOOK" }
      : undefined,
    secrets.has("discordBotToken") ? checkDiscordBot(parts) : undefined,
    secrets.has("discordWebhook") ? checkDiscordWebhook(parts) : undefined,
    secrets.has("ntfyTopic") ? checkNtfy(parts, "ntfyTopic", "NTFY_TOPIC") : undefined,
    secrets.has("ntfyAnswers") ? checkNtfy(parts, "ntfyAnswers", "NTFY_ANSWERS") : undefined,
    secrets.has("webhookUrl")
      ? { service: "webhook", name: "the webhook", setting: "WEBHOOK_URL" }
      : undefined,
  ];
  return checks.filter((one) => one !== undefined);
}

function checkLinear(parts: IntegrationParts): ServiceCheck {
  return {
    ...{ service: "linear", name: "Linear", setting: "LINEAR_API_KEY" },
    async ask(signal) {
      const { openLinear } = await import("./linear/open-linear.js");
      const { displayName, organization } = await openLinear(parts).viewer(signal);
      return `as ${line(displayName)} in ${line(organization.name)}`;
    },
  };
}

/** Nothing where there is no token, which many need not have. */
async function checkGithub(parts: IntegrationParts): Promise<ServiceCheck | undefined> {
  const { settings, secrets, env, onSecret, clock, log } = parts;
  const { github = "auto", githubUrl } = settings;
  if (github === "off" || githubUrl === undefined) return undefined;
  const { openGithub } = await import("./github/open-github.js");
  const secret = secrets.has("githubToken")
    ? { read: () => secrets.read("githubToken"), forget: () => secrets.forget("githubToken") }
    : undefined;
  const findProxy = createFindProxy(env);
  const opened = openGithub({
    ...{ settings: { github, githubUrl }, secret, takesGh: true, env, findProxy, onSecret, clock, log },
  });
  if (!secret && !(await opened.hasToken())) return undefined;
  const whose = secret ? "" : ", by the token of gh";
  return {
    ...{ service: "github", name: "GitHub", setting: "GITHUB_TOKEN" },
    ask: async (signal) => `as ${line(await opened.github.whoAmI(signal))}${whose}`,
  };
}

function checkSlackBot(parts: IntegrationParts): ServiceCheck {
  const base = slackBase(parts.settings);
  return {
    ...{ service: "slack", name: "Slack's bot", setting: "SLACK_BOT_TOKEN" },
    async ask(signal) {
      const { callSlack } = await import("./slack/web-api.js");
      const token = await parts.secrets.read("slackBotToken");
      const http = httpOf("Slack", parts);
      const found = await callSlack(http, {
        base,
        token,
        method: "auth.test",
        body: {},
        isRead: true,
        signal,
      });
      return `as ${line(found.user)} in ${line(found.team)}`;
    },
  };
}

function checkDiscordBot(parts: IntegrationParts): ServiceCheck {
  const base = discordBase(parts.settings);
  return {
    ...{ service: "discord", name: "Discord's bot", setting: "DISCORD_BOT_TOKEN" },
    async ask(signal) {
      const authorization = `Bot ${await parts.secrets.read("discordBotToken")}`;
      const found = await read("Discord", parts, {
        url: `${base}/users/@me`,
        headers: { authorization },
        signal,
      });
      return `as ${line(found.username)}`;
    },
  };
}

/** The address itself is the permission: Discord tells which webhook it is. */
function checkDiscordWebhook(parts: IntegrationParts): ServiceCheck {
  return {
    ...{ service: "discord", name: "Discord's webhook", setting: "DISCORD_WEBHOOK" },
    async ask(signal) {
      const url = await parts.secrets.read("discordWebhook");
      const found = await read("Discord", parts, { url, signal });
      return `which is called ${line(found.name)}`;
    },
  };
}

/** Whether the topic can be read with what is set; whether it can be written only a message shows. */
function checkNtfy(parts: IntegrationParts, name: SecretName, setting: string): ServiceCheck {
  const { secrets } = parts;
  return {
    ...{ service: "ntfy", name: "ntfy's topic", setting, token: "NTFY_TOKEN" },
    async ask(signal) {
      const topic = (await secrets.read(name)).replace(/\/+$/, "");
      const token = secrets.has("ntfyToken") ? await secrets.read("ntfyToken") : undefined;
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      await read("ntfy", parts, { url: `${topic}/auth`, headers, signal });
      return "which can be read";
    },
  };
}

async function read(
  service: string,
  parts: IntegrationParts,
  request: Pick<VendorRequest, "url" | "headers" | "signal">,
): Promise<Record<string, unknown>> {
  const answer = await httpOf(service, parts)({ method: "GET", ...request });
  const found = answer.json();
  if (typeof found === "object" && found !== null) return found as Record<string, unknown>;
  throw new NotNow(`${service} gave an answer that is none`);
}

function httpOf(service: string, { clock, env }: IntegrationParts): VendorHttp {
  return createVendorHttp({ service, clock, findProxy: createFindProxy(env), limitMs: LIMIT_MS });
}

function line(text: unknown): string {
  return cleanLine(typeof text === "string" && text ? text : "somebody", NAME_CHARS);
}
