import type { Secrets } from "../settings/secrets.js";
import type { Settings } from "../settings/settings.js";

/** By which services people are asked. */
export interface SetForAnswers {
  slack: boolean;
  discord: boolean;
  ntfy: boolean;
  /** What is missing of one that is begun, in words. */
  problems: string[];
}

/** Looks at what is set: who may answer has to be said, else nobody is asked. Nothing is read. */
export function setForAnswers(settings: Partial<Settings>, { has }: Secrets): SetForAnswers {
  const problems: string[] = [];
  const whole = (service: string, needed: Record<string, boolean>): boolean => {
    const missing = Object.keys(needed).filter((name) => !needed[name]);
    if (missing.length === 0) return true;
    // Who may answer may be set for all; a token says that it is meant.
    if (missing.length < Object.keys(needed).length)
      problems.push(`${service}: ${missing.join(", ")} ${missing.length > 1 ? "are" : "is"} not set`);
    return false;
  };
  return {
    slack: whole("Slack", {
      SLACK_APP_TOKEN: has("slackAppToken"),
      SLACK_BOT_TOKEN: has("slackBotToken"),
      SLACK_CHANNEL: settings.slackChannel !== undefined,
      SLACK_ANSWERERS: settings.slackAnswerers !== undefined,
    }),
    discord: whole("Discord", {
      DISCORD_BOT_TOKEN: has("discordBotToken"),
      DISCORD_CHANNEL: settings.discordChannel !== undefined,
      DISCORD_ANSWERERS: settings.discordAnswerers !== undefined,
    }),
    ntfy:
      (has("ntfyAnswers") || settings.ntfyAnswerers !== undefined) &&
      whole("ntfy", {
        NTFY_TOPIC: has("ntfyTopic"),
        NTFY_ANSWERS: has("ntfyAnswers"),
        NTFY_ANSWERERS: settings.ntfyAnswerers !== undefined,
      }),
    problems,
  };
}
