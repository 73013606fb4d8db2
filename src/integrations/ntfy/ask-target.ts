import { type AskMessage, askMessageSchema, questionTarget, writeButton } from "../ask-message.js";
import type { Delivery, Target } from "../target.js";
import type { VendorHttp } from "../vendor-http.js";

/** What ntfy is reached by. */
export interface NtfyParts {
  http: () => Promise<VendorHttp>;
  /** The topic in which is asked, the one to which buttons answer, and the server's token. @throws NotNow */
  read: () => Promise<{ topic: string; answers: string; token: string | undefined }>;
}

export const NTFY_ASK = "ntfy-questions";

/**
 * Questions on a topic of ntfy: a button posts its code to a second topic. What has come of one is published under the same
 * `sequence_id`: servers from 2.16 on show it in its place, earlier ones as a message that makes no sound.
 */
export function createNtfyAskTarget({ http, read }: NtfyParts): Target {
  return {
    name: NTFY_ASK,
    label: "ntfy",
    ...questionTarget,
    async deliver({ payload, remoteId }: Delivery, signal) {
      const message = askMessageSchema.parse(payload);
      const { outcome, title, about, detail, hint, link } = message;
      if (remoteId === undefined && outcome !== undefined) return {};
      const { publishToNtfy } = await import("./publish.js");
      const { topic, answers, token } = await read();
      const text = [outcome, about, detail, outcome === undefined ? hint : undefined];
      const id = await publishToNtfy(
        await http(),
        { topic, token },
        {
          title: outcome === undefined ? title : `Over: ${title}`,
          message: text.filter(Boolean).join("\n\n"),
          priority: outcome === undefined ? 4 : 1,
          click: link,
          ...(outcome === undefined
            ? { actions: buttons(message, answers, token) }
            : { sequence_id: remoteId }),
        },
        signal,
      );
      return id === undefined || remoteId !== undefined ? {} : { remoteId: id };
    },
  };
}

function buttons({ code, choices }: AskMessage, answers: string, token: string | undefined) {
  return choices.slice(0, 3).map(({ title }, at) => ({
    action: "http",
    label: title,
    url: answers,
    method: "POST",
    body: writeButton(code, at),
    clear: true,
    ...(token ? { headers: { Authorization: `Bearer ${token}` } } : {}),
  }));
}
