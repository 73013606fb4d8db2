import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { ServerOptions } from "../../src/server/server.js";
import type { Wiretap } from "./watch-transport.js";

/** A way to break the product, so that it can be seen that the harness notices. */
export interface Sabotage {
  /** Between the server and the client. */
  tap?(about: { key: string }): Wiretap;
  options?(options: ServerOptions, about: { key: string }): ServerOptions;
}

export const SOUND: Sabotage = {};

interface Message {
  id?: number | string;
  method?: string;
  params?: { name?: string; arguments?: { action?: string } };
  result?: { action?: string; content?: { text?: string }[]; structuredContent?: Record<string, unknown> };
}

/** Ids that no client uses. */
const OTHER_IDS = 1_000_000;

/** The ways in which the product could be broken, each by the rule that it breaks. */
export const SABOTAGES: Record<string, Sabotage> = {
  "sends every start twice": {
    tap: () => ({
      in(message, again) {
        const { id, method, params } = message as Message;
        const isRun = params?.name === "run_workflow" || params?.arguments?.action === "run";
        if (method === "tools/call" && isRun)
          again({ ...message, id: Number(id) + OTHER_IDS } as JSONRPCMessage);
        return message;
      },
      out: (message) =>
        Number((message as Message).id) >= OTHER_IDS && !("method" in message) ? undefined : message,
    }),
  },
  "takes a no for a yes": {
    tap: () => {
      const forms = new Map<unknown, object>();
      return {
        out(message) {
          const { id, method, params } = message as Message & {
            params?: { requestedSchema?: { properties: object } };
          };
          if (method === "elicitation/create") forms.set(id, params?.requestedSchema?.properties ?? {});
          return message;
        },
        in(message) {
          const { id, result } = message as Message;
          const form = forms.get(id);
          if (!form || (result?.action !== "decline" && result?.action !== "cancel")) return message;
          const content = Object.fromEntries(
            Object.entries(form).map(([name, { oneOf, default: text }]) => [
              name,
              oneOf?.[0]?.const ?? text ?? "",
            ]),
          );
          return { ...message, result: { action: "accept", content } } as JSONRPCMessage;
        },
      };
    },
  },
  "forgets what it has started": {
    options: (options) => ({
      ...options,
      ...(options.store ? { store: { ...options.store, update: async () => undefined } } : {}),
    }),
  },
  "shows the key": {
    options(options, { key }) {
      options.log.debug(`x-api-key: ${key}`);
      return options;
    },
  },
  "leaves a call without an answer": {
    tap: () => ({
      out: (message) => ((message as Message).result?.structuredContent?.workflows ? undefined : message),
    }),
  },
  "leaves a timer": {
    options(options) {
      options.clock?.after(3_600_000, () => {});
      return options;
    },
  },
  "lets escape sequences through": {
    tap: () => ({
      out(message) {
        const { result } = message as Message;
        if (result?.structuredContent) result.structuredContent.summary += "\u001b[31m";
        return message;
      },
    }),
  },
};
