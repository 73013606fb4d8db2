import { describe, expect, test } from "vitest";
import { readAccept } from "../src/server/http/accept.js";
import { COMPLETE, until } from "./support/harness.js";
import { HELLO, JSON_HEADERS, sendPlain, startHttpWithApi } from "./support/http.js";

const { accept: _, ...WITHOUT_ACCEPT } = JSON_HEADERS;

describe("what a client says that it accepts", () => {
  test.each([
    ["everything", "*/*", "text/event-stream"],
    ["nothing in particular", undefined, "text/event-stream"],
    ["an empty text", "", "text/event-stream"],
    ["both, as the protocol wants it", JSON_HEADERS.accept, "text/event-stream"],
    ["both, with weights", "application/json;q=0.5, text/event-stream;q=0.9", "text/event-stream"],
    ["a stream only", "text/event-stream", "text/event-stream"],
    ["JSON only", "application/json", "application/json"],
    ["JSON, and no stream", "application/json, text/event-stream;q=0", "application/json"],
    ["JSON in capitals", "Application/JSON", "application/json"],
  ])("is served: %s", async (_what, accept, type) => {
    const { url } = await startHttpWithApi();
    for (const path of ["/mcp", "/mcp/", "/mcp/?x=1"]) {
      const headers = { ...WITHOUT_ACCEPT, ...(accept === undefined ? {} : { accept }) };
      const hello = await sendPlain(url + path, { method: "POST", headers, body: HELLO });
      expect(hello.status).toBe(200);
      expect(hello.headers["content-type"]).toContain(type);
      const session = { ...headers, "mcp-session-id": String(hello.headers["mcp-session-id"]) };
      const body = { jsonrpc: "2.0", id: 2, method: "tools/list" };
      const { status, text } = await sendPlain(url + path, { method: "POST", headers: session, body });
      expect(status).toBe(200);
      expect(text).toContain(type === "application/json" ? '"id":2' : "id:");
      if (type === "application/json") expect(JSON.parse(text).result.tools).toHaveLength(1);
    }
  });

  test("is refused when it is neither, with the request's id, and no session is left behind", async () => {
    const { url } = await startHttpWithApi({ settings: { HTTP_MAX_SESSIONS: "1" } });
    for (let index = 0; index < 3; index++) {
      const { status, text } = await sendPlain(`${url}/mcp`, {
        method: "POST",
        headers: { ...WITHOUT_ACCEPT, accept: "text/html" },
        body: HELLO,
      });
      expect(status).toBe(406);
      expect(JSON.parse(text).id).toBe(1);
    }
    expect(readAccept("text/html, image/*")).toEqual({ stream: false, json: false });
  });

  test("a stream of news is for who accepts one", async () => {
    const { url } = await startHttpWithApi();
    const { headers } = await sendPlain(`${url}/mcp`, { method: "POST", headers: JSON_HEADERS, body: HELLO });
    const session = { "mcp-session-id": String(headers["mcp-session-id"]) };
    const refused = await sendPlain(`${url}/mcp`, { headers: { ...session, accept: "application/json" } });
    expect(refused.status).toBe(406);
    const stop = new AbortController();
    const opened = await fetch(`${url}/mcp`, { headers: { ...session, accept: "*/*" }, signal: stop.signal });
    expect(opened.headers.get("content-type")).toBe("text/event-stream");
    stop.abort();
  });
});

describe("a client that reads JSON only", () => {
  async function open(capabilities: object) {
    const http = await startHttpWithApi();
    const headers = { ...WITHOUT_ACCEPT, accept: "application/json" };
    const hello = await sendPlain(`${http.url}/mcp`, {
      method: "POST",
      headers,
      body: { ...HELLO, params: { ...HELLO.params, capabilities } },
    });
    const session = { ...headers, "mcp-session-id": String(hello.headers["mcp-session-id"]) };
    const call = async (args: object) => {
      const answer = await sendPlain(`${http.url}/mcp`, {
        method: "POST",
        headers: session,
        body: {
          jsonrpc: "2.0",
          id: 2,
          method: "tools/call",
          params: { name: "orchestrate_workflow", arguments: args, _meta: { progressToken: 1 } },
        },
      });
      return JSON.parse(answer.text) as { id: number; result: { structuredContent: { outcome: string } } };
    };
    return { http, call };
  }

  test("gets a call's answer when it has come to its end, and nothing of its progress", async () => {
    const { http, call } = await open({});
    const answer = call({ ...COMPLETE, wait_seconds: 60 });
    await until(() => http.api.world.runs().length > 0, "the run");
    const run = http.api.world.run(http.api.world.runs()[0]?.runId ?? "");
    run.turn("Looking around");
    run.complete({ result: "All done" });
    expect(await answer).toMatchObject({ id: 2, result: { structuredContent: { outcome: "completed" } } });
  });

  test("is not kept waiting for a form that it could never get to read", async () => {
    const { http, call } = await open({ elicitation: { form: {} } });
    const { result } = await call({ workflow_name: "architect", message: "Design it", wait_seconds: 0 });
    expect(result.structuredContent.outcome).not.toBe("completed");
    expect(http.api.posts()).toEqual([]);
  });
});
