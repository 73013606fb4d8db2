import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import type { Progress } from "@modelcontextprotocol/sdk/types.js";
import { afterEach, describe, expect, test } from "vitest";
import { type ServedApi, type ServeOptions, serveSimulatedApi } from "../mocks/serve.js";
import {
  BIN,
  type Bin,
  type BinOptions,
  runBin,
  startBin,
  temporaryFolder,
  toVariables,
} from "./support/bin.js";
import { COMPLETE, until } from "./support/harness.js";
import { asLongAs } from "./support/patient.js";

const KEY = "sk-live-7d1f0a9b";
const TASK = { workflow_name: "architect", message: "Design the JWT login for my app", max_turns: 10 };

let apis: ServedApi[] = [];
let bins: Bin[] = [];

async function serve(options: ServeOptions = {}): Promise<ServedApi> {
  const served = await serveSimulatedApi({ apiKey: KEY, paceMs: "manual", ...options });
  apis.push(served);
  return served;
}

async function start(options: BinOptions): Promise<Bin> {
  const bin = await startBin({ ...options, settings: { API_KEY: KEY, ...options.settings } });
  bins.push(bin);
  return bin;
}

// Holds for every session of every test, however it went.
afterEach(async () => {
  for (const bin of bins) {
    expectOnlyProtocol(bin.stdout());
    expect(bin.stderr()).not.toContain(KEY);
    expect(bin.stderr()).not.toMatch(/^\s+at /m);
  }
  bins = [];
  await Promise.all(apis.map((served) => served.close()));
  apis = [];
});

function expectOnlyProtocol(stdout: string): void {
  for (const line of stdout.split("\n").slice(0, -1)) {
    expect(JSON.parse(line), line).toMatchObject({ jsonrpc: "2.0" });
  }
}

/** What the one tool says of its workflows. */
async function readWorkflowSchema({ client }: Bin): Promise<{ enum?: string[]; description: string }> {
  const { tools } = await client.listTools();
  return tools[0]?.inputSchema.properties?.workflow_name as { enum?: string[]; description: string };
}

/** An address where nobody listens, and the port to listen there later. */
async function findFreePort(): Promise<{ url: string; port: number }> {
  const { url, close } = await serveSimulatedApi();
  await close();
  return { url, port: Number(new URL(url).port) };
}

const isStatus = ({ path }: { path: string }) => path.endsWith("/status");

async function measure(work: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await work();
  return Math.round(performance.now() - since);
}

describe("a session over stdio", () => {
  test.each([
    ["super", ["orchestrate_workflow"]],
    [
      "named",
      [
        "run_workflow",
        "get_session_status",
        "send_feedback",
        "answer_question",
        "show_diff",
        "take_work",
        "discard_work",
        "check_pull_request",
        "list_sessions",
        "list_workflows",
        "get_message_queue",
        "kill_run",
        "cleanup_run",
        "run_plan",
        "list_plans",
        "show_history",
      ],
    ],
  ])("lists the tools of toolset %s, with the API's workflows as an enum", async (toolset, names) => {
    const { url, api } = await serve();
    const bin = await start({ url, settings: { TOOLSET: toolset } });
    const { tools } = await bin.client.listTools();
    expect(tools.map((tool) => tool.name)).toEqual(names);
    const schema = await readWorkflowSchema(bin);
    expect(schema.enum).toEqual(api.world.workflows.list().map((workflow) => workflow.name));
  });

  test("asks for what is missing, shows every turn as it happens and brings back the result", async () => {
    const { url, api } = await serve();
    const bin = await start({
      url,
      onForm: () => ({
        action: "accept",
        content: { session_name: "auth-system-project", repository_url: "", git_branch: "" },
      }),
    });
    const progress: Progress[] = [];
    const call = bin.call({ ...TASK }, { onprogress: (update) => progress.push(update) });
    await until(() => progress.length > 0, "the first progress");
    const run = api.world.run(api.world.runs()[0]?.runId ?? "");
    const actions = ["Reading the project", "Designing database schema", "Writing the document"];
    for (const [index, action] of actions.entries()) {
      run.turn(action);
      const message = `Turn ${index + 1}/10: ${action}`;
      await until(() => progress.at(-1)?.message === message, message);
    }
    run.complete({ result: "The design is in docs/auth.md" });
    const answer = await call;

    expect(answer.isError).toBe(false);
    expect(answer.data).toMatchObject({
      outcome: "completed",
      run: { run_id: run.state.runId, session_name: "auth-system-project", turn: 3, max_turns: 10 },
    });
    expect(answer.text).toContain("The design is in docs/auth.md");
    const counts = progress.map((update) => update.progress);
    expect(counts).toEqual([...new Set(counts)].sort((a, b) => a - b));
    expect(progress.filter(({ message }) => message?.startsWith("Turn ")).map(({ total }) => total)).toEqual([
      10, 10, 10,
    ]);
    expect(bin.forms).toHaveLength(1);
    expect(api.posts("/run/")[0]?.body).toMatchObject({ session_name: "auth-system-project", max_turns: 10 });
  });

  test("sends nothing when the person declines", async () => {
    const { url, api } = await serve();
    const bin = await start({ url, onForm: () => ({ action: "decline" }) });
    const answer = await bin.call({ ...TASK });
    expect(answer.data.outcome).toBe("declined");
    expect(api.posts()).toEqual([]);
  });
});

describe("stdout and stderr", () => {
  test("stay the protocol's and the log's, whatever the client sends", async () => {
    const { url } = await serve();
    const bin = await start({ url, settings: { LOG_LEVEL: "trace" } });
    for (const line of [
      "no JSON",
      '{"jsonrpc":"2.0"}',
      "[]",
      '{"jsonrpc":"2.0","id":99,"method":"no/such"}',
    ]) {
      bin.child.stdin?.write(`${line}\n`);
    }
    await until(() => bin.stdout().includes('"id":99'), "the answer to the unknown method");
    expect(bin.stdout()).toContain("-32601");
    await expect(bin.call({}, { tool: "no_such_tool" })).rejects.toThrow();
    expect(await bin.client.ping()).toEqual({});
  });

  test.each([
    ["fails", { status: 500, body: { detail: `Traceback: header x-api-key was ${KEY}` } }],
    ["refuses the key and repeats it", { status: 401, body: { detail: `Invalid API Key ${KEY}` } }],
    ["breaks connections", { drop: "before" as const }],
    ["is another server", { body: `<html>${KEY}</html>` }],
  ])("never carry the key when the API %s", async (_what, fault) => {
    const { url, api } = await serve();
    api.fault({}, fault);
    const bin = await start({ url, settings: { LOG_LEVEL: "trace", MAX_RETRIES: "0" } });
    for (const args of [{ action: "list_workflows" }, { action: "status", run_id: "r1" }]) {
      expect((await bin.call(args)).text).toMatch(/could not/i);
    }
    expect(bin.stderr()).toContain("[warn]");
    expect(bin.stdout()).not.toContain(KEY);
  });

  test("keep a library's printing and an unforeseen failure to what may be said", async () => {
    const { url } = await serve();
    const code = `process.on("SIGUSR2", () => {
      console.log("printed", "${KEY}", new Error("passed on"), { error: new Error("inside") });
      setTimeout(() => { throw new Error("unforeseen ${KEY}"); });
    });`;
    const bin = await start({
      url,
      env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` },
    });
    bin.child.kill("SIGUSR2");
    expect(await bin.ended()).toBe(1);
    expect(bin.stderr()).toContain("printed [secret] Error: passed on");
    expect(bin.stderr()).toContain("unforeseen [secret]");
  });
});

describe("an API that cannot be had", () => {
  test("is told of in the schema, and its workflows come in the same session once it is there", async ({
    annotate,
  }) => {
    const { url, port } = await findFreePort();
    let bin: Bin | undefined;
    const elapsed = await measure(async () => {
      bin = await start({ url, settings: { LOG_LEVEL: "trace" } });
    });
    await annotate(`API down: connected after ${elapsed} ms`);
    if (!bin) throw new Error("not started");
    expect(elapsed).toBeLessThan(await asLongAs(5_000));
    expect(bin.client.getServerCapabilities()?.tools).toEqual({ listChanged: true });
    const before = await readWorkflowSchema(bin);
    expect(before.enum).toBeUndefined();
    expect(before.description).toContain("The list is not available yet.");
    expect(before.description).toContain(`${url} cannot be reached (ECONNREFUSED)`);

    const { api } = await serve({ port });
    const { listChanges } = bin;
    await until(() => listChanges() > 0, "the notification");
    const after = await readWorkflowSchema(bin);
    expect(after.enum).toEqual(api.world.workflows.list().map((workflow) => workflow.name));
  });

  test("greets the client at once when it does not answer; only the first list waits, for three seconds", async ({
    annotate,
  }) => {
    const { url, api } = await serve();
    api.fault({}, { hang: true });
    let bin: Bin | undefined;
    const greeted = await measure(async () => {
      bin = await start({ url });
    });
    let description = "";
    const listed = await measure(async () => {
      description = bin ? (await readWorkflowSchema(bin)).description : "";
    });
    await annotate(`API hangs: connected after ${greeted} ms, first list after ${listed} ms more`);
    expect(greeted + listed).toBeGreaterThan(2_900);
    expect(listed).toBeGreaterThan(1_000);
    expect(greeted + listed).toBeLessThan(await asLongAs(10_000));
    expect(description).toContain("The list is not available yet.");
  });

  test("does not keep the process when the client goes away while it does not answer", async ({
    annotate,
  }) => {
    const { url, api } = await serve();
    api.fault({}, { hang: true });
    const bin = await start({ url });
    const elapsed = await measure(async () => {
      bin.child.stdin?.end();
      await bin.ended();
    });
    await annotate(`gone after ${elapsed} ms`);
    expect(elapsed).toBeLessThan(await asLongAs(2_500));
  });

  test("is told of when it refuses the key", async () => {
    const { url, api } = await serve({ apiKey: "another-key" });
    const bin = await start({ url, settings: { LOG_LEVEL: "trace" } });
    const { description } = await readWorkflowSchema(bin);
    expect(description).toContain("refused the key (HTTP 401");
    expect(description).toContain("AUTOMAGIK_WORKFLOWS_API_KEY");
    const answer = await bin.call({ ...COMPLETE });
    expect(answer.isError).toBe(true);
    expect(answer.text).toContain("refused the key");
    expect(api.world.runs()).toEqual([]);
  });

  test("is left in peace without a key, and both schema and answers say what to set", async () => {
    const { url, api } = await serve();
    const bin = await start({ url, settings: { API_KEY: "" } });
    expect((await readWorkflowSchema(bin)).description).toContain("AUTOMAGIK_WORKFLOWS_API_KEY");
    for (const args of [{ ...COMPLETE }, { action: "list_workflows" }, { action: "status", run_id: "r1" }]) {
      const { text } = await bin.call(args);
      expect(text).toContain("Set AUTOMAGIK_WORKFLOWS_API_KEY");
      expect(text).toContain("--engine local");
    }
    expect(bin.stderr()).toContain("No API key");
    expect(bin.stderr()).toContain("--engine local");
    expect(api.requests).toEqual([]);
  });
});

describe("a workflow that is new in the API", () => {
  const seed = { name: "translate", description: "Translate the documentation" };

  test("appears in the enum at the next refresh, with a notification", async () => {
    const { url, api } = await serve();
    const bin = await start({ url, settings: { REFRESH_INTERVAL: "5" } });
    expect((await readWorkflowSchema(bin)).enum).not.toContain("translate");
    const changes = bin.listChanges();
    api.world.workflows.add(seed);
    await until(() => bin.listChanges() > changes, "the notification");
    expect((await readWorkflowSchema(bin)).enum).toContain("translate");
  });

  test("can be run at once, while a wrong name is answered with the nearest", async () => {
    const { url, api } = await serve();
    const bin = await start({ url });
    api.world.workflows.add(seed);
    const wrong = await bin.call({ ...COMPLETE, workflow_name: "architekt" });
    expect(wrong.isError).toBe(true);
    expect(wrong.text).toContain('There is no workflow "architekt". Nearest: architect.');
    expect(api.posts()).toEqual([]);
    const right = await bin.call({ ...COMPLETE, workflow_name: "translate", wait_seconds: 0 });
    expect(right.data).toMatchObject({ outcome: "started", run: { workflow_name: "translate" } });
  });
});

test("a run is found again by its session's name after the process that started it has gone", async () => {
  const { url, api } = await serve();
  const first = await start({ url });
  const started = await first.call({ ...COMPLETE, wait_seconds: 0 });
  expect(started.data.outcome).toBe("started");
  await first.client.close();
  expect(await first.ended()).toBe(0);

  const run = api.world.run(started.data.run.run_id);
  const second = await start({ url, stateFolder: first.stateFolder });
  const progress: Progress[] = [];
  const call = second.call(
    { action: "status", session_name: COMPLETE.session_name, wait_seconds: 60 },
    { onprogress: (update) => progress.push(update) },
  );
  await api.waitFor(isStatus);
  run.turn("Designing database schema");
  await until(
    () => progress.some(({ message }) => message?.endsWith(": Designing database schema")),
    "the turn",
  );
  run.complete({ result: "All done" });
  const answer = await call;
  expect(answer.data).toMatchObject({
    outcome: "completed",
    run: { run_id: run.state.runId, result: "All done" },
  });
  expect(api.posts()).toHaveLength(1);
});

describe("the end of the process", () => {
  /** A session with a run being watched by a call. */
  async function startWatching(options: Partial<BinOptions> = {}) {
    const { url, api } = await serve();
    const bin = await start({ url, settings: { LOG_LEVEL: "debug" }, ...options });
    const call = bin.call({ ...COMPLETE, wait_seconds: 600 }, { timeoutMs: 60_000 });
    await api.waitFor(isStatus);
    return { bin, api, call, runId: api.world.runs()[0]?.runId ?? "" };
  }

  test("comes at once when the client closes stdin", async ({ annotate }) => {
    const { bin, call } = await startWatching();
    call.catch(() => {});
    const elapsed = await measure(async () => {
      bin.child.stdin?.end();
      expect(await bin.ended()).toBe(0);
    });
    await annotate(`stdin closed: gone after ${elapsed} ms`);
    expect(elapsed).toBeLessThan(await asLongAs(3_000));
  });

  test("comes at once when the client is killed", async ({ annotate }) => {
    const { url, api } = await serve();
    // The bin inherits descriptor 3 as its stderr: its end is the end of everybody who held it.
    const code = `
      const bin = require("node:child_process").spawn(process.execPath, [${JSON.stringify(BIN)}], { stdio: ["pipe", "pipe", 3] });
      const send = (message) => bin.stdin.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\\n");
      bin.stdout.once("data", () => {
        send({ method: "notifications/initialized" });
        send({ id: 2, method: "tools/call", params: { name: "orchestrate_workflow", arguments: ${JSON.stringify({ ...COMPLETE, wait_seconds: 600 })} } });
      });
      send({ id: 1, method: "initialize", params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "doomed", version: "1" } } });`;
    const client = spawn(process.execPath, ["-e", code], {
      env: {
        PATH: process.env.PATH,
        ...toVariables({
          API_KEY: KEY,
          BASE_URL: url,
          STATE_DIR: temporaryFolder(),
          POLLING_INTERVAL: "0.2",
        }),
      },
      stdio: ["ignore", "ignore", "inherit", "pipe"],
    });
    await api.waitFor(isStatus, 15_000);
    const held = client.stdio[3] as Readable;
    const elapsed = await measure(async () => {
      client.kill("SIGKILL");
      await once(held.resume(), "end");
    });
    await annotate(`client killed: gone after ${elapsed} ms`);
    expect(elapsed).toBeLessThan(await asLongAs(3_000));
    expect(api.world.runs()[0]?.status).toBe("running");
  });

  test("waits on SIGTERM until the call in flight is answered with the run's id", async ({ annotate }) => {
    const { bin, call, runId, api } = await startWatching();
    const elapsed = await measure(async () => {
      bin.child.kill("SIGTERM");
      const answer = await call;
      expect(answer.text).toContain(`the run continues as ${runId}`);
      expect(answer.data).toMatchObject({ outcome: "running", run: { run_id: runId } });
      expect(await bin.ended()).toBe(0);
    });
    await annotate(`SIGTERM: answered and gone after ${elapsed} ms`);
    expect(elapsed).toBeLessThan(await asLongAs(3_000));
    expect(api.posts(/kill/)).toEqual([]);
  });

  test("waits on SIGTERM until long answers have been read", async () => {
    const workflows = Array.from({ length: 100 }, (_, index) => ({
      name: `workflow-${index}`,
      description: "Does one thing and does it well. ".repeat(20),
    }));
    const { url } = await serve({ workflows });
    const bin = await start({ url, settings: { LOG_LEVEL: "debug" } });
    // Together more than any pipe takes while nobody reads.
    const calls = Array.from({ length: 20 }, () => bin.call({ action: "list_workflows" }));
    await once(bin.child.stdout as Readable, "data");
    bin.child.stdout?.pause();
    bin.child.kill("SIGTERM");
    await until(() => bin.stderr().includes("Stopping"), "the signal to have arrived");
    bin.child.stdout?.resume();
    const answers = await Promise.all(calls);
    expect(JSON.stringify(answers).length).toBeGreaterThan(1_000_000);
    expect(await bin.ended()).toBe(0);
  });

  test("comes at once at the second signal", async ({ annotate }) => {
    const { url, api } = await serve();
    api.fault({ method: "POST" }, { hang: true });
    const bin = await start({ url, settings: { LOG_LEVEL: "debug" } });
    bin.call({ ...COMPLETE }).catch(() => {});
    await api.waitFor(({ method }) => method === "POST");
    bin.child.kill("SIGTERM");
    await until(() => bin.stderr().includes("Stopping: SIGTERM"), "the first signal to have arrived");
    const elapsed = await measure(async () => {
      bin.child.kill("SIGTERM");
      expect(await bin.ended()).toBe(1);
    });
    await annotate(`second signal: gone after ${elapsed} ms`);
    expect(elapsed).toBeLessThan(await asLongAs(2_000));
  });

  test("closes an open form and sends nothing", async () => {
    const { url, api } = await serve();
    let closed = false;
    const bin = await start({
      url,
      onForm: (_form, signal) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            closed = true;
            resolve({ action: "cancel" });
          });
        }),
    });
    const call = bin.call({ ...TASK });
    await until(() => bin.forms.length === 1, "the form");
    bin.child.kill("SIGTERM");
    const { data, text } = await call;
    expect(data.outcome).toBe("cancelled");
    expect(text).toContain("This server is stopping, so the form was closed. Nothing was sent");
    expect(await bin.ended()).toBe(0);
    expect(closed).toBe(true);
    expect(api.posts()).toEqual([]);
  });
});

describe("the command line", () => {
  test.each<[string, string[], Record<string, string>, RegExp[]]>([
    ["a number out of bounds", [], { TIMEOUT: "5" }, [/AUTOMAGIK_WORKFLOWS_TIMEOUT/, /"5"/, /60–14400 s/]],
    ["a flag out of bounds", ["--max-turns", "0"], {}, [/--max-turns/, /"0"/, /1–200/]],
    [
      "an old name's value",
      [],
      { V2_TIMEOUT: "soon" },
      [/AUTOMAGIK_WORKFLOWS_V2_TIMEOUT/, /"soon"/, /60–14400/],
    ],
    ["a key with a space", [], { API_KEY: "two words" }, [/AUTOMAGIK_WORKFLOWS_API_KEY/, /without spaces/]],
    ["a key with a line break", [], { API_KEY: "two\nwords" }, [/AUTOMAGIK_WORKFLOWS_API_KEY/]],
    ["a key flag with a space", ["--api-key=two words"], {}, [/--api-key/]],
    ["a key flag cut by a space", ["--api-key", "two", "words"], {}, [/unknown command/]],
    [
      "an address with credentials",
      [],
      { BASE_URL: "http://two:words@host" },
      [/_BASE_URL/, /contains credentials/],
    ],
    ["an unknown flag", ["--api-ky=words"], {}, [/unknown flag --api-ky; --api-key may be meant/]],
    ["an unknown command", ["dmeo"], {}, [/unknown command; demo may be meant/]],
    ["a flag without a value", ["--api-key", "--log-level", "debug"], {}, [/--api-key: a value is missing/]],
  ])("refuses %s in one line on stderr, with exit code 2", async (_what, args, settings, said) => {
    const { code, stdout, stderr } = await runBin(args, toVariables(settings));
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    for (const pattern of said) expect(stderr).toMatch(pattern);
    expect(stderr).not.toMatch(/two|words/);
  });

  test.each([
    ["--help", /automagik-workflows-mcp demo[\s\S]*--api-key/],
    ["--version", /^\d+\.\d+\.\d+\n$/],
  ])("answers %s on stdout", async (flag, said) => {
    const { code, stdout, stderr } = await runBin([flag]);
    expect(code).toBe(0);
    expect(stdout).toMatch(said);
    expect(stderr).toBe("");
  });

  test("serves until there is nothing more to read, and is as silent as it is told to be", async () => {
    const { code, stdout, stderr } = await runBin(["stdio"], toVariables({ LOG_LEVEL: "silent" }));
    expectOnlyProtocol(stdout);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  test("prefers a flag to a variable", async () => {
    const { url } = await serve();
    const bin = await start({
      settings: { TOOLSET: "super", BASE_URL: "http://127.0.0.1:1" },
      args: ["--toolset", "named", `--base-url=${url}`],
    });
    const { tools } = await bin.client.listTools();
    expect(tools.length).toBeGreaterThan(1);
    expect((await readWorkflowSchema(bin)).enum).toContain("architect");
  });

  test("takes the names of the earlier generation", async () => {
    const { url, api } = await serve();
    const bin = await start({ settings: { API_KEY: "", V2_API_KEY: KEY, V2_API_BASE_URL: url } });
    expect((await readWorkflowSchema(bin)).enum).toContain("architect");
    expect(api.requests[0]?.headers["x-api-key"]).toBe(KEY);
  });
});
