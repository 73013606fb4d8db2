import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { expect, it, onTestFinished } from "vitest";
import { serveHttp } from "../src/server/fastmcp/serve-http.js";
import { systemClock } from "../src/shared/clock.js";
import { createFixtureServer } from "./conformance/fixture-server.js";
import { silentLog } from "./support/harness.js";

// The official suite is fetched, and run by hand; that its fixtures still stand on the product's parts is seen here.

it("the conformance suite's fixtures report progress and show a form by the product's own parts", async () => {
  const served = await serveHttp({
    server: createFixtureServer({ ...silentLog, log: silentLog.info }),
    era: "auto",
    createServerForKey: () => {
      throw new Error("The fixtures need no key.");
    },
    clock: systemClock,
    log: silentLog,
    host: "127.0.0.1",
    port: 0,
    allowedHosts: [],
    allowedOrigins: [],
    tokens: [],
    takesKeys: false,
    sse: false,
    requestsPerMinute: 6_000,
    maxSessions: 10,
    maxCalls: 16,
    bodyLimitBytes: 1024 * 1024,
    idleMs: 60_000,
  });
  onTestFinished(() => served.close(0));
  const client = new Client({ name: "test", version: "1" }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: "decline" }));
  await client.connect(new StreamableHTTPClientTransport(new URL("/mcp", served.url)));
  onTestFinished(() => client.close());
  const progress: number[] = [];
  const reported = await client.callTool({ name: "test_tool_with_progress", arguments: {} }, undefined, {
    onprogress: (told) => progress.push(told.progress),
  });
  expect(reported.isError).toBeFalsy();
  expect(progress.length).toBeGreaterThanOrEqual(3);
  const asked = await client.callTool({ name: "test_elicitation", arguments: { message: "Your name?" } });
  expect(JSON.stringify(asked.content)).toContain("action=decline");
});
