import { describe, expect, test } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { COMPLETE } from "./support/harness.js";
import { startHttpWithApi } from "./support/http.js";
import type { Frame } from "./support/modern-frames.js";
import { readRecorded, recordedNames } from "./support/modern-recorded.js";
import { connectModern } from "./support/modern-server.js";

/*
 * What the real Claude Code has sent to a server of protocol 2026-07-28 (test/fixtures/modern-era), sent to ours. Of each
 * answer everything has to be there that the recorded one has; ids of tasks, states, keys of forms and the arguments of
 * the one tool are our own.
 */

/** For these a run has to go on or to ask: test/modern-recorded-calls.test.ts. */
const ELSEWHERE = ["stdio-legacy", "stdio-esc-cancelled", "stdio-no-tasks"];
/** Why our answer to a frame is another one than the recorded server's. */
const DIFFERENT: Readonly<Record<string, string>> = {
  // Addresses of resources are our own.
  "stdio-list-changed 7": "uri",
  // The other server asked for roots and two forms at once; ours asks one form, which is cancelled.
  "stdio-mrtr-roots-and-two-forms 5": "forms",
};

/** Sends one frame and resolves with its answer. */
type Send = (frame: Frame, headers: Record<string, string> | undefined) => Promise<Frame>;

const UNNAMED = { ...COMPLETE, session_name: undefined };

/** Sends what the client has sent, in its order, with our own names for what a server names. */
async function replay(name: string, send: Send, taskId: () => Promise<string>): Promise<void> {
  const { frames } = readRecorded(name);
  const sent = new Map<unknown, { msg: Frame; answer: Promise<Frame> }>();
  let asked: Frame;
  for (const { dir, msg, headers } of frames) {
    if (!dir.startsWith("client")) {
      // What the recorded server has answered by then is waited for, and nothing else.
      const request = sent.get(msg?.id);
      if (!request || msg.method !== undefined) continue;
      const got = await request.answer;
      if (got.result?.resultType === "input_required") asked = got;
      compare(name, request.msg, msg, got);
      continue;
    }
    if (msg.method === undefined || msg.id === undefined) continue;
    const params = { ...msg.params };
    if (params.taskId !== undefined && name !== "stdio-task-unknown") params.taskId = await taskId();
    if (msg.method === "tools/call")
      params.arguments = params.arguments.session_name === undefined ? UNNAMED : COMPLETE;
    if (params.requestState !== undefined) {
      params.requestState = name === "stdio-requeststate-refused" ? "stale" : asked.result.requestState;
      const [reply] = Object.values(params.inputResponses) as Frame[];
      const key = Object.keys(asked.result.inputRequests)[0] ?? "";
      params.inputResponses = { [key]: reply.action ? reply : { action: "cancel" } };
    }
    const answer = send({ ...msg, params }, headers);
    sent.set(msg.id, { msg, answer });
    // Those that nothing waits for end with the server.
    answer.catch(() => {});
  }
}

function compare(name: string, { id, method }: Frame, expected: Frame, got: Frame): void {
  const what = `${name} ${id}`;
  if (DIFFERENT[what]) return;
  expect(got.error?.code, `${what}: ${JSON.stringify(got.error)}`).toBe(expected.error?.code);
  if (!expected.result) return;
  // How far the run is, is not part of the recording.
  const varies = ["inputRequests", "result", "status"];
  for (const [field, value] of Object.entries<Frame>(expected.result)) {
    if (method === "tasks/get" && varies.includes(field)) continue;
    expect(got.result, `${what}, ${method}`).toHaveProperty(field);
    const type = (one: Frame) => (one === null ? "null" : Array.isArray(one) ? "array" : typeof one);
    expect(type(got.result[field]), `${what}, ${field}`).toBe(type(value));
  }
  for (const field of ["resultType", "supportedVersions"])
    expect(got.result[field], `${what}, ${field}`).toEqual(expected.result[field]);
}

describe("what Claude Code sends on stdio", () => {
  test.each(recordedNames.filter((name) => name.startsWith("stdio") && !ELSEWHERE.includes(name)))(
    "%s is answered as it expects",
    async (name) => {
      const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual" });
      const client = connectModern({ settings: { BASE_URL: served.url } });
      let begun: Promise<string> | undefined;
      const taskId = () => {
        begun ??= client.call(COMPLETE).then(({ result }) => result.taskId);
        return begun;
      };
      await replay(name, ({ id, method, params }) => client.send(id, method, params), taskId);
      await client.server.close(0);
      await served.close();
    },
  );
});

describe("what Claude Code sends over HTTP", () => {
  test.each(recordedNames.filter((name) => name.startsWith("http")))(
    "%s is answered as it expects",
    async (name) => {
      const http = await startHttpWithApi({ settings: { ERA: "auto", TASK_AFTER: "0" } });
      const leaving = new AbortController();
      const send: Send = async (frame, recorded = {}) => {
        const {
          authorization: _,
          host: _host,
          "content-length": _length,
          connection: _c,
          ...headers
        } = recorded;
        if (headers["mcp-name"] && frame.params.taskId) headers["mcp-name"] = frame.params.taskId;
        const response = await fetch(`${http.url}/mcp`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify(frame),
          signal: leaving.signal,
        });
        if (frame.method === "subscriptions/listen") return undefined;
        const text = await response.text();
        const lines = text.startsWith("{")
          ? [text]
          : [...text.matchAll(/^data: (\{.*)$/gm)].map(([, one = ""]) => one);
        return lines.map((line) => JSON.parse(line)).find(({ id }) => id === frame.id);
      };
      let begun: Promise<string> | undefined;
      const taskId = () => {
        const { msg, headers } = readRecorded("http-mrtr-form-then-task").frames[0] ?? { msg: {} };
        const params = { ...msg.params, arguments: COMPLETE };
        begun ??= send({ ...msg, params }, headers).then(({ result }) => result.taskId);
        return begun;
      };
      await replay(name, send, taskId);
      leaving.abort();
    },
  );
});
