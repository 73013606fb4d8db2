import type { ServiceCheck } from "../../integrations/check-services.js";
import { SLACK_MANIFEST } from "./slack-manifest.js";

export type ServiceName = ServiceCheck["service"];

/** What is set for a service, beside what it is for. */
interface Guide {
  title: string;
  /** What has to be made there, and what may be done with it; sentences. */
  steps: readonly string[];
  /** Variables behind the prefix, with what they are. */
  variables: readonly (readonly [name: string, about: string])[];
}

export const SERVICE_NAMES: readonly ServiceName[] = [
  "slack",
  "discord",
  "ntfy",
  "webhook",
  "github",
  "linear",
];

const GUIDES: Record<ServiceName, Guide> = {
  slack: {
    title: "Slack",
    steps: [
      "Make an app of your own from the manifest below (https://api.slack.com/apps, Create New App, From a manifest), and " +
        "install it to your workspace.",
      "To be told: make an incoming webhook for a channel (the app, Incoming Webhooks).",
      "To be asked, and to answer there: make an app-level token with the scope connections:write (Basic Information, App-Level Tokens); the bot token is " +
        "under OAuth & Permissions. Invite the app to the channel: /invite @automagik-workflows.",
    ],
    variables: [
      ["NOTIFY", "to be told: slack, with commas between several"],
      ["SLACK_WEBHOOK", "to be told: the webhook's address"],
      ["SLACK_BOT_TOKEN", "to answer: xoxb-…"],
      ["SLACK_APP_TOKEN", "to answer: xapp-…"],
      ["SLACK_CHANNEL", "to answer: the channel's id, C… (at the end of its details)"],
      ["SLACK_ANSWERERS", "who may answer: member ids, U… (a profile, Copy member ID), separated by commas"],
    ],
  },
  discord: {
    title: "Discord",
    steps: [
      "To be told: make a webhook for a channel (Edit Channel, Integrations, Webhooks).",
      "To be asked, and to answer there: make an application with a bot (https://discord.com/developers/applications), without " +
        "privileged intents, and invite it with the scope bot and the permissions View Channel and Send Messages.",
    ],
    variables: [
      ["NOTIFY", "to be told: discord, with commas between several"],
      ["DISCORD_WEBHOOK", "to be told: the webhook's address"],
      ["DISCORD_BOT_TOKEN", "to answer: the bot's token"],
      ["DISCORD_CHANNEL", "to answer: the channel's id (Copy Channel ID, with Developer Mode on)"],
      ["DISCORD_ANSWERERS", "who may answer: user ids (Copy User ID), separated by commas"],
    ],
  },
  ntfy: {
    title: "ntfy",
    steps: [
      "Choose a topic that nobody guesses, such as wf- and 32 random characters, and subscribe to it on your phone; on a " +
        "server of your own protect it by an access token.",
      "To be asked, and to answer there: choose a second one, to which the buttons answer. They have its address, and the token: whoever " +
        "can read the first topic can answer.",
    ],
    variables: [
      ["NOTIFY", "to be told: ntfy, with commas between several"],
      ["NTFY_TOPIC", "the topic's address, https://ntfy.sh/…"],
      ["NTFY_TOKEN", "where the server asks for one"],
      ["NTFY_ANSWERS", "to answer: the second topic's address"],
      ["NTFY_ANSWERERS", "to answer: your name, as it is shown beside your answers"],
    ],
  },
  webhook: {
    title: "a webhook of your own",
    steps: [
      "Make an endpoint that takes Standard Webhooks (https://www.standardwebhooks.com) and a secret: whsec_ and 24 to 64 " +
        "random bytes in Base64.",
    ],
    variables: [
      ["NOTIFY", "webhook, with commas between several"],
      ["WEBHOOK_URL", "the endpoint's address"],
      ["WEBHOOK_SECRET", "whsec_…"],
    ],
  },
  github: {
    title: "GitHub",
    steps: [
      "Where gh is logged in, nothing has to be made.",
      "Else make a fine-grained token for the repositories in question (https://github.com/settings/personal-access-tokens): " +
        "metadata, contents and issues to read; for pull requests also pull requests and issues to write, actions and commit " +
        "statuses to read.",
    ],
    variables: [
      ["GITHUB_TOKEN", "the token"],
      ["GITHUB_URL", "of GitHub Enterprise Server: https://HOST/api/v3"],
    ],
  },
  linear: {
    title: "Linear",
    steps: [
      "Make a personal API key (Linear: Settings, Security & access, Personal API keys). It may be for single teams, and " +
        "needs to read, to write (the state of an issue), to create issues and to create comments.",
    ],
    variables: [["LINEAR_API_KEY", "the key, lin_api_…"]],
  },
};

export function isService(name: string): name is ServiceName {
  return (SERVICE_NAMES as readonly string[]).includes(name);
}

/** Whether a setting is about this service. @param variable without the prefix */
export function isOfService(service: ServiceName, variable: string): boolean {
  return (
    variable.startsWith(service.toUpperCase()) ||
    GUIDES[service].variables.some(([name]) => name === variable)
  );
}

/** How a service is set up: what to make there, which scopes it has, what to set here. Text for a terminal. */
export function renderGuide(service: ServiceName): string {
  const { title, steps, variables } = GUIDES[service];
  const width = Math.max(...variables.map(([name]) => name.length));
  return [
    `To set up ${title}:`,
    ...steps.map((step, at) => `${at + 1}. ${step}`),
    ...(service === "slack"
      ? [`The app's manifest:\n\n${JSON.stringify(SLACK_MANIFEST, undefined, 2)}`]
      : []),
    "Then set, where your chat client is started:",
    variables.map(([name, about]) => `  AUTOMAGIK_WORKFLOWS_${name.padEnd(width)}  ${about}`).join("\n"),
    "Secrets are never written by this command, into no file. Each may also be a file that only you can read (…_FILE) or a " +
      "command that prints it (…_COMMAND). See docs/integrations.md.",
  ].join("\n\n");
}
