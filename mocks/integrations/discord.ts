import type {
  APIMessageComponentInteraction,
  APIModalSubmitInteraction,
  GatewayHelloData,
  GatewayReadyDispatchData,
  RESTPostAPIChannelMessageJSONBody,
} from "discord-api-types/v10";
import { GatewayOpcodes, InteractionResponseType } from "discord-api-types/v10";
import { type WebSocket, WebSocketServer } from "ws";
import { type FakeService, startFakeService } from "./fake-service.js";

/** A message in a channel as Discord keeps it. */
export type DiscordMessage = RESTPostAPIChannelMessageJSONBody & { id: string; channel: string };

/** Discord with one bot: its API and its gateway. */
export interface FakeDiscord extends FakeService {
  messages: DiscordMessage[];
  /** What was told only to the one who has pressed a button. */
  whispers: string[];
  /** Types of what interactions were answered with, in their order. */
  callbacks: InteractionResponseType[];
  /** Forms that were opened, by their ids. */
  forms: string[];
  connections(): number;
  /** Sessions that were begun, and those that were gone on with. */
  identified(): number;
  resumed(): number;
  press(title: string, user: { id: string; name: string }): void;
  submit(words: string, user: { id: string; name: string }): void;
  /** Asks all connections to be made anew. */
  reconnect(): void;
  /** Sends a frame that the gateway's documentation does not have. */
  nonsense(): void;
  /** Cuts all connections off. */
  drop(): void;
}

export const DISCORD_TOKEN = "bot-secretsecret";
const HEARTBEAT_MS = 41_250;

export async function startFakeDiscord(): Promise<FakeDiscord> {
  const messages: DiscordMessage[] = [];
  const whispers: string[] = [];
  const callbacks: InteractionResponseType[] = [];
  const forms: string[] = [];
  const sockets = new Set<WebSocket>();
  const nonces = new Map<string, DiscordMessage>();
  let number = 0;
  let identified = 0;
  let resumed = 0;
  let seq = 0;
  let url = "";
  const nextId = () => `${1_300_000_000_000_000_000n + BigInt(++number)}`;

  const service = await startFakeService(({ method, path, headers, body }) => {
    const read = (body ? JSON.parse(body) : {}) as never;
    const [, , version, kind, id = "", what = "", last = ""] = path.split("/");
    if (version !== "v10") return { status: 404, body: { message: "404: Not Found", code: 0 } };
    // An interaction's own token is in its address.
    if (kind === "interactions") return callBack(last === "callback" ? read : undefined);
    if (kind === "webhooks") {
      whispers.push((read as { content: string }).content);
      return { body: { id: nextId() } };
    }
    if (headers.authorization !== `Bot ${DISCORD_TOKEN}`)
      return { status: 401, body: { message: "401: Unauthorized", code: 0 } };
    if (kind === "gateway") return { body: { url: url.replace("http", "ws"), shards: 1 } };
    if (kind === "users") return { body: { id: "1", username: "bot" } };
    if (kind === "channels" && what === "messages")
      return method === "POST" ? post(id, read) : edit(last, read);
    return { status: 404, body: { message: "404: Not Found", code: 0 } };
  });
  url = service.url;

  function post(channel: string, read: RESTPostAPIChannelMessageJSONBody) {
    const known = read.enforce_nonce && read.nonce !== undefined ? nonces.get(String(read.nonce)) : undefined;
    if (known) return { body: known };
    if ((read.content?.length ?? 0) > 2_000 || String(read.nonce ?? "").length > 25)
      return { status: 400, body: { message: "Invalid Form Body", code: 50_035 } };
    const message: DiscordMessage = { ...read, id: nextId(), channel };
    messages.push(message);
    if (read.nonce !== undefined) nonces.set(String(read.nonce), message);
    return { body: message };
  }

  function edit(id: string, read: object) {
    const known = messages.find((one) => one.id === id);
    if (!known) return { status: 404, body: { message: "Unknown Message", code: 10_008 } };
    return { body: Object.assign(known, read) };
  }

  function callBack(read?: {
    type: InteractionResponseType;
    data?: { custom_id?: string; content?: string };
  }) {
    if (!read) return { status: 404, body: { message: "Unknown interaction", code: 10_062 } };
    callbacks.push(read.type);
    if (read.type === InteractionResponseType.Modal) forms.push(read.data?.custom_id ?? "");
    return { status: 204 };
  }

  const server = new WebSocketServer({ server: service.server });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    const hello: GatewayHelloData = { heartbeat_interval: HEARTBEAT_MS };
    socket.send(JSON.stringify({ op: GatewayOpcodes.Hello, d: hello, s: null, t: null }));
    socket.on("message", (data) => {
      const { op, d } = JSON.parse(String(data)) as {
        op: GatewayOpcodes;
        d: { token?: string; session_id?: string };
      };
      if (op === GatewayOpcodes.Heartbeat)
        socket.send(JSON.stringify({ op: GatewayOpcodes.HeartbeatAck, d: null, s: null, t: null }));
      else if (op === GatewayOpcodes.Identify || op === GatewayOpcodes.Resume) {
        if (d.token !== DISCORD_TOKEN) return socket.close(4004, "Authentication failed.");
        if (op === GatewayOpcodes.Resume) {
          resumed++;
          dispatch(socket, "RESUMED", {});
        } else {
          identified++;
          const ready: Partial<GatewayReadyDispatchData> = {
            v: 10,
            session_id: `session-${identified}`,
            resume_gateway_url: url.replace("http", "ws"),
          };
          dispatch(socket, "READY", ready);
        }
      }
    });
  });

  function dispatch(socket: WebSocket | undefined, type: string, data: object): void {
    socket?.send(JSON.stringify({ op: GatewayOpcodes.Dispatch, t: type, s: ++seq, d: data }));
  }

  const common = ({ id, name }: { id: string; name: string }) => ({
    id: nextId(),
    application_id: "900",
    token: `interaction-${number}`,
    version: 1,
    member: { user: { id, username: name.toLowerCase(), global_name: name } },
  });

  return {
    ...service,
    ...{ messages, whispers, callbacks, forms },
    connections: () => sockets.size,
    identified: () => identified,
    resumed: () => resumed,
    press(title, user) {
      const found = messages
        .flatMap(
          ({ components = [] }) => components as { components: { label: string; custom_id: string }[] }[],
        )
        .flatMap(({ components }) => components)
        .findLast(({ label }) => label === title);
      if (!found) throw new Error(`No message has a button ${title}.`);
      const interaction = {
        ...common(user),
        type: 3,
        data: { component_type: 2, custom_id: found.custom_id },
      } as unknown as APIMessageComponentInteraction;
      dispatch([...sockets].at(-1), "INTERACTION_CREATE", interaction);
    },
    submit(words, user) {
      const interaction = {
        ...common(user),
        type: 5,
        data: {
          custom_id: forms.at(-1) ?? "",
          components: [{ type: 1, components: [{ type: 4, custom_id: "words", value: words }] }],
        },
      } as unknown as APIModalSubmitInteraction;
      dispatch([...sockets].at(-1), "INTERACTION_CREATE", interaction);
    },
    reconnect() {
      for (const socket of sockets)
        socket.send(JSON.stringify({ op: GatewayOpcodes.Reconnect, d: null, s: null, t: null }));
    },
    nonsense() {
      for (const socket of sockets)
        for (const frame of ["{", "[1]", '{"op":"x"}', '{"op":10,"d":null}']) socket.send(frame);
    },
    drop() {
      for (const socket of sockets) socket.terminate();
    },
    async close() {
      for (const socket of sockets) socket.terminate();
      server.close();
      await service.close();
    },
  };
}
