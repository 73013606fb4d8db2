import { describe, expect, test } from "vitest";
import { withoutContents } from "../src/server/log-lines.js";
import { spawnBin, temporaryFolder, toVariables } from "./support/bin.js";
import { until } from "./support/harness.js";
import { HELLO, JSON_HEADERS, sendPlain, startServeBin } from "./support/http.js";

const MARK = "Marker-0f1e2d";
const deep = (levels: number) => `${"[".repeat(levels)}"${MARK}"${"]".repeat(levels)}`;
const frame = (rest: object) => JSON.stringify({ jsonrpc: "2.0", ...rest });
const call = (args: unknown, rest: object = {}) =>
  frame({ id: 20, method: "tools/call", params: { name: "orchestrate_workflow", arguments: args, ...rest } });

/** Whatever a client can send that something in here could want to complain of. */
const MESSAGES: [string, string][] = [
  ["an answer with an unknown id", frame({ id: 999, result: { content: { text: MARK } } })],
  ["an answer with an id that is a text", frame({ id: MARK, result: { text: MARK } })],
  ["an error with an unknown id", frame({ id: 998, error: { code: 1, message: MARK, data: { MARK } } })],
  ["an answer that is none", frame({ id: 997, result: MARK })],
  ["an answer without an id", frame({ error: { code: 1, message: MARK } })],
  [
    "progress of an unknown token",
    frame({ method: "notifications/progress", params: { progressToken: MARK, progress: 1, message: MARK } }),
  ],
  ["progress of wrong types", frame({ method: "notifications/progress", params: { [MARK]: MARK } })],
  [
    "a cancellation of wrong types",
    frame({ method: "notifications/cancelled", params: { requestId: { MARK }, reason: [MARK] } }),
  ],
  ["an unknown notification", frame({ method: `notifications/${MARK}`, params: { MARK } })],
  ["no JSON", `${MARK} is no JSON`],
  ["cut JSON", `{"jsonrpc":"2.0","id":3,"method":"${MARK}`],
  ["a text", JSON.stringify(MARK)],
  ["an array of texts", JSON.stringify([MARK, [MARK]])],
  ["no method", frame({ id: 4, [MARK]: MARK })],
  ["params that are a text", frame({ id: 5, method: "tools/list", params: MARK })],
  ["an id that is an object", frame({ id: { MARK }, method: "ping" })],
  ["an unknown method", frame({ id: 6, method: MARK, params: { MARK } })],
  ["_meta of wrong types", frame({ id: 7, method: "ping", params: { _meta: { progressToken: { MARK } } } })],
  ["another version", JSON.stringify({ jsonrpc: MARK, id: 8, method: "ping" })],
  ["too many levels", `{"jsonrpc":"2.0","id":9,"method":"ping","params":{"x":${deep(5_000)}}}`],
  ["an unknown tool", frame({ id: 10, method: "tools/call", params: { name: MARK, arguments: { MARK } } })],
  ["a tool's name that is an object", frame({ id: 11, method: "tools/call", params: { name: { MARK } } })],
  ["arguments that are a text", call(MARK)],
  ["arguments of wrong types", call({ action: "run", message: [MARK], workflow_name: { MARK } })],
  ["unknown arguments", call({ action: "list_workflows", [MARK]: MARK })],
  ["an unknown workflow", call({ workflow_name: MARK, message: MARK, session_name: MARK })],
  ["an unknown run", call({ action: "status", run_id: MARK })],
  ["an unknown session", call({ action: "status", session_name: MARK }, { _meta: { progressToken: MARK } })],
  ["an unknown resource", frame({ id: 12, method: "resources/read", params: { uri: `file:///${MARK}` } })],
  [
    "an unknown run's resource",
    frame({ id: 13, method: "resources/read", params: { uri: `automagik://runs/${MARK}` } }),
  ],
  ["a subscription to anything", frame({ id: 14, method: "resources/subscribe", params: { uri: MARK } })],
  [
    "an unknown prompt",
    frame({ id: 15, method: "prompts/get", params: { name: MARK, arguments: { MARK } } }),
  ],
  [
    "a prompt with arguments of wrong types",
    frame({
      id: 16,
      method: "prompts/get",
      params: { name: "start_workflow", arguments: { task: { MARK } } },
    }),
  ],
  [
    "a completion of wrong types",
    frame({ id: 17, method: "completion/complete", params: { ref: { type: MARK }, argument: MARK } }),
  ],
  ["an unknown level", frame({ id: 18, method: "logging/setLevel", params: { level: MARK } })],
  [
    "another hello",
    frame({
      id: 19,
      method: "initialize",
      params: { protocolVersion: MARK, capabilities: { MARK }, clientInfo: { name: MARK, version: MARK } },
    }),
  ],
  [
    "a hello of wrong types",
    frame({ id: 21, method: "initialize", params: { protocolVersion: { MARK }, clientInfo: MARK } }),
  ],
];

describe("the log at its most talkative holds nothing of what a client has sent", () => {
  test("over stdio", async () => {
    const folder = temporaryFolder();
    const { child, stdout, stderr } = spawnBin([], {
      HOME: folder,
      ...toVariables({
        API_KEY: "test-key",
        BASE_URL: "http://127.0.0.1:1",
        STATE_DIR: folder,
        LOG_LEVEL: "trace",
        MAX_RETRIES: "0",
      }),
    });
    const lines = [JSON.stringify(HELLO), ...MESSAGES.map(([, text]) => text), MARK.repeat(1_000_000)];
    child.stdin?.write(`${lines.join("\n")}\n`);
    child.stdin?.write(`${frame({ id: "last", method: "ping" })}\n`);
    await until(() => stdout().includes('"id":"last"'), "the last answer", 30_000);
    await until(() => stdout().includes('"id":20'), "the calls' answers", 30_000);
    expect(stderr()).toContain("A message from the client cannot be read: it is too long.");
    expect(stderr()).toContain("Received a response for an unknown message ID");
    child.stdin?.end();
    // Calls may still be looking for what they will not find.
    await until(() => child.exitCode !== null, "the end", 30_000);
    expect(stderr()).not.toContain(MARK);
    expect(stderr()).not.toMatch(/Zod|^\s+at /m);
  }, 60_000);

  test("over HTTP", async () => {
    const bin = await startServeBin({
      settings: {
        BASE_URL: "http://127.0.0.1:1",
        LOG_LEVEL: "trace",
        MAX_RETRIES: "0",
        HTTP_MAX_CALLS: "100",
      },
      args: ["--sse"],
    });
    const hello = await sendPlain(`${bin.url}/mcp`, { method: "POST", headers: JSON_HEADERS, body: HELLO });
    const session = { ...JSON_HEADERS, "mcp-session-id": String(hello.headers["mcp-session-id"]) };
    const send = (headers: Record<string, string>, body: string, path = "/mcp") =>
      sendPlain(`${bin.url}${path}`, { method: "POST", headers, body });
    for (const [, body] of MESSAGES) {
      // Some are answered, some are not; what counts is what is written about it.
      await Promise.race([send(session, body), new Promise((resolve) => setTimeout(resolve, 5_000))]);
    }
    await send(JSON_HEADERS, MESSAGES[0]?.[1] ?? "");
    await send({ ...session, "mcp-session-id": MARK }, frame({ id: 1, method: "ping" }));
    await send({ ...session, "mcp-protocol-version": MARK }, frame({ id: 1, method: "ping" }));
    await send({ ...session, "content-type": MARK }, frame({ id: 1, method: "ping" }));
    await send({ ...session, accept: MARK }, frame({ id: 1, method: "ping" }));
    await send({ ...session, authorization: MARK }, frame({ id: 1, method: "ping" }));
    await send(session, frame({ id: 1, method: "ping" }), `/${MARK}?${MARK}`);
    await send(session, frame({ id: 1, method: "ping" }), `/messages?sessionId=${MARK}`);
    await sendPlain(`${bin.url}/mcp`, {
      headers: { ...session, "last-event-id": `1.${MARK}`, accept: "text/event-stream" },
    });
    expect(bin.stderr()).toMatch(/Request \d+: POST another path → 404/);
    expect(bin.stderr()).not.toContain(MARK);
    expect(bin.stderr()).not.toMatch(/Zod|^\s+at /m);
  }, 60_000);
});

test("of what libraries want to log, only what stands before any quotation is kept", () => {
  const id = new Error(`Received a response for an unknown message ID: {"id":5,"result":"${MARK}"}`);
  expect(withoutContents(["[FastMCP error]", id])).toBe(
    "[FastMCP error] Received a response for an unknown message ID",
  );
  expect(withoutContents([`Unexpected token '${MARK}'`, { MARK }, [MARK]])).toBe("Unexpected token");
});
