import type { OutsideMessage } from "../message.js";
import type { VendorHttp } from "../vendor-http.js";
import { escapeSlack } from "./escape.js";

/**
 * Posts a message by an incoming webhook. It has no key by which Slack would know it again.
 * @param url of the webhook; a secret
 * @throws as `VendorHttp`
 */
export async function postToSlack(
  http: VendorHttp,
  url: string,
  { title, body, link }: OutsideMessage,
  signal: AbortSignal,
): Promise<void> {
  const lines = [
    `*${escapeSlack(title)}*`,
    escapeSlack(body),
    ...(link ? [`<${escapeSlack(link)}|Open the dashboard>`] : []),
  ];
  const text = lines.filter(Boolean).join("\n");
  await http({ method: "POST", url, body: { text, unfurl_links: false, unfurl_media: false }, signal });
}
