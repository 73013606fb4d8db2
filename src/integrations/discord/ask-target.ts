import { createHash } from "node:crypto";
import type { Settings } from "../../settings/settings.js";
import { cutText } from "../../shared/text.js";
import { type AskMessage, askMessageSchema, questionTarget, writeButton } from "../ask-message.js";
import { Unknown } from "../delivery-error.js";
import type { Delivery, Target } from "../target.js";
import type { VendorHttp } from "../vendor-http.js";
import { escapeDiscord } from "./escape.js";

/** What Discord is reached by. */
export interface DiscordParts {
  /** Where its API is, with its version. */
  base: string;
  http: () => Promise<VendorHttp>;
  /** The bot's token. @throws NotNow */
  token: () => Promise<string>;
  /** The id of the channel in which is asked. */
  channel: string;
}

export const DISCORD_ASK = "discord-questions";

/** Where Discord's API is. */
export function discordBase({ discordUrl = "https://discord.com/api" }: Partial<Settings>): string {
  return `${discordUrl}/v10`;
}

const CONTENT_CHARS = 2_000;
/** Of a message have at most, escaped: its title, what it is about, what is said at its end, a link. */
const [TITLE_CHARS, ABOUT_CHARS, LAST_CHARS, LINK_CHARS] = [600, 200, 500, 300];
/** Title and detail of this length are shown whole, with what stands around them while it is open. */
const SHOWN_CHARS = 1_200;
const BUTTON_CHARS = 80;
const ROW = 5;
const ROWS = 5;
const STYLES = { plain: 2, weighty: 1 } as const;

/** Questions in a channel of Discord: posted once, by a key that Discord knows again, and edited when they are over. */
export function createDiscordAskTarget({ base, http, token, channel }: DiscordParts): Target {
  return {
    name: DISCORD_ASK,
    label: "discord",
    // A message with the same nonce is not made twice within some minutes; what is edited looks the same.
    isRepeatable: () => true,
    ...questionTarget,
    async deliver({ id, payload, remoteId, mayHaveBeenSent }: Delivery, signal) {
      const message = askMessageSchema.parse(payload);
      const isOver = message.outcome !== undefined;
      if (remoteId === undefined && isOver && !mayHaveBeenSent) return {};
      const [send, authorization] = [await http(), `Bot ${await token()}`];
      const request = { headers: { authorization }, signal };
      const edit = (where = "", known = "") =>
        send({
          ...{ ...request, method: "PATCH", url: `${base}/channels/${where}/messages/${known}` },
          body: toDiscordMessage(message),
        });
      if (remoteId !== undefined) {
        await edit(...remoteId.split(" "));
        return {};
      }
      const answer = await send({
        ...{ ...request, method: "POST", url: `${base}/channels/${channel}/messages` },
        body: { ...toDiscordMessage(message), nonce: nonceOf(id), enforce_nonce: true },
      });
      const posted = (answer.json() ?? {}) as { id?: unknown };
      if (typeof posted.id !== "string") throw new Unknown("Discord did not say what it has posted");
      // What was there by that key already is as it was asked.
      if (isOver) await edit(channel, posted.id);
      return { remoteId: `${channel} ${posted.id}` };
    },
  };
}

/** At most 25 characters. */
function nonceOf(id: string): string {
  return createHash("sha256").update(id).digest("base64url").slice(0, 25);
}

/** The message as Discord takes it: what is around the detail is kept, the detail gets the room that is left. */
export function toDiscordMessage(message: AskMessage): object {
  const { title, about, detail, hint, link, outcome } = message;
  const head = `**${escapeWithin(title, TITLE_CHARS)}**`;
  const foot = [
    escapeWithin(about, ABOUT_CHARS),
    outcome ? `**${escapeWithin(outcome, LAST_CHARS)}**` : escapeWithin(hint ?? "", LAST_CHARS),
    link && link.length <= LINK_CHARS ? `<${link}>` : "",
  ].filter(Boolean);
  const room = CONTENT_CHARS - [head, fence(""), ...foot].join("\n").length;
  return {
    content: [head, ...(detail ? [fence(cutText(withoutFences(detail), Math.max(0, room)))] : []), ...foot]
      .join("\n")
      .slice(0, CONTENT_CHARS),
    components: outcome === undefined ? buttons(message) : [],
    allowed_mentions: { parse: [] },
  };
}

/** Whether all of a title and its detail is seen, whatever stands around them. */
export function fitsDiscord({ title, detail }: Pick<AskMessage, "title" | "detail">): boolean {
  const head = escapeDiscord(title).length;
  return head <= TITLE_CHARS && head + withoutFences(detail).length <= SHOWN_CHARS;
}

const fence = (text: string) => `\`\`\`\n${text}\n\`\`\``;

/** A text that ends no code block: between three backticks stand marks that nobody sees. */
function withoutFences(text: string): string {
  return text.replace(/`(?=``)/g, "`\u200b");
}

/** As much of a text as has room when it is escaped. */
function escapeWithin(text: string, limit: number): string {
  let cut = cutText(text, limit);
  while (escapeDiscord(cut).length > limit) cut = cutText(cut, Math.floor(cut.length * 0.9));
  return escapeDiscord(cut);
}

function buttons({ code, choices, words }: AskMessage): object[] {
  const all = [
    ...choices.map(({ title, weighty = false }, at) => ({
      label: title,
      choice: at as number | undefined,
      weighty,
    })),
    ...(words ? [{ label: words, choice: undefined, weighty: false }] : []),
  ].slice(0, ROW * ROWS);
  return Array.from({ length: Math.ceil(all.length / ROW) }, (_, row) => ({
    type: 1,
    components: all.slice(row * ROW, (row + 1) * ROW).map(({ label, choice, weighty }) => ({
      type: 2,
      style: weighty ? STYLES.weighty : STYLES.plain,
      label: cutText(label, BUTTON_CHARS),
      custom_id: writeButton(code, choice),
    })),
  }));
}
