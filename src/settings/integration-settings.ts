import * as z from "zod";
import { secretSettings } from "./secret-settings.js";
import { setting } from "./setting.js";
import { endpoint, list, serviceAddress } from "./values.js";

const CHANNEL = /^[A-Z0-9]{3,20}$/;
const ADDRESS = "an `http` or `https` address";

/** Other services that are told of runs and plans, and the secrets by which they are reached. */
export const integrationSettings = {
  ...secretSettings("slackWebhook", {
    variable: "SLACK_WEBHOOK",
    about: "Address of an incoming webhook of Slack, for `slack` in `NOTIFY`.",
    bounds: ADDRESS,
    forEngine: true,
  }),
  ...secretSettings("discordWebhook", {
    variable: "DISCORD_WEBHOOK",
    about: "Address of a webhook of Discord, for `discord` in `NOTIFY`.",
    bounds: ADDRESS,
    forEngine: true,
  }),
  ...secretSettings("ntfyTopic", {
    variable: "NTFY_TOPIC",
    about: "Address of a topic of ntfy, such as `https://ntfy.sh/…`, for `ntfy` in `NOTIFY`.",
    bounds: ADDRESS,
    forEngine: true,
  }),
  ...secretSettings("ntfyToken", {
    variable: "NTFY_TOKEN",
    about: "Access token for ntfy, where the server asks for one.",
    bounds: "printable characters without spaces",
    forEngine: true,
  }),
  ...secretSettings("webhookUrl", {
    variable: "WEBHOOK_URL",
    about: "Address that gets each event as a signed Standard Webhook, for `webhook` in `NOTIFY`.",
    bounds: ADDRESS,
    forEngine: true,
  }),
  ...secretSettings("webhookSecret", {
    variable: "WEBHOOK_SECRET",
    about: "Secret by which Standard Webhooks are signed.",
    bounds: "`whsec_` and a key in Base64",
    forEngine: true,
  }),
  ...secretSettings("slackAppToken", {
    variable: "SLACK_APP_TOKEN",
    about: "App-level token of your Slack app, with `connections:write`, for answers from Slack.",
    bounds: "`xapp-…`",
    forEngine: true,
  }),
  ...secretSettings("slackBotToken", {
    variable: "SLACK_BOT_TOKEN",
    about: "Bot token of your Slack app, with `chat:write`, for answers from Slack.",
    bounds: "`xoxb-…`",
    forEngine: true,
  }),
  ...secretSettings("discordBotToken", {
    variable: "DISCORD_BOT_TOKEN",
    about: "Token of your Discord bot, for answers from Discord.",
    bounds: "printable characters without spaces",
    forEngine: true,
  }),
  ...secretSettings("ntfyAnswers", {
    variable: "NTFY_ANSWERS",
    about: "Address of a second topic of ntfy, to which buttons answer.",
    bounds: ADDRESS,
    forEngine: true,
  }),
  slackChannel: setting(z.string().regex(CHANNEL).optional(), {
    variable: "SLACK_CHANNEL",
    about: "Id of the channel of Slack in which you are asked; the app has to be a member. Default: none.",
    bounds: "an id such as `C0123456789`",
    forEngine: true,
  }),
  slackAnswerers: setting(list(CHANNEL).optional(), {
    variable: "SLACK_ANSWERERS",
    about: "Members of Slack who may answer. Default: nobody, and nobody is asked.",
    bounds: "member ids such as `U0123456789`, separated by commas",
    forEngine: true,
  }),
  discordChannel: setting(
    z
      .string()
      .regex(/^\d{1,20}$/)
      .optional(),
    {
      variable: "DISCORD_CHANNEL",
      about: "Id of the channel of Discord in which you are asked. Default: none.",
      bounds: "digits",
      forEngine: true,
    },
  ),
  discordAnswerers: setting(list(/^\d{1,20}$/).optional(), {
    variable: "DISCORD_ANSWERERS",
    about: "Users of Discord who may answer. Default: nobody, and nobody is asked.",
    bounds: "user ids of digits, separated by commas",
    forEngine: true,
  }),
  ntfyAnswerers: setting(list(/^[^,\p{C}]{1,60}$/u).optional(), {
    variable: "NTFY_ANSWERERS",
    about:
      "Name of the only person who can read `NTFY_TOPIC`: ntfy does not say who has pressed a button. Default: nobody, and nobody is asked.",
    bounds: "a name",
    forEngine: true,
  }),
  answerPermissions: setting(z.enum(["off", "on"]).default("off"), {
    variable: "ANSWER_PERMISSIONS",
    about: "Whether what an agent may do can also be allowed or denied from Slack, Discord and ntfy.",
    bounds: "`off` or `on`",
    forEngine: true,
  }),
  slackUrl: setting(serviceAddress.default("https://slack.com"), {
    variable: "SLACK_URL",
    about: "Address of Slack's API.",
    bounds: "https; http on this machine only",
    forEngine: true,
  }),
  discordUrl: setting(serviceAddress.default("https://discord.com/api"), {
    variable: "DISCORD_URL",
    about: "Address of Discord's API, without its version.",
    bounds: "https; http on this machine only",
    forEngine: true,
  }),
  dashboardUrl: setting(endpoint.optional(), {
    variable: "DASHBOARD_URL",
    about:
      "Address at which you reach the dashboard, such as `https://mcp.example.org/dashboard`: messages link to it. Default: none.",
    bounds: "an `http` or `https` address without credentials",
    forEngine: true,
  }),
};
