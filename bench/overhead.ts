/**
 * What we add to a request: the time of a tool call through our bin over stdio, less that of a bare `fetch` of the
 * same request, at one and at ten calls at once, medians. The simulated API, our server and the client are a process
 * each. Beside it what the framework alone adds: a plain server with one tool that sends the same request on.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { type BenchOptions, BIN, median } from "./part.js";

const GOAL_MS = 5;
/** Of ten starts at once, in ms: each writes a session down. */
const GOAL_OF_TEN_STARTS_MS = 15;
const AT_ONCE = [1, 10];
const ROUTER = "/api/v1/workflows/claude-code";
const KEY = "test-key";
const SIMULATED_API = fileURLToPath(new URL("../dist/mocks/serve-main.js", import.meta.url));
const PLAIN = fileURLToPath(new URL("plain-forward.mjs", import.meta.url));
/** A pause between batches of starts, in ms: what one leaves to be written is not the next one's time. */
const REST_MS = 100;
/** Batches that do not count, since the code runs cold in them. */
const WARM_UP = 10;
/** A run's turn, in ms: long enough that none changes while it is measured. */
const PACE_MS = 3_600_000;

const WAYS = ["ours", "plain", "bare"] as const;
type Way = (typeof WAYS)[number];

/** One thing in all ways; each call of any is one request at the API. */
interface Subject extends Record<Way, () => Promise<unknown>> {
  title: string;
  /** A pause before each batch, in ms. */
  restMs?: number;
  /** What ten at once may add, where that is more than the goal for one. */
  goalOfTenMs?: number;
}

/** @returns the goals that were missed */
export async function benchOverhead({ rounds = 45, print }: BenchOptions): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "automagik-bench-"));
  const { child, url } = await serveApi();
  const clients: Client[] = [];
  async function connect(args: string[], env: Record<string, string>): Promise<Client> {
    const client = new Client({ name: "bench", version: "1.0.0" });
    clients.push(client);
    const { PATH = "" } = process.env;
    const how = {
      command: process.execPath,
      args,
      stderr: "ignore" as const,
      env: { PATH, HOME: folder, ...env },
    };
    await client.connect(new StdioClientTransport(how));
    return client;
  }
  try {
    const ours = await connect([BIN], {
      AUTOMAGIK_WORKFLOWS_API_KEY: KEY,
      AUTOMAGIK_WORKFLOWS_BASE_URL: url,
      AUTOMAGIK_WORKFLOWS_STATE_DIR: folder,
      AUTOMAGIK_WORKFLOWS_TOOLSET: "named",
    });
    const plain = await connect([PLAIN], { API_KEY: KEY, API_URL: url + ROUTER });
    const missed: string[] = [];
    print(
      `Overhead over a bare fetch, medians of ${rounds} calls; goal ${GOAL_MS} ms, of ten starts at once ${GOAL_OF_TEN_STARTS_MS} ms`,
    );
    for (const subject of await createSubjects(ours, plain, url)) {
      for (const atOnce of AT_ONCE) {
        const times = await measure(subject, atOnce, Math.ceil(rounds / atOnce));
        const over = times.ours - times.bare;
        const title = `${subject.title}, ${atOnce} at once`;
        const goalMs = (atOnce > 1 && subject.goalOfTenMs) || GOAL_MS;
        const failed = over > goalMs;
        const show = (ms: number) => `${ms.toFixed(1).padStart(6)} ms`;
        print(
          `  ${title.padEnd(28)} ours ${show(times.ours)}   plain ${show(times.plain)}   fetch ${show(times.bare)}   ` +
            `over ${show(over)}, plain ${show(times.plain - times.bare)}${failed ? ", missed" : ""}`,
        );
        if (failed) missed.push(`${title}: ${over.toFixed(1)} ms, goal ${goalMs} ms`);
      }
    }
    return missed;
  } finally {
    for (const client of clients) await client.close();
    child.kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function serveApi(): Promise<{ child: ChildProcess; url: string }> {
  const args = [SIMULATED_API, "--port", "0", "--api-key", KEY, "--pace", String(PACE_MS)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  const url = await new Promise<string>((resolve, reject) => {
    let said = "";
    child.once("close", () => reject(new Error(`The simulated API ended: ${said}`)));
    child.stderr?.on("data", (chunk) => {
      said += chunk;
      const [, found] = /at (http:\S+)\n/.exec(said) ?? [];
      if (found) resolve(found);
    });
  });
  return { child, url };
}

async function createSubjects(client: Client, plain: Client, url: string): Promise<Subject[]> {
  let started = 0;
  async function call(name: string, args: Record<string, unknown>): Promise<Record<string, unknown>> {
    const result = await client.callTool({ name, arguments: args });
    if (result.isError) throw new Error(JSON.stringify(result.content));
    return result.structuredContent as Record<string, unknown>;
  }
  async function request(path: string, body?: object): Promise<void> {
    const response = await fetch(`${url}${ROUTER}${path}`, {
      headers: { "x-api-key": KEY, "content-type": "application/json" },
      ...(body ? { method: "POST", body: JSON.stringify(body) } : {}),
    });
    await response.json();
    if (!response.ok) throw new Error(`${path} was answered with ${response.status}.`);
  }
  async function forward(path: string, body?: Record<string, string>): Promise<void> {
    const result = await plain.callTool({ name: "forward", arguments: { path, ...(body ? { body } : {}) } });
    if (result.isError) throw new Error(JSON.stringify(result.content));
  }
  const run = (name: string) =>
    call("run_workflow", {
      workflow_name: "architect",
      message: "Design the login",
      session_name: name,
      repository_url: "",
      git_branch: "",
      wait_seconds: 0,
    });
  const first = (await run("bench-first")).run as { run_id: string };
  const { run_id } = first;
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  const start = (name: string) =>
    [
      "/run/architect",
      { message: "Design the login", input_format: "stream-json", session_name: name },
    ] as const;
  const message = [`/run/${run_id}/add-message`, { message_type: "user", content: "Go on" }] as const;
  const status = `/run/${run_id}/status?debug=true`;
  return [
    {
      title: "start a run",
      restMs: REST_MS,
      goalOfTenMs: GOAL_OF_TEN_STARTS_MS,
      ours: () => run(`bench-${++started}`),
      plain: () => forward(...start(`plain-${++started}`)),
      bare: () => request(...start(`bare-${++started}`)),
    },
    {
      title: "send feedback",
      ours: () => call("send_feedback", { run_id, message: "Go on", wait_seconds: 0 }),
      plain: () => forward(...message),
      bare: () => request(...message),
    },
    {
      title: "read a status",
      ours: () => call("get_session_status", { run_id }),
      plain: () => forward(status),
      bare: () => request(status),
    },
  ];
}

/** All ways by turns, so that whatever else the machine does meets each. @returns medians, in ms */
async function measure(subject: Subject, atOnce: number, batches: number): Promise<Record<Way, number>> {
  const times: Record<Way, number[]> = { ours: [], plain: [], bare: [] };
  for (let batch = 1 - WARM_UP; batch <= batches; batch++) {
    for (const way of WAYS) {
      if (subject.restMs) await new Promise((resolve) => setTimeout(resolve, subject.restMs));
      const taken = await Promise.all(
        Array.from({ length: atOnce }, async () => {
          const began = performance.now();
          await subject[way]();
          return performance.now() - began;
        }),
      );
      if (batch > 0) times[way].push(...taken);
    }
  }
  return { ours: median(times.ours), plain: median(times.plain), bare: median(times.bare) };
}
