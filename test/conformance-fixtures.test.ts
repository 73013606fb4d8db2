import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { expect, it, onTestFinished } from "vitest";
import { serveFixtures } from "./conformance/serve-fixtures.js";
import { silentLog } from "./support/harness.js";

// The official suite is fetched, and run by hand; that its fixtures still stand on the product's parts is seen here.

it("the conformance suite's fixtures report progress and show a form by the product's own parts", async () => {
  const served = await serveFixtures({ ...silentLog, log: silentLog.info });
  onTestFinished(() => served.close());
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
