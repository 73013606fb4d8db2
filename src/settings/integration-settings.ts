import { secretSettings } from "./secret-settings.js";
import { setting } from "./setting.js";
import { endpoint } from "./values.js";

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
  dashboardUrl: setting(endpoint.optional(), {
    variable: "DASHBOARD_URL",
    about:
      "Address at which you reach the dashboard, such as `https://mcp.example.org/dashboard`: messages link to it. Default: none.",
    bounds: "an `http` or `https` address without credentials",
    forEngine: true,
  }),
};
