import { secretSettings } from "./secret-settings.js";

/** Other services that are told of runs and plans, and the secrets by which they are reached. */
export const integrationSettings = {
  ...secretSettings("slackWebhook", {
    variable: "SLACK_WEBHOOK",
    about: "Address of an incoming webhook of Slack, for `slack` in `NOTIFY`.",
    bounds: "an address that begins with `https://`",
    forEngine: true,
  }),
};
