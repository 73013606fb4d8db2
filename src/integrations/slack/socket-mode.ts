import type WebSocket from "ws";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { type AnswerReceiver, readButton } from "../ask-message.js";
import { NotNow, Refused } from "../delivery-error.js";
import type { OpenSocket } from "../open-socket.js";
import type { VendorHttp } from "../vendor-http.js";
import { toSlackForm } from "./ask-blocks.js";
import { escapeSlack } from "./escape.js";
import { callSlack } from "./web-api.js";

export interface SocketModeOptions {
  base: string;
  http: VendorHttp;
  appToken: string;
  botToken: () => Promise<string>;
  openSocket: OpenSocket;
  answers: AnswerReceiver;
  clock: Clock;
  log: Log;
}

/** Slack pings some seconds apart: a connection that says nothing for so long is gone, in ms. */
const SILENT_MS = 45_000;

interface Envelope {
  type?: string;
  reason?: string;
  envelope_id?: string;
  payload?: {
    type?: string;
    trigger_id?: string;
    response_url?: string;
    user?: { id?: string; username?: string; name?: string };
    actions?: { action_id?: string; value?: string }[];
    view?: {
      callback_id?: string;
      private_metadata?: string;
      state?: { values?: { words?: { words?: { value?: string } } } };
    };
  };
}

/**
 * Takes answers from Slack by Socket Mode, over one connection; before Slack ends it, the next one is opened.
 * @returns when the last connection has ended
 * @throws as `VendorHttp`
 */
export async function followSlack(options: SocketModeOptions, signal: AbortSignal): Promise<void> {
  let current = await open(options, signal);
  for (;;) {
    const why = await current.over;
    if (why !== "refresh" || signal.aborted) {
      current.close();
      return;
    }
    // Slack tells it before it ends the connection, so that none is missed between two.
    const next = await open(options, signal).catch((error) => {
      current.close();
      throw error;
    });
    current.close();
    current = next;
  }
}

interface Connection {
  /** `refresh`: Slack is about to end it. */
  over: Promise<"refresh" | "lost">;
  close(): void;
}

async function open(options: SocketModeOptions, signal: AbortSignal): Promise<Connection> {
  const { base, http, appToken, openSocket, clock, log } = options;
  const method = "apps.connections.open";
  const { url } = await callSlack(http, { base, token: appToken, method, body: {}, signal });
  if (typeof url !== "string") throw new NotNow("Slack named no place to connect to");
  const socket = await openSocket(url, signal);
  let cancel = () => {};
  const alive = () => {
    cancel();
    cancel = clock.after(SILENT_MS, () => socket.terminate());
  };
  const over = new Promise<"refresh" | "lost">((resolve, reject) => {
    socket.on("message", (data) => {
      alive();
      const envelope = read(data);
      if (envelope?.type !== "disconnect") return void answer(envelope, socket, options, signal);
      if (envelope.reason === "link_disabled")
        reject(new Refused("Socket Mode is switched off in Slack's settings of the app"));
      else resolve("refresh");
    });
    socket.on("ping", alive);
    socket.once("close", () => resolve("lost"));
  });
  // Nobody may be waiting for it yet.
  over.catch(() => {});
  const close = () => {
    cancel();
    socket.close();
  };
  signal.addEventListener("abort", close, { once: true });
  socket.once("close", () => signal.removeEventListener("abort", close));
  alive();
  log.debug("Answers are taken from Slack.");
  return { over, close };
}

function read(data: WebSocket.RawData): Envelope | undefined {
  try {
    const found: unknown = JSON.parse(String(data));
    return typeof found === "object" && found !== null ? (found as Envelope) : undefined;
  } catch {
    return undefined;
  }
}

async function answer(
  envelope: Envelope | undefined,
  socket: WebSocket,
  options: SocketModeOptions,
  signal: AbortSignal,
): Promise<void> {
  if (!envelope?.envelope_id) return;
  // First, whatever it is: Slack waits for three seconds, and sends it again.
  socket.send(JSON.stringify({ envelope_id: envelope.envelope_id }));
  try {
    if (envelope.type === "interactive") await act(envelope, options, signal);
  } catch (error) {
    options.log.warn(`An answer from Slack could not be taken: ${(error as Error).message}.`);
  }
}

async function act(
  { payload = {} }: Envelope,
  options: SocketModeOptions,
  signal: AbortSignal,
): Promise<void> {
  const { answers, http, base, botToken } = options;
  const user = { id: payload.user?.id ?? "", name: payload.user?.name ?? payload.user?.username ?? "" };
  if (payload.type === "view_submission") {
    const meant = readButton(payload.view?.private_metadata);
    const words = payload.view?.state?.values?.words?.words?.value ?? "";
    if (meant) await answers.take({ ...meant, words, user });
    return;
  }
  const meant = readButton(payload.actions?.[0]?.value);
  if (payload.type !== "block_actions" || !meant) return;
  const label = await answers.wordsFor({ ...meant, user });
  if (label !== undefined && payload.trigger_id) {
    const view = toSlackForm(meant.code, meant.choice, label);
    const body = { trigger_id: payload.trigger_id, view };
    await callSlack(http, { base, token: await botToken(), method: "views.open", body, signal });
    return;
  }
  const said = await answers.take({ ...meant, user });
  await tellAlone(payload.response_url, said, options, signal);
}

/** Tells only the one who has pressed the button. That it cannot be told changes nothing. */
async function tellAlone(
  url: string | undefined,
  text: string,
  { http, base, log }: SocketModeOptions,
  signal: AbortSignal,
): Promise<void> {
  if (!url || !isSlacks(url, base)) return;
  const body = { response_type: "ephemeral", replace_original: false, text: escapeSlack(text) };
  await http({ method: "POST", url, body, signal }).catch((error: Error) =>
    log.debug(`What was said to an answer from Slack was not shown: ${error.message}.`),
  );
}

/** The address comes with the message: nothing is sent to anybody else. */
function isSlacks(url: string, base: string): boolean {
  if (!URL.canParse(url)) return false;
  const { origin, hostname, protocol } = new URL(url);
  return origin === new URL(base).origin || (protocol === "https:" && /(^|\.)slack\.com$/.test(hostname));
}
