import { createHash } from "node:crypto";
import { DISCORD_ASK, discordBase, fitsDiscord } from "../integrations/discord/ask-target.js";
import type { IntegrationParts } from "../integrations/integration-parts.js";
import { NTFY_ASK } from "../integrations/ntfy/ask-target.js";
import { fitsNtfy } from "../integrations/ntfy/publish.js";
import { createOpenSocket } from "../integrations/open-socket.js";
import { setForAnswers } from "../integrations/set-for-answers.js";
import { fitsSlack } from "../integrations/slack/ask-blocks.js";
import { SLACK_ASK, slackBase } from "../integrations/slack/ask-target.js";
import { createVendorHttp } from "../integrations/vendor-http.js";
import type { SecretName } from "../settings/secrets.js";
import { createFindProxy } from "../shared/http/proxy.js";
import type { OutsideConnection } from "./open-answers.js";
import type { AskedBy } from "./outside-questions.js";

/** The connections to the services by which people are asked, as they are set. */
export function listConnections(parts: IntegrationParts): OutsideConnection[] {
  const { settings, secrets, env, clock, log } = parts;
  const set = setForAnswers(settings, secrets);
  const findProxy = createFindProxy(env);
  const permissions = settings.answerPermissions === "on";
  const httpOf = (service: string, limitMs?: number) =>
    createVendorHttp({ service, clock, findProxy, ...(limitMs ? { limitMs } : {}) });
  const accountOf = (service: string, name: SecretName) => async () =>
    `${service} ${createHash("sha256")
      .update(await secrets.read(name))
      .digest("hex")
      .slice(0, 16)}`;
  const connections: OutsideConnection[] = [];
  if (set.slack)
    connections.push({
      ...SLACK,
      permissions,
      people: settings.slackAnswerers ?? [],
      account: accountOf("slack", "slackAppToken"),
      async follow(answers, signal) {
        const { followSlack } = await import("../integrations/slack/socket-mode.js");
        const appToken = await secrets.read("slackAppToken");
        const http = httpOf("Slack");
        const openSocket = createOpenSocket("Slack", findProxy);
        const botToken = () => secrets.read("slackBotToken");
        const base = slackBase(settings);
        await followSlack({ base, http, appToken, botToken, openSocket, answers, clock, log }, signal);
      },
    });
  if (set.discord)
    connections.push({
      ...DISCORD,
      permissions,
      people: settings.discordAnswerers ?? [],
      account: accountOf("discord", "discordBotToken"),
      async follow(answers, signal) {
        const { followDiscord } = await import("../integrations/discord/gateway.js");
        const token = await secrets.read("discordBotToken");
        const openSocket = createOpenSocket("Discord", findProxy);
        const base = discordBase(settings);
        await followDiscord(
          { base, http: httpOf("Discord"), token, openSocket, answers, clock, log },
          signal,
        );
      },
    });
  if (set.ntfy)
    connections.push({
      ...NTFY,
      permissions,
      people: settings.ntfyAnswerers ?? [],
      account: accountOf("ntfy", "ntfyAnswers"),
      async follow(answers, signal) {
        const { followNtfy } = await import("../integrations/ntfy/follow.js");
        const topic = await secrets.read("ntfyAnswers");
        const token = secrets.has("ntfyToken") ? await secrets.read("ntfyToken") : undefined;
        const person = settings.ntfyAnswerers?.[0] ?? "";
        await followNtfy({ topic, token, person, findProxy, answers, clock, log }, signal);
      },
    });
  return connections;
}

type About = Omit<AskedBy, "people" | "permissions">;

const SLACK: About = {
  ...{ service: "slack", title: "Slack", target: SLACK_ASK, takesWords: true, buttons: 20 },
  fits: fitsSlack,
};
const DISCORD: About = {
  ...{ service: "discord", title: "Discord", target: DISCORD_ASK, takesWords: true, buttons: 20 },
  fits: fitsDiscord,
};
/** A message of ntfy has three buttons. */
const NTFY: About = {
  ...{ service: "ntfy", title: "ntfy", target: NTFY_ASK, takesWords: false, buttons: 3 },
  fits: fitsNtfy,
};
