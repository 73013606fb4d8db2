import { randomUUID } from "node:crypto";
import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { statusToRun, statusWire } from "../src/api/wire/run.js";
import { toRow } from "../src/dashboard/run-row.js";
import { costText } from "../src/dashboard/ui/format.js";
import type { AgentKind } from "../src/engine/agent/agent-kind.js";
import { AGENT_KINDS } from "../src/engine/agent/agent-kinds.js";
import type { AgentEvent } from "../src/engine/agent/events.js";
import { createContractClient } from "./contract/upstream.js";
import { temporaryFolder } from "./support/bin.js";
import { COMPLETE, connectInMemory } from "./support/harness.js";
import { ENGINE_KEY, SCRIPTED_AGENT, startLocalEngine } from "./support/local-engine.js";
import { connectForPlans } from "./support/plan-chat.js";

// The agent of a run, from the argument, the workflow.json or a plan's step to the program that is started.

const [CLAUDE] = AGENT_KINDS as [AgentKind];
const START = { ...COMPLETE, repository_url: "", git_branch: "" };

/**
 * An engine with a second kind, which tells no cost, and a client of the server before it.
 * @param forPlans what that kind says at the end of its runs, one after the other
 */
async function open(forPlans?: string[]) {
  const home = realpathSync(temporaryFolder());
  const own = join(home, "config", "automagik-workflows-mcp", "workflows", "second-look");
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, "prompt.md"), "Look at it.");
  writeFileSync(join(own, "workflow.json"), JSON.stringify({ agent: "codex" }));
  const started: string[] = [];
  const kind = (name: AgentKind["name"], more: Partial<AgentKind["capabilities"]> = {}): AgentKind => ({
    ...CLAUDE,
    name,
    find: (place) => CLAUDE.find({ ...place, configured: SCRIPTED_AGENT }),
    title: name === "codex" ? "Codex" : CLAUDE.title,
    capabilities: { ...CLAUDE.capabilities, ...more },
    start(options, onEvent) {
      started.push(options.resume ? `${name} again` : name);
      if (name === "claude") return CLAUDE.start(options, onEvent);
      const sessionId = options.resume ? options.sessionId : randomUUID();
      return CLAUDE.start({ ...options, sessionId }, (event) => {
        const { costUsd: _untold, ...told } = event as { costUsd?: number } & AgentEvent;
        const text = event.type === "result" && forPlans?.shift();
        if (event.type !== "cost") onEvent(text ? ({ ...told, text } as AgentEvent) : told);
      });
    },
  });
  const kinds = [
    kind("claude"),
    kind("codex", { chosenSessionId: false, tellsCost: false, costLimit: false }),
  ];
  const engine = await startLocalEngine(home, {}, {}, { kinds });
  onTestFinished(() => engine.close());
  const { call } = await (forPlans ? connectForPlans : connectInMemory)({
    home,
    locate: async () => ({ baseUrl: engine.url, apiKey: ENGINE_KEY }),
    settings: { ENGINE: "local", API_KEY: ENGINE_KEY },
  });
  return { started, call, contract: createContractClient({ url: engine.url, apiKey: ENGINE_KEY }) };
}

it("is that of the start, else of the workflow, and its cost is unknown where it tells none", async () => {
  const { started, call, contract } = await open();
  const usual = await call({ ...START, session_name: "first" });
  const named = await call({ ...START, session_name: "second", agent: "codex" });
  const own = await call({ ...START, workflow_name: "second-look", session_name: "third" });
  expect(started, named.text + own.text).toEqual(["claude", "codex", "codex"]);
  expect(usual.data.run).toMatchObject({ status: "completed", model: "scripted-model" });
  expect(usual.data.run.cost_usd).toBeGreaterThan(0);
  for (const { data, text } of [named, own]) {
    expect(data.run, text).toMatchObject({ status: "completed", model: "scripted-model (codex)" });
    expect(data.run).not.toHaveProperty("cost_usd");
    expect(data.run.cost_at_least).toBe(true);
  }
  // On the dashboard.
  const { run_id } = named.data.run;
  const status = statusWire.parse((await contract.get(`/run/${run_id}/status`)).body);
  const row = toRow(statusToRun(run_id, status), {});
  expect(row).toMatchObject({ agent: "codex", costAtLeast: true });
  expect([costText(row), costText({ ...row, costUsd: 1 })]).toEqual(["unknown", "> $1.00"]);
  const listed = (await contract.get("/manage")).body;
  expect(listed.find(({ name }: { name: string }) => name === "second-look")).toMatchObject({
    agent: "codex",
  });
  const health = (await contract.get("/health")).body;
  expect(health.agents).toEqual([
    { name: "claude", title: "Claude Code", available: true, version: expect.any(String) },
    { name: "codex", title: "Codex", available: true, version: expect.any(String) },
  ]);
});

it("is another one than the session had: the answer says so", async () => {
  const { call } = await open();
  await call({ ...START, session_name: "login" });
  const { text, data } = await call({
    message: "Go on",
    workflow_name: "second-look",
    continue_session: "login",
    wait_seconds: 0,
  });
  expect(data.outcome).toBe("started");
  expect(text).toContain(
    'Session "login" was with Claude Code so far and goes on with Codex: the conversation begins anew, from the handover note.',
  );
});

it("is that of a plan's step; a limit of cost that it cannot keep is a mistake of the plan", async () => {
  const { started, call } = await open([]);
  const steps = [
    { id: "build", run: "implement", task: "Build it" },
    { id: "look", run: "review", agent: "claude", needs: ["build"], continue: "build", task: "Look at it" },
    { id: "again", run: "fix", agent: "codex", needs: ["look"], continue: "look", task: "Once more" },
  ];
  const plan = (limits: object) => ({
    action: "plan",
    plan: JSON.stringify({ name: "panel", limits, steps }),
    session_name: "panel",
    repository_url: "",
    git_branch: "",
    confirm: true,
  });
  const refused = await call(plan({ cost_usd: 5 }));
  expect(refused.text).toContain('Step "again" is for the agent codex, which does not tell what it costs');
  expect(started).toEqual([]);
  const done = await call(plan({ runs: 5 }));
  expect(done.data.outcome, done.text).toBe("completed");
  expect(started).toEqual(["claude", "claude again", "codex"]);
});

it("in a plan the one implements and the other reviews, which sends it back once", async () => {
  const verdict = (word: string) => `I have looked.\n\n\`\`\`json\n{ "verdict": "${word}" }\n\`\`\``;
  const { started, call } = await open([verdict("changes"), verdict("approve")]);
  const steps = [
    { id: "build", run: "implement", task: "Build it" },
    {
      ...{
        id: "look",
        run: "review",
        agent: "codex",
        needs: ["build"],
        continue: "build",
        task: "Look at it",
      },
      output: { verdict: { enum: ["approve", "changes"] } },
      back_to: { step: "build", when: `\${steps.look.output.verdict} == changes`, max: 2 },
    },
  ];
  const plan = JSON.stringify({ name: "two-minds", steps });
  const done = await call({
    ...{ action: "plan", plan, session_name: "two-minds", confirm: true },
    ...{ repository_url: "", git_branch: "" },
  });
  expect(done.data.outcome, done.text).toBe("completed");
  // Each goes on in the conversation that it had, and knows what it had said there.
  expect(started).toEqual(["claude", "codex", "claude again", "codex again"]);
});

it("cannot be chosen at an API that names none: nothing is sent", async () => {
  const api = await serveSimulatedApi();
  onTestFinished(() => api.close());
  const { call } = await connectInMemory({ settings: { BASE_URL: api.url } });
  const { isError, text } = await call({ ...COMPLETE, agent: "codex" });
  expect(isError).toBe(true);
  expect(text).toMatch(/`agent` "codex": the API at .* lets nobody choose the agent\. Nothing was sent\./);
});
