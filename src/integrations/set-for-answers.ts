import type { Secrets } from "../settings/secrets.js";
import type { Settings } from "../settings/settings.js";
import type { OutsideService } from "../shared/whose.js";

/** By which services people are asked. */
export interface SetForAnswers {
  slack: boolean;
  discord: boolean;
  ntfy: boolean;
  /** What is missing of those that are begun: settings, without their prefix. */
  missing: { service: OutsideService; title: string; names: string[] }[];
}

const TITLES: Record<OutsideService, string> = { slack: "Slack", discord: "Discord", ntfy: "ntfy" };

/** Looks at what is set: who may answer has to be said, else nobody is asked. Nothing is read. */
export function setForAnswers(settings: Partial<Settings>, { has }: Secrets): SetForAnswers {
  const incomplete: SetForAnswers["missing"] = [];
  const whole = (service: OutsideService, needed: Record<string, boolean>): boolean => {
    const names = Object.keys(needed).filter((name) => !needed[name]);
    if (names.length === 0) return true;
    // Who may answer may be set for all; a token says that it is meant.
    if (names.length < Object.keys(needed).length)
      incomplete.push({ service, title: TITLES[service], names });
    return false;
  };
  return {
    slack: whole("slack", {
      SLACK_APP_TOKEN: has("slackAppToken"),
      SLACK_BOT_TOKEN: has("slackBotToken"),
      SLACK_CHANNEL: settings.slackChannel !== undefined,
      SLACK_ANSWERERS: settings.slackAnswerers !== undefined,
    }),
    discord: whole("discord", {
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
    missing: incomplete,
  };
}
