import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { spawnBin, temporaryFolder, toVariables } from "./support/bin.js";
import { until } from "./support/harness.js";
import { HELLO, JSON_HEADERS, sendPlain, startHttpWithApi } from "./support/http.js";

type Answer = { id?: unknown; result?: Record<string, unknown>; error?: { code: number; message: string } };
/** Sends a text as the client's next message and gives what is answered to the id. */
type Ask = ((text: string, id: unknown) => Promise<Answer>) & {
  /** Sends what is not to be answered. */
  tell(text: string): Promise<void>;
  /** What has been refused so far. */
  refused(): unknown[];
};

/** A session of the built bin, spoken to in plain lines. */
async function overStdio(): Promise<Ask> {
  const folder = temporaryFolder();
  const { child, stdout } = spawnBin([], {
    HOME: folder,
    ...toVariables({ API_KEY: "test-key", BASE_URL: "http://127.0.0.1:1", STATE_DIR: folder }),
  });
  const answers = () =>
    stdout()
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Answer & { method?: string })
      .filter((message) => message.method === undefined);
  const answered = async (text: string, id: unknown) => {
    const before = answers().length;
    child.stdin?.write(`${text}\n`);
    const found = () =>
      answers()
        .slice(before)
        .find((answer) => answer.id === id);
    await until(() => found() !== undefined, `the answer to ${text.slice(0, 80)}`, 30_000);
    return found() as Answer;
  };
  await answered(JSON.stringify(HELLO), 1);
  return Object.assign(answered, {
    tell: async (text: string) => void child.stdin?.write(`${text}\n`),
    refused: () => answers().filter(({ error }) => error),
  });
}

/** A session over HTTP, spoken to in plain requests. */
async function overHttp(): Promise<Ask> {
  const { url } = await startHttpWithApi();
  const { headers } = await sendPlain(`${url}/mcp`, { method: "POST", headers: JSON_HEADERS, body: HELLO });
  const session = { ...JSON_HEADERS, "mcp-session-id": String(headers["mcp-session-id"]) };
  const refused: unknown[] = [];
  const send = (text: string) => fetch(`${url}/mcp`, { method: "POST", headers: session, body: text });
  const ask = async (text: string, id: unknown) => {
    const answer = await send(text);
    const body = await answer.text();
    const messages: Answer[] = answer.headers.get("content-type")?.startsWith("text/event-stream")
      ? [...body.matchAll(/^data: (\{.*)$/gm)].map(([, data = ""]) => JSON.parse(data))
      : [JSON.parse(body)].flat();
    const found = messages.find((message) => message.id === id);
    if (!found) throw new Error(`No answer to ${JSON.stringify(id)}: ${body}`);
    return found;
  };
  const tell = async (text: string) => {
    const answer = await send(text);
    if (answer.status !== 202) refused.push(await answer.text());
  };
  return Object.assign(ask, { tell, refused: () => refused });
}

const frame = (rest: object) => JSON.stringify({ jsonrpc: "2.0", id: 7, ...rest });
const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;

const NULL_PLACES: [string, string][] = [
  ["params of a list", frame({ method: "tools/list", params: null })],
  ["params of a ping", frame({ method: "ping", params: null })],
  ["_meta", frame({ method: "tools/list", params: { _meta: null } })],
  ["a progress token", frame({ method: "tools/list", params: { _meta: { progressToken: null } } })],
  ["a cursor", frame({ method: "tools/list", params: { cursor: null } })],
  ["a cursor of resources", frame({ method: "resources/list", params: { cursor: null, _meta: null } })],
  [
    "the arguments of a tool",
    frame({ method: "tools/call", params: { name: "orchestrate_workflow", arguments: null, _meta: null } }),
  ],
  [
    "an argument of a tool",
    frame({
      method: "tools/call",
      params: { name: "orchestrate_workflow", arguments: { action: "list_workflows", session_name: null } },
    }),
  ],
  [
    "the context of a completion",
    frame({
      method: "completion/complete",
      params: {
        ref: { type: "ref/prompt", name: "start_workflow" },
        argument: { name: "workflow_name", value: "" },
        context: null,
      },
    }),
  ],
  [
    "the arguments of a completion's context",
    frame({
      method: "completion/complete",
      params: {
        ref: { type: "ref/prompt", name: "start_workflow" },
        argument: { name: "workflow_name", value: "" },
        context: { arguments: null },
      },
    }),
  ],
  ["a result and an error beside a method", frame({ method: "ping", result: null, error: null })],
  ["a byte order mark before it", `\ufeff${frame({ method: "ping" })}`],
  ["a member that the protocol does not know", frame({ method: "ping", extra: null, more: 1 })],
];

const INVALID: [string, string, unknown][] = [
  ["no method", frame({}), 7],
  ["a method that is null", frame({ method: null, params: {} }), 7],
  ["a method that is a number", frame({ method: 5 }), 7],
  ["params that are an array", frame({ method: "tools/list", params: [] }), 7],
  ["params that are a text", frame({ method: "tools/list", params: "all" }), 7],
  ["params that are a number", frame({ method: "tools/list", params: 5 }), 7],
  ["_meta that is a text", frame({ method: "tools/list", params: { _meta: "x" } }), 7],
  [
    "a progress token that is an object",
    frame({ method: "ping", params: { _meta: { progressToken: {} } } }),
    7,
  ],
  ["another version", JSON.stringify({ jsonrpc: "1.0", id: 7, method: "ping" }), 7],
  ["no version", JSON.stringify({ id: 7, method: "ping" }), 7],
  ["an id that is a text", JSON.stringify({ id: "seven", method: "ping" }), "seven"],
  ["an id that is no whole number", JSON.stringify({ jsonrpc: "2.0", id: 1.5, method: "ping" }), 1.5],
  ["an id that is null", JSON.stringify({ jsonrpc: "2.0", id: null, method: "ping" }), null],
  ["an id that is an object", JSON.stringify({ jsonrpc: "2.0", id: {}, method: "ping" }), null],
  ["a batch with one that is none", `[${frame({ params: {} })}]`, 7],
  [
    "100,000 levels",
    `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"orchestrate_workflow","arguments":{"message":${deep(100_000)}}},"id":7}`,
    7,
  ],
  ["more levels than are read", frame({ method: "ping", params: { x: JSON.parse(deep(120)) } }), 7],
];

describe.each([
  ["stdio", overStdio],
  ["HTTP", overHttp],
])("over %s", (_transport, connect) => {
  test("null counts as left out wherever something may be left out", async () => {
    const ask = await connect();
    for (const [what, text] of NULL_PLACES) {
      const { result, error } = await ask(text, 7);
      // Whatever comes of it, it is not that null is none of what the protocol has there.
      expect(error, what).toBeUndefined();
      expect(result, what).toBeDefined();
    }
  });

  test("a null id of a notification counts as left out, and an answer with both a result and a null error is one", async () => {
    const ask = await connect();
    for (const text of [
      JSON.stringify({ jsonrpc: "2.0", id: null, method: "notifications/initialized", params: null }),
      JSON.stringify({ jsonrpc: "2.0", id: 0, result: { _meta: null }, error: null }),
      JSON.stringify({ jsonrpc: "2.0", id: 1, result: null }),
    ]) {
      await ask.tell(text);
    }
    expect((await ask(frame({ method: "ping" }), 7)).result).toEqual({});
    expect(ask.refused()).toEqual([]);
  });

  test("what is no message and has an id is answered with that id", async () => {
    const ask = await connect();
    for (const [what, text, id] of INVALID) {
      const { error } = await ask(text, id);
      expect(error?.code, what).toBe(-32600);
      expect(error?.message, what).not.toMatch(/Zod|invalid_|\[\s*\{/);
    }
    expect((await ask(frame({ method: "ping" }), 7)).result).toEqual({});
  });

  test("each message of a batch is answered", async () => {
    const ask = await connect();
    const batch = JSON.stringify([
      { jsonrpc: "2.0", id: 7, method: "ping", params: null },
      { jsonrpc: "2.0", id: 8, method: "tools/list", params: null },
      { jsonrpc: "2.0", method: "notifications/initialized", params: null },
    ]);
    expect((await ask(batch, 7)).result).toEqual({});
    expect((await ask(batch, 8)).result?.tools).toHaveLength(1);
  });

  test("a text of many brackets is no depth", async () => {
    const ask = await connect();
    const text = `\\"[{${"[".repeat(1_000)}\\\\`;
    const { result } = await ask(
      `{"jsonrpc":"2.0","id":7,"method":"ping","params":{"_meta":{"note":"${text}"}}}`,
      7,
    );
    expect(result).toEqual({});
  });
});

test("over stdio a line longer than is read costs its request and not the session", async () => {
  const ask = await overStdio();
  const huge = "x".repeat(11 * 1024 * 1024);
  const call = {
    method: "tools/call",
    params: { name: "orchestrate_workflow", arguments: { message: huge } },
  };
  // Clients put the id before the rest, or behind it.
  for (const text of [
    JSON.stringify({ jsonrpc: "2.0", id: 7, ...call }),
    JSON.stringify({ ...call, jsonrpc: "2.0", id: "eight" }),
  ]) {
    const { error } = await ask(text, text.includes("eight") ? "eight" : 7);
    expect(error).toEqual({ code: -32600, message: "Invalid request: it is too long" });
  }
  expect((await ask(frame({ method: "ping" }), 7)).result).toEqual({});
}, 60_000);

test("over stdio hundreds of messages at once leave no listeners behind on a reader that is slow", async () => {
  const folder = temporaryFolder();
  const { child, stdout, stderr } = spawnBin([], {
    HOME: folder,
    NODE_OPTIONS: "--trace-warnings",
    ...toVariables({ API_KEY: "test-key", BASE_URL: "http://127.0.0.1:1", STATE_DIR: folder }),
  });
  child.stdin?.write(`${JSON.stringify(HELLO)}\n`);
  await once(child.stdout, "data");
  child.stdout.pause();
  for (let id = 2; id < 300; id++) {
    child.stdin?.write(`${JSON.stringify({ jsonrpc: "2.0", id, method: "tools/list" })}\n`);
  }
  await until(() => child.stdin?.writableLength === 0, "everything to be sent");
  child.stdout.resume();
  await until(() => stdout().includes('"id":299'), "the last answer", 30_000);
  expect(stderr()).not.toContain("MaxListenersExceededWarning");
}, 60_000);
