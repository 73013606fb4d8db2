import type { ServerResponse } from "node:http";
import { type FakeService, startFakeService } from "./fake-service.js";

/** A message as ntfy keeps it, and as its stream tells it. */
export interface NtfyEvent {
  id: string;
  time: number;
  event: "message" | "open" | "keepalive";
  topic: string;
  title?: string;
  message?: string;
  priority?: number;
  click?: string;
  actions?: {
    action: string;
    label: string;
    url: string;
    method?: string;
    body?: string;
    clear?: boolean;
    headers?: Record<string, string>;
  }[];
  sequence_id?: string;
}

/** ntfy: topics that are published to, as JSON or as plain text, and followed as a stream of JSON lines. */
export interface FakeNtfy extends FakeService {
  /** All messages in the order in which they came. */
  messages: NtfyEvent[];
  /** Publishes as a phone does that presses a button: the body of a POST to the topic. */
  publish(topic: string, text: string): void;
  /** The phone presses the button of that label on the last message that has it. */
  press(label: string): Promise<number>;
  /** How many follow a topic. */
  followers(topic: string): number;
  /** Cuts all streams off. */
  dropStreams(): void;
}

/** @param token asked for with each request, where it is given */
export async function startFakeNtfy(token?: string): Promise<FakeNtfy> {
  const messages: NtfyEvent[] = [];
  const streams = new Map<ServerResponse, string>();
  let number = 0;

  function keep(message: Omit<NtfyEvent, "id" | "time" | "event">): NtfyEvent {
    const kept: NtfyEvent = { ...message, id: `m${++number}`.padEnd(12, "x"), time: now(), event: "message" };
    messages.push(kept);
    for (const [stream, topic] of streams)
      if (topic === kept.topic) stream.write(`${JSON.stringify(kept)}\n`);
    return kept;
  }

  function follow(topic: string, since: string | null, response: ServerResponse): undefined {
    response.writeHead(200, { "content-type": "application/x-ndjson; charset=utf-8" });
    response.write(`${JSON.stringify({ id: `o${++number}`, time: now(), event: "open", topic })}\n`);
    const at = messages.findIndex(({ id }) => id === since);
    const missed =
      since === null
        ? []
        : at >= 0
          ? messages.slice(at + 1)
          : messages.filter(({ time }) => time >= Number(since));
    for (const one of missed) if (one.topic === topic) response.write(`${JSON.stringify(one)}\n`);
    streams.set(response, topic);
    response.on("close", () => streams.delete(response));
    return undefined;
  }

  const service = await startFakeService(({ method, path, query, headers, body }, response) => {
    if (token !== undefined && headers.authorization !== `Bearer ${token}`)
      return { status: 403, body: { code: 40301, http: 403, error: "forbidden" } };
    const [, topic = "", way = ""] = path.split("/");
    if (method === "GET" && way === "auth") return { body: { success: true } };
    if (method === "GET" && way === "json") return follow(topic, query.get("since"), response);
    if (method !== "POST" && method !== "PUT") return { status: 404, body: { code: 40401, http: 404 } };
    if (topic !== "") return { body: keep({ topic, message: body }) };
    const read = JSON.parse(body) as NtfyEvent;
    if (!/^[-_A-Za-z0-9]{1,64}$/.test(read.topic ?? ""))
      return { status: 400, body: { code: 40009, http: 400, error: "invalid request: topic invalid" } };
    if ((read.actions?.length ?? 0) > 3)
      return { status: 400, body: { code: 40018, http: 400, error: "invalid request: actions invalid" } };
    return { body: keep(read) };
  });

  return {
    ...service,
    messages,
    publish: (topic, text) => void keep({ topic, message: text }),
    async press(label) {
      const action = messages.flatMap(({ actions = [] }) => actions).findLast((one) => one.label === label);
      if (!action) throw new Error(`No message has a button ${label}.`);
      const { url, method = "POST", headers = {}, body = "" } = action;
      const { status } = await fetch(url, { method, headers, body });
      return status;
    },
    followers: (topic) => [...streams.values()].filter((one) => one === topic).length,
    dropStreams() {
      for (const stream of streams.keys()) stream.destroy();
    },
    async close() {
      for (const stream of streams.keys()) stream.destroy();
      await service.close();
    },
  };
}

const now = () => Math.floor(Date.now() / 1000);
