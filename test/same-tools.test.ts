import { expect, onTestFinished, test } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { COMPLETE } from "./support/harness.js";
import { startHttpWithApi } from "./support/http.js";
import type { Frame } from "./support/modern-frames.js";
import { sendModern } from "./support/modern-http.js";
import { connectModern } from "./support/modern-server.js";

// Whoever calls gets the same tools in the same order over all connections, so that clients and models may keep them.

const TOOLSET = "named";
const NEW = { name: "translate", description: "Translate the texts" };
const workflowsIn = (tools: Frame[]): string[] =>
  tools.find(({ name }) => name === "run_workflow").inputSchema.properties.workflow_name.enum;
const namesIn = (tools: Frame[]): string[] => tools.map(({ name }) => name);

/** Two windows of one person, each with a server of its own before the same API. */
async function openTwoWindows() {
  const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual" });
  onTestFinished(() => served.close());
  const connect = () => connectModern({ settings: { TOOLSET, BASE_URL: served.url } });
  return { api: served.api, first: connect(), second: connect() };
}

test("a run that begins changes nothing about the tools, in its own window and in another one", async () => {
  const { first, second } = await openTwoWindows();
  const { tools } = (await first.request("tools/list")).result;
  expect(tools.length).toBeGreaterThan(10);
  const started = await first.request("tools/call", { name: "run_workflow", arguments: COMPLETE });
  expect(started.result.resultType).toBe("task");
  for (const client of [first, second])
    expect((await client.request("tools/list")).result.tools).toEqual(tools);
});

test("two windows have the same tools when the list of workflows has just changed: one has seen it, one begins", async () => {
  const { api, first, second } = await openTwoWindows();
  const before = (await first.request("tools/list")).result.tools;
  api.world.workflows.add(NEW);
  first.clock.skip(600_000);
  await first.request("tools/call", { name: "list_workflows", arguments: {} });
  const { tools } = (await first.request("tools/list")).result;
  expect(workflowsIn(tools)).toEqual([...workflowsIn(before), NEW.name]);
  expect(namesIn(tools)).toEqual(namesIn(before));
  expect((await second.request("tools/list")).result.tools).toEqual(tools);
});

test("over HTTP requests and sessions of one caller have the same tools as soon as one of them has seen a change", async () => {
  const http = await startHttpWithApi({ settings: { ERA: "auto", TOOLSET } });
  const { client } = await http.connect();
  const list = async () => (await sendModern(http, "tools/list")).answer.result.tools as Frame[];
  const before = await list();
  http.api.world.workflows.add(NEW);
  // A workflow that is not known is looked for in the API's list.
  const run = { ...COMPLETE, workflow_name: NEW.name, wait_seconds: 0 };
  const { answer } = await sendModern(http, "tools/call", { name: "run_workflow", arguments: run });
  expect(answer.result.structuredContent.outcome).toBe("started");
  const earlier = client.listTools().then(({ tools }) => tools as Frame[]);
  const [tools = [], ...others] = await Promise.all([list(), list(), earlier, list()]);
  expect(workflowsIn(tools)).toEqual([...workflowsIn(before), NEW.name]);
  expect(namesIn(tools)).toEqual(namesIn(before));
  for (const other of others) expect(other).toEqual(tools);
});
