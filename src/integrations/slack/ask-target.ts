import type { Settings } from "../../settings/settings.js";
import { askMessageSchema, questionTarget } from "../ask-message.js";
import { Unknown } from "../delivery-error.js";
import type { Delivery, Target } from "../target.js";
import type { VendorHttp } from "../vendor-http.js";

/** What Slack is reached by. */
export interface SlackParts {
  /** Where its API is. */
  base: string;
  http: () => Promise<VendorHttp>;
  /** The bot's token. @throws NotNow */
  token: () => Promise<string>;
  /** The id of the channel in which is asked. */
  channel: string;
}

export const SLACK_ASK = "slack-questions";

/** Where Slack's API is. */
export function slackBase({ slackUrl = "https://slack.com" }: Partial<Settings>): string {
  return slackUrl;
}

/** Questions in a channel of Slack: posted once, and edited as often as their fate changes. */
export function createSlackAskTarget({ base, http, token, channel }: SlackParts): Target {
  return {
    name: SLACK_ASK,
    label: "slack",
    // What is edited looks the same however often; a message has no key by which Slack would know it again.
    isRepeatable: ({ remoteId }) => remoteId !== undefined,
    ...questionTarget,
    async deliver({ payload, remoteId }: Delivery, signal) {
      const message = askMessageSchema.parse(payload);
      // What was settled before it was asked is asked nobody.
      if (remoteId === undefined && message.outcome !== undefined) return {};
      const { callSlack } = await import("./web-api.js");
      const { toSlackMessage } = await import("./ask-blocks.js");
      const [where, ts] = remoteId?.split(" ") ?? [channel];
      const posted = await callSlack(await http(), {
        ...{ base, signal, token: await token() },
        method: ts === undefined ? "chat.postMessage" : "chat.update",
        body: {
          ...toSlackMessage(message),
          channel: where,
          ...(ts === undefined ? { unfurl_links: false, unfurl_media: false } : { ts }),
        },
      });
      if (ts !== undefined) return {};
      if (typeof posted.ts !== "string") throw new Unknown("Slack did not say what it has posted");
      return { remoteId: `${typeof posted.channel === "string" ? posted.channel : where} ${posted.ts}` };
    },
  };
}
