/**
 * What we add to a request: the time of a tool call through our bin over stdio, less that of a bare `fetch` of the
 * same request, at one and at ten calls at once, medians. The simulated API, our server and the client are a process
 * each.
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
const AT_ONCE = [1, 10];
const ROUTER = "/api/v1/workflows/claude-code";
const KEY = "test-key";
const SIMULATED_API = fileURLToPath(new URL("../dist/mocks/serve-main.js", import.meta.url));
/** A pause between batches of starts, in ms: what one leaves to be written is not the next one's time. */
const REST_MS = 100;
/** Batches that do not count, since the code runs cold in them. */
const WARM_UP = 10;
/** A run's turn, in ms: long enough that none changes while it is measured. */
const PACE_MS = 3_600_000;

/** One thing in both ways; each call of either is one request at the API. */
interface Pair {
  title: string;
  /** A pause before each batch, in ms. */
  restMs?: number;
  ours(): Promise<unknown>;
  bare(): Promise<unknown>;
}

/** @returns the goals that were missed */
export async function benchOverhead({ rounds = 45, print }: BenchOptions): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "automagik-bench-"));
  const { child, url } = await serveApi();
  const client = new Client({ name: "bench", version: "1.0.0" });
  try {
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [BIN],
        stderr: "ignore",
        env: {
          PATH: process.env.PATH ?? "",
          HOME: folder,
          AUTOMAGIK_WORKFLOWS_API_KEY: KEY,
          AUTOMAGIK_WORKFLOWS_BASE_URL: url,
          AUTOMAGIK_WORKFLOWS_STATE_DIR: folder,
          AUTOMAGIK_WORKFLOWS_TOOLSET: "named",
        },
      }),
    );
    const missed: string[] = [];
    print(`Overhead over a bare fetch, medians of ${rounds} calls; goal ${GOAL_MS} ms`);
    for (const pair of await createPairs(client, url)) {
      for (const atOnce of AT_ONCE) {
        const batches = Math.ceil(rounds / atOnce);
        const [ours, bare] = await measure(pair, atOnce, batches);
        const over = ours - bare;
        const title = `${pair.title}, ${atOnce} at once`;
        const failed = over > GOAL_MS;
        print(
          `  ${title.padEnd(28)} ours ${ours.toFixed(1).padStart(6)} ms   fetch ${bare.toFixed(1).padStart(6)} ms   ` +
            `over ${over.toFixed(1).padStart(5)} ms${failed ? ", missed" : ""}`,
        );
        if (failed) missed.push(`${title}: ${over.toFixed(1)} ms, goal ${GOAL_MS} ms`);
      }
    }
    return missed;
  } finally {
    await client.close();
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

async function createPairs(client: Client, url: string): Promise<Pair[]> {
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
  return [
    {
      title: "start a run",
      restMs: REST_MS,
      ours: () => run(`bench-${++started}`),
      bare: () =>
        request("/run/architect", {
          message: "Design the login",
          input_format: "stream-json",
          session_name: `bare-${++started}`,
        }),
    },
    {
      title: "send feedback",
      ours: () => call("send_feedback", { run_id, message: "Go on", wait_seconds: 0 }),
      bare: () => request(`/run/${run_id}/add-message`, { message_type: "user", content: "Go on" }),
    },
    {
      title: "read a status",
      ours: () => call("get_session_status", { run_id }),
      bare: () => request(`/run/${run_id}/status?debug=true`),
    },
  ];
}

/** Both ways by turns, so that whatever else the machine does meets both. @returns medians, in ms */
async function measure(pair: Pair, atOnce: number, batches: number): Promise<[ours: number, bare: number]> {
  const times = { ours: [] as number[], bare: [] as number[] };
  for (let batch = 1 - WARM_UP; batch <= batches; batch++) {
    if (pair.restMs) await new Promise((resolve) => setTimeout(resolve, pair.restMs));
    for (const way of ["ours", "bare"] as const) {
      const taken = await Promise.all(
        Array.from({ length: atOnce }, async () => {
          const began = performance.now();
          await pair[way]();
          return performance.now() - began;
        }),
      );
      if (batch > 0) times[way].push(...taken);
    }
  }
  return [median(times.ours), median(times.bare)];
}
