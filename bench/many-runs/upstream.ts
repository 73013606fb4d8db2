/**
 * The workflows API that the measured server watches, in a process of its own: the simulated API, which has to be
 * asked, or the engine's own API, which pushes, with agents that only keep time. Tells its parent where it listens,
 * when each change of each run happens, and how many requests came.
 *
 *     upstream.ts polled|pushed
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serveSimulatedApi } from "../../mocks/serve.js";
import { AGENT_KINDS } from "../../src/engine/agent/agent-kinds.js";
import type { StartAgent } from "../../src/engine/agent/agent-process.js";
import type { AgentExit } from "../../src/engine/agent/events.js";
import { createEngine } from "../../src/engine/engine.js";
import type { Agents } from "../../src/engine/engine-options.js";
import { createEngineApp } from "../../src/engine/http/app.js";
import { serveEngine } from "../../src/engine/http/serve.js";
import { createRunStore } from "../../src/engine/runs/create-run-store.js";
import { createWorkflowLibrary } from "../../src/engine/workflows/workflow-library.js";
import { createWorkspaces } from "../../src/engine/workspaces/workspaces.js";
import { type Clock, systemClock } from "../../src/shared/clock.js";
import type { Log } from "../../src/shared/log.js";
import { openDatabase } from "../../src/store/database.js";
import type { FromUpstream } from "./messages.js";

const API_KEY = "key";
const tell = (message: FromUpstream) => process.send?.(message);
const quiet = () => {};
const log = new Proxy({}, { get: () => quiet }) as unknown as Log;

/** How a run goes: 8 to 20 turns of 5 to 10 s, which is quick for a coding agent. */
function drawCourse(): { turns: number; paceMs: number } {
  return { turns: 8 + Math.floor(Math.random() * 13), paceMs: 5_000 + Math.random() * 5_000 };
}

let requests = 0;

async function servePolled(): Promise<string> {
  const { url, api } = await serveSimulatedApi({
    apiKey: API_KEY,
    script({ body }) {
      const { turns, paceMs } = drawCourse();
      const startedAt = Date.now();
      const name = body.session_name ?? "";
      for (let turn = 1; turn <= turns + 1; turn++) {
        tell({
          type: "change",
          name,
          turn: turn > turns ? "end" : turn,
          at: Math.ceil(startedAt + turn * paceMs),
        });
      }
      return { paceMs, actions: Array.from({ length: turns }, (_, index) => `Step ${index + 1}`) };
    },
  });
  setInterval(() => {
    requests += api.requests.filter((one) => one.method === "GET").length;
    api.requests.length = 0;
  }, 100).unref();
  return url;
}

/** An agent without a process: it only keeps time. Its run's name stands in what it is asked to do. */
function createTimedAgent(clock: Clock): StartAgent {
  return ({ prompt, sessionId }, onEvent) => {
    const name = /bench-\d+/.exec(prompt)?.[0] ?? "";
    const { turns, paceMs } = drawCourse();
    let turn = 0;
    let exit: (how: AgentExit) => void = () => {};
    const exited = new Promise<AgentExit>((resolve) => {
      exit = resolve;
    });
    let cancel = clock.after(paceMs, step);

    function step(): void {
      turn++;
      if (turn > turns) {
        onEvent({ type: "result", ok: true, subtype: "success", text: "Done", turns, costUsd: 0.1 });
        return;
      }
      tell({ type: "change", name, turn, at: Date.now() });
      onEvent({ type: "turn", turn });
      onEvent({ type: "action", text: `Step ${turn}` });
      cancel = clock.after(paceMs, step);
    }
    // The engine lets it end a second after its result, if no message has come by then.
    function end(): void {
      cancel();
      tell({ type: "change", name, turn: "end", at: Date.now() });
      const how: AgentExit = { type: "exit", code: 0, signal: null, stderr: "" };
      queueMicrotask(() => {
        onEvent(how);
        exit(how);
      });
    }
    onEvent({ type: "init", sessionId, tools: [] });
    return {
      pid: 0,
      processStart: "",
      send: () => true,
      answer: () => true,
      hold() {},
      letGo() {},
      worksBeside: () => false,
      interrupt: async () => true,
      end,
      async kill() {
        end();
      },
      exited,
    };
  };
}

async function servePushed(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "automagik-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  for (const name of ["workspaces", "workflows"]) mkdirSync(join(folder, name));
  const clock = systemClock;
  const env = { PATH: process.env.PATH, HOME: folder };
  const runs = await createRunStore({ database: await openDatabase({ folder }), clock });
  const library = createWorkflowLibrary({
    shippedFolder: fileURLToPath(new URL("../../workflows", import.meta.url)),
    ownFolder: join(folder, "workflows"),
    clock,
    onProblem: () => {},
  });
  const timed = createTimedAgent(clock);
  const agents: Agents = {
    all: AGENT_KINDS,
    get: (name) => AGENT_KINDS.find((kind) => kind.name === name),
    isOffered: async () => true,
    find: async () => ({ ok: true, path: "timed" }),
    start: (_name, agent, onEvent) => timed(agent, onEvent),
  };
  const engine = createEngine({
    runs,
    library,
    workspaces: createWorkspaces({
      folder: join(folder, "workspaces"),
      allowedFolders: [],
      pushAllowed: false,
      sessionInUse: () => false,
      env,
      clock,
    }),
    agents,
    prepareHandover: async () => join(folder, "handover.md"),
    limits: { concurrency: 10_000, questionTimeoutMs: 60_000 },
    env,
    clock,
    log,
    endLeftover: async () => false,
  });
  await engine.open();
  const onRequest = () => void requests++;
  const options = { engine, runs, library, apiKey: API_KEY, agents, onRequest, clock, log };
  const { app } = createEngineApp({ ...options, version: "0.0.0" });
  return (await serveEngine({ app, host: "127.0.0.1", port: 0 })).url;
}

process.on("message", () => {
  tell({ type: "requests", count: requests });
  requests = 0;
});
process.on("disconnect", () => process.exit());
tell({ type: "ready", url: await (process.argv[2] === "pushed" ? servePushed() : servePolled()) });
