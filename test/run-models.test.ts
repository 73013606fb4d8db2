import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { createContractClient } from "./contract/upstream.js";
import { temporaryFolder } from "./support/bin.js";
import { COMPLETE, connectInMemory, type InMemoryOptions } from "./support/harness.js";
import { ENGINE_KEY, startLocalEngine } from "./support/local-engine.js";

// The model of a run, from the argument to the agent's command line: its `--model` is what the scripted agent reports.

/** An engine with a workflow that names its models, and a client of the server before it. */
async function openEngine() {
  const home = realpathSync(temporaryFolder());
  const own = join(home, "config", "automagik-workflows-mcp", "workflows", "translate");
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, "prompt.md"), "Translate.");
  writeFileSync(
    join(own, "workflow.json"),
    JSON.stringify({ model: "haiku", models: ["claude-sonnet-5-5", "opus"] }),
  );
  const engine = await startLocalEngine(home);
  onTestFinished(() => engine.close());
  const window = (options: InMemoryOptions = {}) =>
    connectInMemory({
      home,
      locate: async () => ({ baseUrl: engine.url, apiKey: ENGINE_KEY }),
      ...options,
      settings: { ENGINE: "local", API_KEY: ENGINE_KEY },
    });
  return { window, contract: createContractClient({ url: engine.url, apiKey: ENGINE_KEY }) };
}
const START = { ...COMPLETE, repository_url: "", git_branch: "" };

it("the model of a run is the one that was asked for, also where the session had another before", async () => {
  const { window, contract } = await openEngine();
  const { call } = await window();
  const plain = await call({ ...START, session_name: "first" });
  expect(plain.data.run.model).toBe("scripted-model");
  const opus = await call({ ...START, session_name: "second", model: "Opus" });
  expect(opus.data.run.model).toBe("opus");
  expect(opus.text).toContain("model: opus");
  const haiku = await call({
    message: "Go on",
    workflow_name: "fix",
    continue_session: "second",
    model: "haiku",
  });
  expect(haiku.data.run).toMatchObject({
    status: "completed",
    model: "haiku",
    session_id: opus.data.run.session_id,
  });
  const { runs } = (await contract.get("/runs")).body;
  expect(runs.map(({ ai_model }: { ai_model: string }) => ai_model)).toEqual([
    "haiku",
    "opus",
    "scripted-model",
  ]);
  const status = await call({ action: "status", run_id: opus.data.run.run_id });
  expect(status.data.run.model).toBe("opus");
});

it("a workflow says which models its runs use and may use; others are refused, and nothing is started", async () => {
  const { window, contract } = await openEngine();
  const { call } = await window();
  const usual = await call({ ...START, session_name: "one", workflow_name: "translate" });
  expect(usual.data.run.model).toBe("haiku");
  const other = await call({
    ...START,
    session_name: "two",
    workflow_name: "translate",
    model: "claude-sonnet-5-5",
  });
  expect(other.data.run.model).toBe("claude-sonnet-5-5");
  const refused = await call({
    ...START,
    session_name: "three",
    workflow_name: "translate",
    model: "sonnet",
  });
  expect(refused.isError).toBe(true);
  expect(refused.text).toMatch(
    /^`model` "sonnet": the workflow translate allows claude-sonnet-5-5, opus, haiku\. Nothing was sent\./,
  );
  // The engine itself refuses what nobody has looked at before.
  const start = (workflow: string, model: string) =>
    contract.post(`/run/${workflow}`, { message: "Go", input_format: "stream-json", model });
  expect(await start("translate", "sonnet")).toMatchObject({
    status: 400,
    body: {
      detail: `The workflow 'translate' allows no model "sonnet". Allowed: claude-sonnet-5-5, opus, haiku. Others have to be named by \`models\` in its workflow.json.`,
    },
  });
  expect((await start("implement", "gpt-9")).body.detail).toContain(
    "Allowed: sonnet, opus, haiku, fable, best, opusplan, sonnet[1m], opus[1m], fable[1m].",
  );
  expect((await contract.get("/runs")).body.total_count).toBe(2);
  const { data } = await call({ action: "list_workflows", detailed: true });
  const listed = data.workflows.find(({ name }: { name: string }) => name === "translate");
  expect(listed.models).toEqual(["claude-sonnet-5-5", "opus", "haiku"]);
});

it("an API that takes no model is sent none, and nothing is started", async () => {
  const served = await serveSimulatedApi({ paceMs: 20 });
  onTestFinished(() => served.close());
  const { call, forms } = await connectInMemory({ settings: { BASE_URL: served.url, API_KEY: "test-key" } });
  const refused = await call({ ...COMPLETE, model: "opus" });
  expect(refused.isError).toBe(true);
  expect(refused.text).toMatch(
    /^`model` "opus": the API at \S+ takes no model, so the run would use the API's own\. Nothing was sent\. Ask the person/,
  );
  const odd = await call({ ...COMPLETE, model: "--dangerous" });
  expect(odd.text).toMatch(/^`model` "--dangerous" cannot be the name of a model\. Nothing was sent\./);
  expect({ forms, posts: served.api.posts("/run/") }).toEqual({ forms: [], posts: [] });
  const plain = await call({ ...COMPLETE, model: "" });
  expect(plain.data.outcome).toBe("completed");
  expect(served.api.posts("/run/")[0]?.body).not.toHaveProperty("model");
});
