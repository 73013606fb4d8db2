import { cutText } from "../../shared/text.js";
import { Refused } from "../delivery-error.js";
import type { VendorHttp } from "../vendor-http.js";

/** What is published, as ntfy takes it as JSON; the topic is added. */
export interface NtfyMessage {
  title: string;
  message: string;
  /** 1 the least … 5 the most; 3 unless told. */
  priority?: number;
  click?: string | undefined;
  actions?: readonly Record<string, unknown>[];
  /** Servers from 2.16 on show a later message with the same one in the place of the earlier. */
  sequence_id?: string | undefined;
}

/** A message is no longer, in bytes: what is longer becomes an attachment. */
const MESSAGE_BYTES = 4_096;
const TITLE_CHARS = 250;
/** The rest is for what stands around it. */
const DETAIL_BYTES = 1_800;

/**
 * Publishes a message to a topic. It has no key by which ntfy would know it again.
 * @param topic its address, `https://ntfy.sh/my-topic`; a secret
 * @param token that the server asks for, where it does
 * @returns what ntfy calls it
 * @throws as `VendorHttp`
 */
export async function publishToNtfy(
  http: VendorHttp,
  { topic, token }: { topic: string; token?: string | undefined },
  message: NtfyMessage,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { server, name } = splitTopic(topic);
  const answer = await http({
    method: "POST",
    url: server,
    headers: token ? { authorization: `Bearer ${token}` } : {},
    body: {
      ...message,
      topic: name,
      title: cutText(message.title, TITLE_CHARS),
      message: cutBytes(message.message, MESSAGE_BYTES),
    },
    signal,
  });
  const { id } = (answer.json() ?? {}) as { id?: unknown };
  return typeof id === "string" ? id : undefined;
}

/** Whether all of a question's title and detail is seen. */
export function fitsNtfy({ title, detail }: { title: string; detail: string }): boolean {
  return title.length <= TITLE_CHARS && Buffer.byteLength(detail) <= DETAIL_BYTES;
}

/** @throws Refused for an address that names no topic */
export function splitTopic(address: string): { server: string; name: string } {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const at = url?.pathname.lastIndexOf("/") ?? -1;
  const name = url?.pathname.slice(at + 1) ?? "";
  if (!url || !/^[\w-]{1,64}$/.test(name)) throw new Refused("the address names no topic of ntfy");
  return { server: `${url.origin}${url.pathname.slice(0, at + 1)}`, name };
}

function cutBytes(text: string, limit: number): string {
  let cut = cutText(text, limit);
  while (Buffer.byteLength(cut) > limit) cut = cutText(cut, Math.floor(cut.length * 0.9));
  return cut;
}
