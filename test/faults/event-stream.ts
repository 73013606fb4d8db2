import type { ServerResponse } from "node:http";
import type { World } from "../../mocks/world.js";
import { pour, type Reply, reset } from "./carry-out.js";
import type { FaultKind } from "./fault-kinds.js";
import type { Random } from "./random.js";
import { withHostileText, withStatus, withWrongTypes } from "./spoil.js";

/** How often the world is looked at for news, in real ms. */
const LOOK_MS = 40;
const HEADERS = { "content-type": "text/event-stream" };

/** `GET /events`: every change of every run, until the client goes, or as long as the fault lets it. */
export async function serveEvents(
  response: ServerResponse,
  options: { kind: FaultKind | undefined; random: Random; world: World; read(runId: string): Promise<Reply> },
): Promise<void> {
  const { kind, random, world } = options;
  const status = Number(kind?.slice(0, 3));
  switch (kind) {
    case "silence before":
    case "silence after":
      return;
    case "reset before":
    case "reset after":
      return reset(response.socket);
    case "200 with HTML":
    case "truncated JSON":
      return void response.writeHead(200, { "content-type": "text/html" }).end("<html>");
    case "huge body":
      response.writeHead(200, HEADERS).write("event: run\ndata: ");
      return pour(response);
  }
  if (status >= 400) return void response.writeHead(status).end("{}");

  response.writeHead(200, HEADERS);
  const told = new Map<string, string>();
  let id = 0;
  let events = 0;
  const send = (event: string, data: unknown) =>
    response.write(`event: ${event}\nid: ${id++}\ndata: ${JSON.stringify(data)}\n\n`);
  send("open", { gap: random.chance(0.3) });
  const timer = setInterval(() => {
    void look().catch(() => response.destroy());
  }, LOOK_MS);
  timer.unref();
  response.once("close", () => clearInterval(timer));

  async function look(): Promise<void> {
    for (const { runId } of world.runs()) {
      const { body } = await options.read(runId);
      const text = JSON.stringify(body);
      if (told.get(runId) === text || response.destroyed) continue;
      told.set(runId, text);
      send("run", { run_id: runId, run: spoil(body) });
      if (++events > 3 && kind === "broken off") response.destroy();
    }
    if (kind === "odd body")
      response.write('event: run\nid: x\ndata: {"run_id":\n\nevent: run\ndata: 5\n\n:\n\n');
  }

  function spoil(body: unknown): unknown {
    if (kind === "hostile text") return withHostileText(body, random);
    if (kind === "wrong types") return withWrongTypes(body, random);
    if (kind === "unknown status" || kind === "status backwards")
      return withStatus(body, random, kind[0] === "s");
    return body;
  }
}
