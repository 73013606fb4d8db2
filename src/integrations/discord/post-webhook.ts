import { cutText } from "../../shared/text.js";
import type { OutsideMessage } from "../message.js";
import type { VendorHttp } from "../vendor-http.js";
import { escapeDiscord } from "./escape.js";

/** A message has no more, in characters. */
const CONTENT_CHARS = 2_000;

/**
 * Posts a message by a webhook. It has no key by which Discord would know it again.
 * @param url of the webhook; a secret
 * @throws as `VendorHttp`
 */
export async function postToDiscord(
  http: VendorHttp,
  url: string,
  { title, body, link }: OutsideMessage,
  signal: AbortSignal,
): Promise<void> {
  const lines = [`**${escapeDiscord(title)}**`, escapeDiscord(body), link ? `<${link}>` : ""];
  const content = cutText(lines.filter(Boolean).join("\n"), CONTENT_CHARS);
  await http({
    method: "POST",
    url,
    // Else the answer comes before the message is stored, and says nothing of a failure.
    query: { wait: true },
    body: { content, allowed_mentions: { parse: [] } },
    signal,
  });
}
