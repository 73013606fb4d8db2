import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { type FakeService, startFakeService } from "./fake-service.js";

/** A message in a channel as Slack keeps it. */
export interface SlackMessage {
  channel: string;
  ts: string;
  text: string;
  blocks: SlackBlock[];
}

interface SlackBlock {
  type: string;
  text?: { text: string };
  elements?: { type: string; text?: { text: string } | string; value?: string; action_id?: string }[];
}

/** Slack with one app, which is a member of all channels: its Web API and Socket Mode. */
export interface FakeSlack extends FakeService {
  messages: SlackMessage[];
  /** What was told only to the one who has pressed a button. */
  whispers: string[];
  /** Forms that were opened, the newest last. */
  views: Record<string, unknown>[];
  /** Envelopes that were sent, and those that were acknowledged. */
  sent: string[];
  acknowledged: string[];
  /** How many connections are open. */
  connections(): number;
  /** How many were made. */
  accepted(): number;
  /**
   * Somebody presses the button of that title on the newest message that has it.
   * @param times the same envelope is delivered so often
   */
  press(title: string, user: { id: string; name: string }, times?: number): void;
  /** Somebody sends the form that was opened last. */
  submit(words: string, user: { id: string; name: string }): void;
  /** Tells all connections that they end soon, and ends them when another one is there. */
  refresh(): void;
  /** Cuts all connections off. */
  drop(): void;
}

export const SLACK_APP_TOKEN = "xapp-1-A000-secretsecret";
export const SLACK_BOT_TOKEN = "xoxb-000-secretsecret";

/** Answers as Slack does: HTTP 200, and `ok` in the body. */
export async function startFakeSlack(): Promise<FakeSlack> {
  const messages: SlackMessage[] = [];
  const whispers: string[] = [];
  const views: Record<string, unknown>[] = [];
  const sent: string[] = [];
  const acknowledged: string[] = [];
  const sockets = new Set<WebSocket>();
  let number = 0;
  let accepted = 0;
  let url = "";

  const service = await startFakeService(({ path, headers, body }) => {
    const token = headers.authorization?.replace("Bearer ", "");
    const read = body.startsWith("{") ? (JSON.parse(body) as Record<string, never>) : {};
    if (path === "/response") {
      whispers.push(String(read.text));
      return { body: "ok" };
    }
    const method = path.replace("/api/", "");
    const wanted = method === "apps.connections.open" ? SLACK_APP_TOKEN : SLACK_BOT_TOKEN;
    if (token !== wanted) return { body: { ok: false, error: token ? "invalid_auth" : "not_authed" } };
    return { body: call(method, read) };
  });
  url = service.url;

  function call(method: string, read: Record<string, never>): object {
    switch (method) {
      case "apps.connections.open":
        return { ok: true, url: `${url.replace("http", "ws")}/link?ticket=${++number}&app_id=A000` };
      case "auth.test":
        return { ok: true, url: "https://team.slack.com/", team: "Team", user: "bot", bot_id: "B000" };
      case "chat.postMessage": {
        const message = {
          ...(read as unknown as SlackMessage),
          ts: `1764072000.${String(++number).padStart(6, "0")}`,
        };
        if (!message.channel) return { ok: false, error: "channel_not_found" };
        messages.push(message);
        return { ok: true, channel: message.channel, ts: message.ts, message };
      }
      case "chat.update": {
        const known = messages.find(({ ts, channel }) => ts === read.ts && channel === read.channel);
        if (!known) return { ok: false, error: "message_not_found" };
        Object.assign(known, read);
        return { ok: true, channel: known.channel, ts: known.ts, text: known.text };
      }
      case "views.open":
        views.push((read as { view?: object }).view as Record<string, unknown>);
        return { ok: true, view: { id: `V${++number}` } };
      default:
        return { ok: false, error: "unknown_method" };
    }
  }

  const server = new WebSocketServer({ server: service.server, path: "/link" });
  server.on("connection", (socket) => {
    sockets.add(socket);
    accepted++;
    socket.on("close", () => sockets.delete(socket));
    socket.on("message", (data: RawData) => {
      const { envelope_id } = JSON.parse(String(data)) as { envelope_id?: string };
      if (envelope_id) acknowledged.push(envelope_id);
    });
    socket.send(
      JSON.stringify({
        type: "hello",
        num_connections: sockets.size,
        connection_info: { app_id: "A000" },
        debug_info: { host: "applink-1", approximate_connection_time: 18_060 },
      }),
    );
  });

  function deliver(payload: object, times = 1): void {
    const envelope = {
      type: "interactive",
      envelope_id: `e-${++number}`,
      accepts_response_payload: true,
      payload,
    };
    sent.push(envelope.envelope_id);
    const [socket] = [...sockets].slice(-1);
    for (let time = 0; time < times; time++) socket?.send(JSON.stringify(envelope));
  }

  return {
    ...service,
    ...{ messages, whispers, views, sent, acknowledged },
    connections: () => sockets.size,
    accepted: () => accepted,
    press(title, { id, name }, times) {
      const found = messages
        .flatMap(({ blocks }) => blocks ?? [])
        .flatMap(({ type, elements = [] }) => (type === "actions" ? elements : []))
        .findLast(({ text }) => typeof text === "object" && text.text === title);
      if (!found) throw new Error(`No message has a button ${title}.`);
      const { action_id, value } = found;
      deliver(
        {
          type: "block_actions",
          user: { id, username: name, name, team_id: "T000" },
          trigger_id: `${++number}.1.x`,
          response_url: `${url}/response`,
          actions: [{ type: "button", action_id, value, block_id: "b", action_ts: "1" }],
        },
        times,
      );
    },
    submit(words, { id, name }) {
      const view = views.at(-1);
      deliver({
        type: "view_submission",
        user: { id, username: name, name, team_id: "T000" },
        view: {
          ...view,
          state: { values: { words: { words: { type: "plain_text_input", value: words } } } },
        },
      });
    },
    refresh() {
      const former = [...sockets];
      for (const socket of former)
        socket.send(
          JSON.stringify({
            type: "disconnect",
            reason: "refresh_requested",
            debug_info: { host: "applink-1" },
          }),
        );
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
