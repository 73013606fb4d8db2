import type WebSocket from "ws";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { cutText } from "../../shared/text.js";
import { type AnswerReceiver, readButton, writeButton } from "../ask-message.js";
import { NotNow, Refused } from "../delivery-error.js";
import type { OpenSocket } from "../open-socket.js";
import type { VendorHttp } from "../vendor-http.js";
import { escapeDiscord } from "./escape.js";

export interface GatewayOptions {
  /** Where Discord's API is, with its version. */
  base: string;
  http: VendorHttp;
  token: string;
  openSocket: OpenSocket;
  answers: AnswerReceiver;
  clock: Clock;
  log: Log;
}

/** What comes over the gateway. */
interface Frame {
  op: number;
  d?: unknown;
  s?: number | null;
  t?: string | null;
}

interface Interaction {
  id: string;
  application_id?: string;
  token: string;
  type: number;
  data?: {
    custom_id?: string;
    components?: { components?: { custom_id?: string; value?: string }[] }[];
  };
  member?: { user?: DiscordUser };
  user?: DiscordUser;
}

interface DiscordUser {
  id?: string;
  username?: string;
  global_name?: string | null;
}

/** What is known of the last session, so that nothing of it is missed. */
interface Session {
  id: string;
  url: string;
  last: number | null;
}

const OP = {
  dispatch: 0,
  heartbeat: 1,
  identify: 2,
  resume: 6,
  reconnect: 7,
  invalid: 9,
  hello: 10,
  ack: 11,
};
/** Ends of a connection after which another one ends in the same way: the token, the intents, the version. */
const FINAL = new Set([4004, 4010, 4011, 4012, 4013, 4014]);
const INTERACTION = { component: 3, modal: 5 };
const REPLY = { deferUpdate: 6, modal: 9 };
const ONLY_FOR_THEM = 64;
/** Sessions of one process, by the token: a connection that is made anew goes on with it. */
const sessions = new Map<string, Session>();

/**
 * Takes answers from Discord over its gateway. A connection that is made after one that was lost goes on where that was.
 * @returns when the connection has ended
 * @throws Refused where another one would end in the same way; NotNow
 */
export async function followDiscord(options: GatewayOptions, signal: AbortSignal): Promise<void> {
  const { base, http, token, openSocket, clock, log } = options;
  const known = sessions.get(token);
  const url = known?.url ?? (await findGateway(base, http, token, signal));
  const socket = await openSocket(`${url}/?v=10&encoding=json`, signal).catch((error) => {
    // Where the last session was there may be nobody any more.
    sessions.delete(token);
    throw error;
  });
  const session: Session = known ?? { id: "", url, last: null };
  let cancel = () => {};
  let isAcknowledged = true;
  const send = (op: number, d: unknown) => socket.send(JSON.stringify({ op, d }));

  function beat(everyMs: number, firstMs: number): void {
    cancel = clock.after(firstMs, () => {
      // The other end is gone: what is sent now would be sent to nobody.
      if (!isAcknowledged) return socket.terminate();
      isAcknowledged = false;
      send(OP.heartbeat, session.last);
      beat(everyMs, everyMs);
    });
  }

  function greet(everyMs: number): void {
    beat(everyMs, everyMs / 2);
    if (session.id) send(OP.resume, { token, session_id: session.id, seq: session.last });
    else {
      const properties = { os: process.platform, browser: "automagik", device: "automagik" };
      send(OP.identify, { token, intents: 0, properties });
    }
  }

  function take({ op, d, s, t }: Frame): void {
    if (typeof s === "number") session.last = s;
    if (op === OP.hello) greet(Math.max(1_000, (d as { heartbeat_interval: number }).heartbeat_interval));
    else if (op === OP.ack) isAcknowledged = true;
    else if (op === OP.heartbeat) send(OP.heartbeat, session.last);
    else if (op === OP.reconnect) socket.close(4_000);
    else if (op === OP.invalid) {
      if (d !== true) sessions.delete(token);
      socket.close(4_000);
    } else if (t === "READY") {
      const { session_id, resume_gateway_url } = d as { session_id: string; resume_gateway_url?: string };
      Object.assign(session, { id: session_id, url: resume_gateway_url ?? url });
      sessions.set(token, session);
      log.debug("Answers are taken from Discord.");
    } else if (t === "INTERACTION_CREATE") void interact(d as Interaction, options, signal);
  }

  try {
    await new Promise<void>((resolve, reject) => {
      socket.on("message", (data) => {
        const frame = read(data);
        try {
          if (frame) take(frame);
        } catch {
          // It is not what Discord's documentation says: another connection is made, and nothing ends by it.
          socket.close(4_000);
        }
      });
      socket.once("close", (code) => {
        if (!FINAL.has(code)) return resolve();
        sessions.delete(token);
        reject(new Refused(`Discord ended the connection (${code})`));
      });
      const end = () => socket.close(1_000);
      signal.addEventListener("abort", end, { once: true });
      socket.once("close", () => signal.removeEventListener("abort", end));
    });
  } finally {
    cancel();
  }
}

async function findGateway(
  base: string,
  http: VendorHttp,
  token: string,
  signal: AbortSignal,
): Promise<string> {
  const headers = { authorization: `Bot ${token}` };
  const answer = await http({ method: "GET", url: `${base}/gateway/bot`, headers, signal });
  const { url } = (answer.json() ?? {}) as { url?: unknown };
  if (typeof url !== "string" || !/^wss?:\/\//.test(url))
    throw new NotNow("Discord named no place to connect to");
  return url.replace(/\/+$/, "");
}

function read(data: WebSocket.RawData): Frame | undefined {
  try {
    const found: unknown = JSON.parse(String(data));
    return typeof (found as Frame | null)?.op === "number" ? (found as Frame) : undefined;
  } catch {
    return undefined;
  }
}

async function interact(
  interaction: Interaction,
  options: GatewayOptions,
  signal: AbortSignal,
): Promise<void> {
  const { answers, log } = options;
  const { type, data, member, user: alone } = interaction;
  const who = member?.user ?? alone;
  const user = { id: who?.id ?? "", name: who?.global_name || who?.username || "" };
  const meant = readButton(data?.custom_id);
  if (!meant) return;
  const reply = (kind: number, content?: object) =>
    callBack(interaction, { type: kind, data: content }, options, signal);
  try {
    if (type === INTERACTION.modal) {
      const words = data?.components?.flatMap(({ components = [] }) => components)[0]?.value ?? "";
      await reply(REPLY.deferUpdate);
      await tellAlone(interaction, await answers.take({ ...meant, words, user }), options, signal);
    } else if (type === INTERACTION.component) {
      const label = await answers.wordsFor({ ...meant, user });
      if (label !== undefined) return void (await reply(REPLY.modal, toModal(meant, label)));
      // First, whatever is decided: Discord waits for three seconds.
      await reply(REPLY.deferUpdate);
      await tellAlone(interaction, await answers.take({ ...meant, user }), options, signal);
    }
  } catch (error) {
    log.warn(`An answer from Discord could not be taken: ${(error as Error).message}.`);
  }
}

function toModal({ code, choice }: { code: string; choice: number | undefined }, label: string): object {
  return {
    custom_id: writeButton(code, choice),
    title: "Your answer",
    components: [
      {
        type: 1,
        components: [
          {
            type: 4,
            custom_id: "words",
            style: 2,
            label: cutText(label, 45),
            required: true,
            max_length: 3_000,
          },
        ],
      },
    ],
  };
}

async function callBack(
  { id, token }: Interaction,
  body: object,
  { base, http }: GatewayOptions,
  signal: AbortSignal,
): Promise<void> {
  const url = `${base}/interactions/${encodeURIComponent(id)}/${encodeURIComponent(token)}/callback`;
  await http({ method: "POST", url, body, signal });
}

/** Tells only the one who has pressed the button. That it cannot be told changes nothing. */
async function tellAlone(
  { application_id = "", token }: Interaction,
  content: string,
  { base, http, log }: GatewayOptions,
  signal: AbortSignal,
): Promise<void> {
  const url = `${base}/webhooks/${encodeURIComponent(application_id)}/${encodeURIComponent(token)}`;
  const body = { content: escapeDiscord(content), flags: ONLY_FOR_THEM, allowed_mentions: { parse: [] } };
  await http({ method: "POST", url, body, signal }).catch((error: Error) =>
    log.debug(`What was said to an answer from Discord was not shown: ${error.message}.`),
  );
}
