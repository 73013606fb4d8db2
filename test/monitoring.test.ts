import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { METRICS } from "../src/monitoring/names.js";
import { spanIdsOf } from "../src/shared/trace-parent.js";
import { startBin, temporaryFolder } from "./support/bin.js";
import { COMPLETE } from "./support/harness.js";
import { connectHttp, startServeBin } from "./support/http.js";

// What operators are told, by the published bin.

const LIMIT_MS = 60_000;

/** @param paceMs how long a turn of a run takes; manual: it goes on until it is told to end */
async function simulate(paceMs: number | "manual" = 20) {
  const served = await serveSimulatedApi({ paceMs });
  onTestFinished(() => served.close());
  return served;
}

async function serve(
  settings: Record<string, string> = {},
  paceMs: number | "manual" = 20,
  env: Record<string, string> = {},
) {
  const { url: BASE_URL, api } = await simulate(paceMs);
  const bin = await startServeBin({ settings: { BASE_URL, METRICS: "on", ...settings }, env });
  const read = async (headers: Record<string, string> = {}) => {
    const response = await fetch(`${bin.url}/metrics`, { headers });
    return {
      status: response.status,
      type: response.headers.get("content-type"),
      text: await response.text(),
    };
  };
  return { ...bin, api, read };
}

/** The value behind a name with these labels; undefined where it is not told. */
function figure(text: string, name: string, ...labels: string[]): number | undefined {
  const line = text
    .split("\n")
    .find((one) => one.startsWith(name) && labels.every((label) => one.includes(label)));
  return line === undefined ? undefined : Number(line.split(" ").at(-1));
}

/** A collector that keeps what it is sent, by path. */
async function startCollector() {
  const received: { path: string; headers: NodeJS.Dict<string | string[]>; body: string }[] = [];
  const http = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (part) => {
      body += part;
    });
    request.on("end", () => {
      received.push({ path: request.url ?? "", headers: request.headers, body });
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void http.close());
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, received };
}

describe("the figures that serve tells", () => {
  it(
    "count a run that goes on, its end, its cost, the call and the requests to the API",
    async () => {
      const { url, api, read } = await serve({}, "manual");
      const { call } = await connectHttp(url);
      await call({ ...COMPLETE, wait_seconds: 0 });
      const before = await read();
      expect(before).toMatchObject({ status: 200, type: "text/plain; version=0.0.4; charset=utf-8" });
      expect(figure(before.text, METRICS.runsActive)).toBe(1);
      // Prometheus tells how much a count has increased only from what it has seen before.
      for (const outcome of ["completed", "failed", "killed"])
        expect(
          figure(before.text, `${METRICS.runs}_total`, 'workflow="architect"', `outcome="${outcome}"`),
        ).toBe(0);
      expect(figure(before.text, `${METRICS.costUsd}_total`, 'workflow="architect"')).toBe(0);
      api.world.run(api.world.runs()[0]?.runId ?? "").complete({ costUsd: 0.25 });
      const text = await vi.waitFor(async () => {
        const { text } = await read();
        expect(figure(text, `${METRICS.runs}_total`, 'workflow="architect"', 'outcome="completed"')).toBe(1);
        expect(figure(text, `${METRICS.costUsd}_total`, 'workflow="architect"')).toBe(0.25);
        return text;
      }, LIMIT_MS);
      expect(figure(text, METRICS.runsActive)).toBe(0);
      expect(figure(text, `${METRICS.upstreamRequests}_total`, 'status="200"')).toBeGreaterThan(0);
      expect(
        figure(text, "mcp_server_operation_duration_seconds_count", 'action="run"', 'failed="false"'),
      ).toBe(1);
      // Neither twice nor less by being asked again.
      expect(figure((await read()).text, `${METRICS.runs}_total`, 'outcome="completed"')).toBe(1);
      expect(text).not.toMatch(/my-session|example\.org|github/);
    },
    LIMIT_MS,
  );

  it(
    "count a run that its limit of turns has cut off as failed, as history does",
    async () => {
      const { url, api, read } = await serve({}, "manual");
      const { call } = await connectHttp(url);
      await call({ ...COMPLETE, max_turns: 1, wait_seconds: 0 });
      const run = api.world.run(api.world.runs()[0]?.runId ?? "");
      run.turn("Working");
      run.complete({ result: "Not ready" });
      await vi.waitFor(async () => {
        const { text } = await read();
        expect(figure(text, `${METRICS.runs}_total`, 'workflow="architect"', 'outcome="failed"')).toBe(1);
      }, LIMIT_MS);
    },
    LIMIT_MS,
  );

  it(
    "are in the form that Prometheus wants",
    async () => {
      const { url, read } = await serve();
      const { call } = await connectHttp(url);
      await call({ ...COMPLETE, wait_seconds: 20 });
      const { text } = await read();
      let promtool: string;
      try {
        promtool = execFileSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });
      } catch (error) {
        const { code, stdout, stderr } = error as { code?: string; stdout: string; stderr: string };
        // Debian's package `prometheus` has it; what it complains of comes with another exit code.
        if (code === "ENOENT") return;
        throw new Error(`${stdout}${stderr}`);
      }
      expect(promtool).toBe("");
    },
    LIMIT_MS,
  );

  it("are for callers with a token, where there are tokens", async () => {
    const { read } = await serve({ TOKENS: "ann=0123456789abcdef" });
    expect((await read()).status).toBe(401);
    expect((await read({ authorization: "Bearer 0123456789abcdef" })).status).toBe(200);
    expect(
      (await read({ authorization: "Bearer 0123456789abcdef", origin: "https://evil.example" })).status,
    ).toBe(403);
  });

  it("are not there unless they are asked for", async () => {
    const { read } = await serve({ METRICS: "off" });
    expect((await read()).status).toBe(404);
  });

  it(
    "leave out what goes on while the API does not answer, also what was known before, and say that it does not",
    async () => {
      const { api, read, url } = await serve({}, "manual");
      const { call } = await connectHttp(url);
      await call({ ...COMPLETE, wait_seconds: 0 });
      expect(figure((await read()).text, METRICS.runsActive)).toBe(1);
      api.fault({}, { status: 503 });
      const text = await vi.waitFor(async () => {
        const { status, text } = await read();
        expect(status).toBe(200);
        expect(figure(text, METRICS.runsActive)).toBeUndefined();
        return text;
      }, LIMIT_MS);
      const refused = (told: string) =>
        figure(told, `${METRICS.upstreamRequests}_total`, 'status="503"') ?? 0;
      expect(refused(text)).toBeGreaterThan(0);
      // However many ask for figures, the API is not asked for each of them.
      const texts = await Promise.all(Array.from({ length: 30 }, () => read()));
      expect(refused(texts.at(-1)?.text ?? "") - refused(text)).toBeLessThan(10);
    },
    LIMIT_MS,
  );
});

it(
  "a collector gets figures, and a span for each run with the ids that its agent was told",
  async () => {
    const collector = await startCollector();
    const settings = {
      OTLP_ENDPOINT: `${collector.url}/`,
      OTLP_HEADERS: "authorization=Bearer collector-secret",
      OTLP_INTERVAL: "1",
      LOG_LEVEL: "debug",
    };
    // For another collector of this machine.
    const env = { OTEL_EXPORTER_OTLP_HEADERS: "x-other-key=another-secret" };
    const { url, api, child, ended, stderr } = await serve(settings, 20, env);
    const { call } = await connectHttp(url);
    await call({ ...COMPLETE, wait_seconds: 20 });
    const runId = api.world.runs()[0]?.runId ?? "";
    const { traceId, spanId } = spanIdsOf("run", runId);
    const traces = () => collector.received.filter(({ path }) => path === "/v1/traces");
    await vi.waitFor(() => expect(traces()).toHaveLength(1), LIMIT_MS);
    const [sent] = traces();
    expect(sent?.headers.authorization).toBe("Bearer collector-secret");
    expect(JSON.stringify(collector.received)).not.toContain("another-secret");
    const span = JSON.parse(sent?.body ?? "").resourceSpans[0].scopeSpans[0].spans[0];
    expect(span).toMatchObject({ traceId, spanId, name: "invoke_agent architect" });
    expect(Number(span.endTimeUnixNano)).toBeGreaterThan(Number(span.startTimeUnixNano));
    child.kill("SIGTERM");
    await ended();
    const figures = collector.received.filter(({ path }) => path === "/v1/metrics").at(-1)?.body ?? "";
    expect(figures).toContain(METRICS.runs);
    expect(traces()).toHaveLength(1);
    expect(stderr()).not.toContain("collector-secret");
  },
  LIMIT_MS,
);

it(
  "a collector that is away keeps nothing from being served",
  async () => {
    const { url, stderr } = await serve({ OTLP_ENDPOINT: "http://127.0.0.1:9", OTLP_INTERVAL: "1" });
    const { call } = await connectHttp(url);
    expect((await call({ ...COMPLETE, wait_seconds: 20 })).data.outcome).toBe("completed");
    await vi.waitFor(
      () => expect(stderr()).toMatch(/Figures did not reach the collector: .*ECONNREFUSED/),
      LIMIT_MS,
    );
    expect(stderr()).not.toMatch(/\bat .*:\d+:\d+/);
  },
  LIMIT_MS,
);

it(
  "the background process that carries plans out tells its figures on loopback",
  async () => {
    const { url: BASE_URL } = await simulate();
    const port = await freePort();
    const { call } = await startBin({
      url: BASE_URL,
      stateFolder: temporaryFolder(),
      settings: { METRICS_PORT: String(port) },
    });
    const steps = JSON.stringify([
      { id: "build", run: "implement", task: "Build it" },
      { id: "ok", gate: "Good?", needs: ["build"] },
    ]);
    await call({ action: "plan", plan: "", steps, session_name: "figures", wait_seconds: 30, ...PLACE });
    const text = await vi.waitFor(async () => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      expect(figure(text, METRICS.waiting, 'reason="gate"')).toBe(1);
      expect(figure(text, `${METRICS.runs}_total`, 'workflow="implement"')).toBe(1);
      return text;
    }, LIMIT_MS);
    expect(text).not.toContain('figures"');
    const foreign = await fetch(`http://127.0.0.1:${port}/metrics`, {
      headers: { origin: "https://evil.example" },
    });
    expect(foreign.status).toBe(403);
    await call({ action: "plan", plan: "figures" });
  },
  LIMIT_MS,
);

const PLACE = { repository_url: COMPLETE.repository_url, git_branch: COMPLETE.git_branch };

async function freePort(): Promise<number> {
  const http = createServer();
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  await new Promise((resolve) => http.close(resolve));
  return port;
}

it("each query of the dashboard for Grafana asks for figures that there are", () => {
  const file = readFileSync(new URL("../docs/grafana.json", import.meta.url), "utf8");
  const { panels } = JSON.parse(file) as { panels: { title: string; targets?: { expr: string }[] }[] };
  const told = new Set(
    Object.values(METRICS).flatMap((name) =>
      name.includes(".")
        ? ["bucket", "sum", "count"].map((part) => `${name.replaceAll(".", "_")}_seconds_${part}`)
        : [name, `${name}_total`],
    ),
  );
  const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  expect(queries.length).toBeGreaterThan(5);
  for (const query of queries) {
    const names = query.match(/\b(?:automagik_workflows|mcp_server)_\w+/g) ?? [];
    expect(names.length, query).toBeGreaterThan(0);
    for (const name of names) expect(told, query).toContain(name);
    for (const [, label, , value] of query.matchAll(/[{,]\s*(\w+)(=|!=)"([^"]*)"/g))
      expect(VALUES[label as keyof typeof VALUES], query).toContain(value);
    for (const [, by = ""] of query.matchAll(/\bby \(([^)]*)\)/g))
      for (const label of by.split(/,\s*/)) expect(LABELS, query).toContain(label);
  }
});

/** The labels of the figures, and the values of those whose values are ours. */
const VALUES = {
  outcome: ["completed", "failed", "killed", "sent"],
  reason: ["question", "slot", "gate", "plan"],
};
const LABELS = [...Object.keys(VALUES), "workflow", "status", "channel", "action", "failed", "le"];
