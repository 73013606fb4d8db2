import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  LOG_LEVEL_META_KEY,
  MissingRequiredClientCapabilityError,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import type { FormReply } from "./held-call.js";
import type { Round } from "./held-calls.js";
import type { TaskCaller } from "./tasks.js";

/** The extension by which calls become tasks. */
export const TASKS = "io.modelcontextprotocol/tasks";

/** What each request says of its client; checked by the SDK. */
interface Envelope {
  [CLIENT_CAPABILITIES_META_KEY]?: {
    elicitation?: { form?: object; url?: object };
    extensions?: Record<string, unknown>;
  };
  [CLIENT_INFO_META_KEY]?: { name?: string };
  [LOG_LEVEL_META_KEY]?: string;
}

const LOGGER = "automagik-workflows-mcp";

const envelopeOf = ({ mcpReq }: ServerContext): Envelope => (mcpReq.envelope as Envelope | undefined) ?? {};

/** What the request says that its client can do. */
export function capabilitiesOf(context: ServerContext) {
  return envelopeOf(context)[CLIENT_CAPABILITIES_META_KEY];
}

/** Who sends requests, as the transport knows it. */
export type Sender = Pick<TaskCaller, "caller" | "person">;

/** @param sender whose calls and tasks these are */
export function callerOf(context: ServerContext, sender: Sender): TaskCaller {
  const envelope = envelopeOf(context);
  const elicitation = envelope[CLIENT_CAPABILITIES_META_KEY]?.elicitation;
  return {
    ...sender,
    // A client that names no mode shows forms.
    supportsForms: elicitation !== undefined && (elicitation.form !== undefined || !elicitation.url),
    clientName: envelope[CLIENT_INFO_META_KEY]?.name,
  };
}

export function takesTasks(context: ServerContext): boolean {
  return envelopeOf(context)[CLIENT_CAPABILITIES_META_KEY]?.extensions?.[TASKS] !== undefined;
}

/** @throws MissingRequiredClientCapabilityError when the request does not say that its client knows tasks */
export function requireTasks(context: ServerContext): void {
  if (takesTasks(context)) return;
  throw new MissingRequiredClientCapabilityError(
    { requiredCapabilities: { extensions: { [TASKS]: {} } } },
    `The request does not declare the extension ${TASKS}. Nothing was done.`,
  );
}

/** Undefined when the client has not asked for progress. */
export function progressOf({ mcpReq }: ServerContext): Round["progress"] {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return undefined;
  return (update) =>
    mcpReq.notify({ method: "notifications/progress", params: { progressToken, ...update } });
}

/** Undefined when the request wants no log messages; those below its level are not sent. */
export function logOf(
  context: ServerContext,
): ((level: "info" | "error", data: { message: string }) => Promise<void>) | undefined {
  if (envelopeOf(context)[LOG_LEVEL_META_KEY] === undefined) return undefined;
  return (level, data) => context.mcpReq.log(level, data, LOGGER);
}

const reply = z.looseObject({
  action: z.string(),
  content: z
    .record(z.string(), z.unknown())
    .nullish()
    .transform((content) => content ?? undefined),
});

/** What the request brings of answers to forms; what is none is left out. The SDK takes it out of the parameters. */
export function repliesOf({ mcpReq }: ServerContext): Record<string, FormReply> | undefined {
  if (!mcpReq.inputResponses) return undefined;
  return Object.fromEntries(
    Object.entries(mcpReq.inputResponses).flatMap(([key, value]) => {
      const read = reply.safeParse(value);
      return read.success ? [[key, read.data]] : [];
    }),
  );
}
