import type { Readable, Writable } from "node:stream";

/** A message of the protocol, as the tests look at it. */
// biome-ignore lint/suspicious/noExplicitAny: answers are checked field by field
export type Frame = any;

/** A client of protocol 2026-07-28 that says what it is told to, frame by frame. */
export interface ModernFrames {
  /** Sends a request and resolves with its answer, an error included. */
  request(method: string, params?: object, meta?: object): Promise<Frame>;
  /** The same under an id of one's own, and with nothing put in. */
  send(id: unknown, method: string, params: object): Promise<Frame>;
  /** The id that the next request has. */
  nextId(): number;
  notify(method: string, params?: object): void;
  /** Writes a message as it is. */
  write(message: object): void;
  /** What came that is no answer to a request; on the earlier protocols that may be a request. */
  notifications: Frame[];
}

/** What the real Claude Code says of itself with each request. */
export const CLAUDE = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "claude-code", title: "Claude Code", version: "2.1.332" },
  "io.modelcontextprotocol/clientCapabilities": {
    roots: { listChanged: true },
    elicitation: { form: {}, url: {} },
    extensions: { "io.modelcontextprotocol/tasks": {} },
  },
};

/** The same without tasks, as `claude -p`. */
export const WITHOUT_TASKS = {
  ...CLAUDE,
  "io.modelcontextprotocol/clientCapabilities": { elicitation: { form: {}, url: {} } },
};

export function createModernFrames(
  { stdin, stdout }: { stdin: Writable; stdout: Readable },
  about: object = CLAUDE,
): ModernFrames {
  const waiting = new Map<unknown, (frame: Frame) => void>();
  const notifications: Frame[] = [];
  let next = 0;
  let rest = "";
  stdout.on("data", (piece: Buffer) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const frame = JSON.parse(line);
      const resolve = waiting.get(frame.id);
      if (frame.method !== undefined || !resolve) notifications.push(frame);
      else resolve(frame);
    }
  });
  const send = (frame: object) => stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...frame })}\n`);
  return {
    notifications,
    nextId: () => next,
    send(id, method, params) {
      send({ id, method, params });
      return new Promise((resolve) => waiting.set(id, resolve));
    },
    request(method, params = {}, meta = {}) {
      const id = next++;
      send({ id, method, params: { ...params, _meta: { ...about, ...meta } } });
      return new Promise((resolve) => waiting.set(id, resolve));
    },
    write: (message) => void send(message),
    notify: (method, params = {}) => void send({ method, params: { ...params, _meta: about } }),
  };
}
