import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FaultKind } from "./fault-kinds.js";
import type { Random } from "./random.js";
import { withHostileText, withLongText, withStatus, withWrongTypes } from "./spoil.js";

/** What the API would answer. */
export interface Reply {
  status: number;
  body: unknown;
}

export interface Misdeed {
  kind: FaultKind | undefined;
  random: Random;
  key: string;
  /** How long the client waits, in real ms. */
  patienceMs: number;
  /** What the `Date` header says. */
  date: string;
  isPost: boolean;
  /** Lets the API do what it is asked for. */
  act(): Promise<Reply>;
}

/** An endless body ends here all the same, should the client take it. */
const HUGE_BYTES = 48 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
const PIECE = Buffer.alloc(PIECE_BYTES, "a");
const HTML =
  "<!doctype html><html><head><title>502 Bad Gateway</title></head><body><h1>nginx</h1></body></html>";

/** Answers a request as the fault wants it. */
export async function misbehave(response: ServerResponse, misdeed: Misdeed): Promise<void> {
  const { kind, random, key, date } = misdeed;
  response.sendDate = false;
  const send = async (status: number, text: string, headers: Record<string, string> = {}) => {
    if (response.destroyed) return;
    response.writeHead(status, {
      date,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
      ...headers,
    });
    // In pieces, so that it is known how much of it was taken.
    const whole = Buffer.from(text);
    await pour(
      response,
      Array.from({ length: Math.ceil(whole.length / PIECE_BYTES) }, (_, index) =>
        whole.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES),
      ),
    );
  };
  const sendJson = (status: number, body: unknown, headers?: Record<string, string>) =>
    send(status, JSON.stringify(body), headers);
  /** A fault says nothing of whether the API has acted. */
  const perhapsAct = async () => {
    if (misdeed.isPost && random.chance(0.5)) await misdeed.act();
  };
  const spoilt = async (spoil: (body: unknown, random: Random) => unknown) => {
    const { status, body } = await misdeed.act();
    await sendJson(status, spoil(body, random));
  };

  switch (kind) {
    case undefined: {
      const { status, body } = await misdeed.act();
      return sendJson(status, body);
    }
    case "reset before":
      return reset(response.socket);
    case "reset after":
      await misdeed.act();
      return reset(response.socket);
    case "silence before":
      return;
    case "silence after":
      await misdeed.act();
      return;
    case "slow bytes": {
      const { status, body } = await misdeed.act();
      return drip(response, status, JSON.stringify(body), misdeed.patienceMs * (0.2 + 1.2 * random.next()));
    }
    case "endless bytes":
      await perhapsAct();
      return drip(response, 200, undefined, misdeed.patienceMs);
    case "429":
      return sendJson(429, { detail: "Too many requests" });
    case "429 with Retry-After": {
      const wait = random.pick(["1", "3", "20", "3600", "soon", "-1", date, "99999999999999999999"]);
      return sendJson(429, { detail: "Too many requests" }, { "retry-after": wait });
    }
    case "500":
    case "502":
    case "503":
    case "504":
      await perhapsAct();
      return random.chance(0.5)
        ? send(Number(kind), HTML, { "content-type": "text/html" })
        : sendJson(
            Number(kind),
            { detail: "Internal error" },
            random.chance(0.2) ? { "retry-after": "2" } : {},
          );
    case "200 with HTML":
      await perhapsAct();
      return send(200, HTML, { "content-type": "text/html" });
    case "truncated JSON": {
      const text = JSON.stringify((await misdeed.act()).body);
      return send(200, text.slice(0, Math.floor(text.length * random.next())));
    }
    case "broken off": {
      const text = JSON.stringify((await misdeed.act()).body);
      response.writeHead(200, {
        date,
        "content-type": "application/json",
        "content-length": text.length + 9,
      });
      response.write(text.slice(0, text.length / 2));
      setTimeout(() => response.destroy(), 5);
      return;
    }
    case "huge body":
      await perhapsAct();
      response.writeHead(random.pick([200, 200, 500]), { date, "content-type": "application/json" });
      response.write('{"run_id":"');
      return pour(response);
    case "long text":
      return spoilt(withLongText);
    case "wrong types":
      return spoilt(withWrongTypes);
    case "odd body":
      await perhapsAct();
      return send(
        200,
        random.pick(["null", "[]", "{}", '"text"', "42", "", "true", "[null]", '{"runs":[1,null]}']),
      );
    case "deep body":
      return spoilt((body) => ({ ...(body as object), debug: { metadata: deep() }, metrics: deep() }));
    case "unknown status":
      return spoilt((body) => withStatus(body, random, false));
    case "status backwards":
      return spoilt((body) => withStatus(body, random, true));
    case "hostile text":
      return spoilt(withHostileText);
    case "key refused":
      return sendJson(random.pick([401, 403]), { detail: `Invalid API key ${key}` });
    case "key quoted": {
      if (random.chance(0.5)) {
        return sendJson(random.pick([400, 422, 500]), {
          detail: [{ loc: ["header", key], msg: `bad ${key}` }],
        });
      }
      return spoilt((body) => {
        if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
        const said = {
          message: key,
          current_action: `curl -H x-api-key:${key}`,
          error_message: `saw ${key}`,
        };
        return { ...body, ...said };
      });
    }
    case "redirect":
      return send(random.pick([301, 302, 307, 308]), "", { location: "/elsewhere" });
    case "not found":
      return sendJson(404, { detail: "Not found" });
  }
}

/** Breaks a connection off. One that is about to end cannot be reset any more: that fails, and it stays open half. */
export function reset(socket: Socket | null): void {
  if (socket?.writableEnded) socket.destroy();
  else socket?.resetAndDestroy();
}

/** Sends a body in small pieces that take so long; without a body, blanks without an end. */
function drip(response: ServerResponse, status: number, text: string | undefined, ms: number): Promise<void> {
  response.writeHead(status, { "content-type": "application/json" });
  const pieces = 12;
  let sent = 0;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (response.destroyed) return stop();
      if (text === undefined) return void response.write(" ");
      const size = Math.ceil(text.length / pieces);
      response.write(text.slice(sent * size, ++sent * size));
      if (sent < pieces) return;
      response.end();
      stop();
    }, ms / pieces);
    function stop(): void {
      clearInterval(timer);
      resolve();
    }
    response.once("close", stop);
  });
}

/** Writes as fast as the client takes it; without pieces of its own, so much that no end is to be expected. */
export async function pour(response: ServerResponse, pieces?: readonly Buffer[]): Promise<void> {
  const count = pieces?.length ?? HUGE_BYTES / PIECE_BYTES;
  for (let sent = 0; sent < count && !response.destroyed; sent++) {
    if (response.write(pieces?.[sent] ?? PIECE)) continue;
    await new Promise<void>((resolve) => {
      const go = () => {
        response.off("drain", go).off("close", go);
        resolve();
      };
      response.on("drain", go).on("close", go);
    });
  }
  response.end();
}

/** A nesting that no recursion gets through. */
function deep(): unknown {
  let value: unknown = {};
  for (let level = 0; level < 3_000; level++) value = { deeper: value };
  return value;
}
