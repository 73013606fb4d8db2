import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { http, passthrough } from "msw";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { Fault } from "../mocks/http.js";
import { serveSimulatedApi } from "../mocks/serve.js";
import { useSimulatedApi } from "../mocks/vitest.js";
import type { Profile, StartBody } from "../mocks/world.js";
import { createApiClient } from "../src/api/client.js";
import type { ApiError } from "../src/api/errors.js";
import type { Run, StartRequest } from "../src/api/types.js";
import type { StartResult } from "../src/runs/run-starter.js";
import { createRunWatcher } from "../src/runs/run-watcher.js";
import { createRuns, type Runs } from "../src/runs/runs.js";
import { COMPLETE, connectInMemory, silentLog, until } from "./support/harness.js";
import { createPausingClock, type PausingClock } from "./support/pausing-clock.js";

const TIMEOUT_MS = 10_000;
const REQUEST: StartRequest = {
  workflowName: "architect",
  message: "Design the JWT login for my app",
  inputFormat: "stream-json",
  sessionName: "auth",
  maxTurns: 10,
};
/** The same request as the API gets it. */
const BODY: StartBody = {
  message: REQUEST.message,
  session_name: "auth",
  max_turns: 10,
  input_format: "stream-json",
};

let clock: PausingClock;
/** How far the API's clock is ahead of ours, in ms. */
let skewMs = 0;
let profile: Profile = "contract";

const sim = useSimulatedApi(() => {
  clock = createPausingClock(TIMEOUT_MS);
  return {
    profile,
    clock: { now: () => clock.now() + skewMs },
    script: { manual: true },
    workflows: ["architect", "review"].map((name) => ({ name, description: name })),
  };
});
beforeEach(() => {
  skewMs = 0;
});

interface House {
  runs: Runs;
  started: Run[];
  /** Starts a run and lets the pauses of a look-up pass. */
  start(request?: StartRequest): Promise<StartResult>;
  /** Makes the house know a run as it does when somebody watches it. */
  watch(runId: string): Promise<void>;
}

function createHouse(baseUrl = sim.baseUrl): House {
  const api = createApiClient({
    baseUrl,
    apiKey: "test-key",
    requestTimeoutMs: TIMEOUT_MS,
    maxRetries: 3,
    clock,
    random: () => 0,
  });
  const watcher = createRunWatcher({
    api,
    clock,
    log: silentLog,
    pollingIntervalMs: 8_000,
    perSecond: 20,
    stallAfterMs: 3_600_000,
  });
  const started: Run[] = [];
  const runs = createRuns({ api, watcher, clock, onStarted: async (run) => started.push(run) > 0 });
  return {
    runs,
    started,
    start: (request = REQUEST) => clock.runOut(runs.start(request)),
    watch: (runId) =>
      new Promise((resolve) => {
        const seed = { runId, workflowName: "", status: "unknown", toolsUsed: [] as string[] };
        const watch = watcher.watch({ ...seed, phasesCompleted: [], filesChanged: [], commits: [] }, () => {
          // The picture is complete with the first answer; the rest of the watch is of no interest.
          queueMicrotask(() => watch.stop());
          resolve();
        });
      }),
  };
}

const posts = () => sim.api().posts("/run/");
const looks = () => sim.api().requests.filter((request) => request.path === "/runs");
const spoilStart = (fault: Fault, times = 1) =>
  sim.api().fault({ method: "POST", path: "/run/" }, fault, times);
const spoilList = (fault: Fault, times?: number) => sim.api().fault({ path: "/runs" }, fault, times);
const made = () => sim.api().world.runs();

function idOf(result: StartResult): string {
  if (result.kind !== "started") return expect.fail(`the start is ${result.kind}`);
  return result.run.runId;
}

const HTML = "<!doctype html><title>Bad gateway</title>";
const lost: [string, Fault][] = [
  ["a reset after it has acted", { drop: "after" }],
  ...[500, 502, 503, 504].map((status): [string, Fault] => [
    `${status}, though it has acted`,
    { status, act: true },
  ]),
  ["HTML with 200, though it has acted", { body: HTML, act: true }],
  ["JSON of another kind, though it has acted", { body: { ok: true }, act: true }],
  ["a redirect, though it has acted", { status: 307, body: "", headers: { location: "/" }, act: true }],
];
const nothing: [string, Fault][] = [
  ["a reset before it acts", { drop: "before" }],
  ...[500, 502, 503, 504].map((status): [string, Fault] => [`${status} without acting`, { status }]),
  ["HTML with 200 without acting", { body: HTML }],
];

describe.each<Profile>(["contract", "automagik-0.6"])("a start whose answer is lost (%s)", (server) => {
  // Set while the tests are collected for their own hooks: the API is made anew before each of them.
  beforeEach(() => {
    profile = server;
    return () => {
      profile = "contract";
    };
  });

  it.each(lost)("is sent once and found in the list: %s", async (_what, fault) => {
    spoilStart(fault);
    const house = createHouse();
    const result = await house.start();
    expect(result).toMatchObject({ kind: "started", adopted: true });
    expect(idOf(result)).toBe(made()[0]?.runId);
    expect(house.started).toMatchObject([{ runId: idOf(result), sessionName: "auth", maxTurns: 10 }]);
    expect(made()).toHaveLength(1);
    expect(posts()).toHaveLength(1);
    expect(clock.pauses).toEqual([0]);
  });

  it("is sent once and found in the list after a time-out", async () => {
    spoilStart({ hang: true, act: true });
    const house = createHouse();
    const work = house.start();
    await until(() => posts().length === 1, "the start");
    clock.advance(TIMEOUT_MS);
    expect(idOf(await work)).toBe(made()[0]?.runId);
    expect(posts()).toHaveLength(1);
  });

  it.each(nothing)(
    "is sent once and of unknown fate when the list shows nothing: %s",
    async (_what, fault) => {
      spoilStart(fault);
      const house = createHouse();
      expect(await house.start()).toMatchObject({
        kind: "unknown",
        list: "empty",
        error: { mayHaveActed: true },
      });
      expect(posts()).toHaveLength(1);
      expect(clock.pauses).toEqual([0, 1_000, 3_000]);
      expect(looks()).toHaveLength(3);
      expect(house.started).toEqual([]);
    },
  );
});

describe("looking a lost start up", () => {
  it("goes on while the API does not show the run yet", async () => {
    spoilStart({ drop: "after" });
    spoilList({ body: { runs: [] } }, 2);
    expect(idOf(await createHouse().start())).toBe(made()[0]?.runId);
    expect(clock.pauses).toEqual([0, 1_000, 3_000]);
    expect(posts()).toHaveLength(1);
  });

  it("goes on while the list cannot be read", async () => {
    spoilStart({ drop: "after" });
    spoilList({ status: 503 }, 1);
    spoilList({ drop: "before" }, 1);
    expect(idOf(await createHouse().start())).toBe(made()[0]?.runId);
    expect(looks()).toHaveLength(3);
    expect(posts()).toHaveLength(1);
  });

  it("leaves the fate open when the list can never be read", async () => {
    spoilStart({ drop: "after" });
    spoilList({ status: 503 });
    expect(await createHouse().start()).toMatchObject({ kind: "unknown", list: "unreachable" });
    expect(looks()).toHaveLength(3);
    expect(posts()).toHaveLength(1);
  });

  it.each<[string, StartRequest]>([
    ["a name with odd blanks", { ...REQUEST, sessionName: " auth  system " }],
    ["no name at all", { workflowName: "architect", message: "Design it", inputFormat: "stream-json" }],
    ["a long message of several lines", { ...REQUEST, message: `Design\n\n${"the login ".repeat(40)}` }],
  ])("finds a run with %s", async (_what, request) => {
    spoilStart({ drop: "after" });
    expect(idOf(await createHouse().start(request))).toBe(made()[0]?.runId);
  });

  it("finds a nameless run that goes on in a session which has a name", async () => {
    const house = createHouse();
    const first = await house.start();
    const { sessionId } = made()[0]!;
    clock.advance(60_000);
    spoilStart({ drop: "after" });
    const { sessionName: _none, ...nameless } = REQUEST;
    const second = await house.start({ ...nameless, sessionId });
    expect(idOf(second)).toBe(made()[1]?.runId);
    expect(idOf(second)).not.toBe(idOf(first));
  });

  it.each([
    ["an hour ahead", 3_600_000],
    ["an hour behind", -3_600_000],
  ])("allows for an API whose clock is %s", async (_how, skew) => {
    skewMs = skew;
    sim.api().world.start("architect", BODY);
    clock.advance(10_000);
    spoilStart({ drop: "after" });
    const date = new Date(Math.floor((clock.now() + skew) / 1000) * 1000).toUTCString();
    spoilList({ headers: { date } });
    expect(idOf(await createHouse().start())).toBe(made()[1]?.runId);
  });
});

describe("over a real connection, to a server that goes by another clock", () => {
  it.each([
    ["after", "started"],
    ["before", "unknown"],
  ] as const)("a start that is reset %s the server has acted is %s, and sent once", async (drop, kind) => {
    const real = await serveSimulatedApi({ script: { manual: true } });
    onTestFinished(() => real.close());
    sim.server.use(http.all(`${real.url}/*`, () => passthrough()));
    real.api.fault({ method: "POST", path: "/run/" }, { drop });
    expect((await createHouse(real.url).start()).kind).toBe(kind);
    expect(real.api.posts("/run/")).toHaveLength(1);
    expect(real.api.world.runs()).toHaveLength(drop === "after" ? 1 : 0);
  });
});

describe("a lost start never takes", () => {
  const unheard = { drop: "before" } as const;

  it("an older run of the same name", async () => {
    sim.api().world.start("architect", BODY);
    clock.advance(5_000);
    spoilStart(unheard);
    expect(await createHouse().start()).toMatchObject({ kind: "unknown", list: "empty" });
  });

  it("its older namesake for itself, when both are there", async () => {
    sim.api().world.start("architect", BODY);
    clock.advance(5_000);
    spoilStart({ drop: "after" });
    expect(idOf(await createHouse().start())).toBe(made()[1]?.runId);
  });

  it.each<[string, string, StartBody]>([
    ["a run of another workflow", "review", BODY],
    ["a run of another session", "architect", { ...BODY, session_name: "auth-2" }],
    [
      "a run with another message, which another program has started",
      "architect",
      { ...BODY, message: "Design it" },
    ],
    ["a run with the name that the server makes up", "architect", { message: BODY.message }],
  ])("%s", async (_what, workflow, body) => {
    spoilStart(unheard);
    const work = createHouse().start();
    await until(() => posts().length === 1, "the start");
    sim.api().world.start(workflow, body);
    expect(await work).toMatchObject({ kind: "unknown", list: "empty" });
    expect(posts()).toHaveLength(1);
  });

  it.each([
    ["a run without a time of its start", "architect", () => undefined],
    ["a run of another workflow, listed without being asked for", "review", () => clock.now()],
  ])("%s", async (_what, workflow_name, startedAt) => {
    spoilStart(unheard);
    const at = startedAt();
    const row = { run_id: "r", status: "running", workflow_name, session_name: "auth" };
    spoilList({ body: { runs: [{ ...row, started_at: at ? new Date(at).toISOString() : null }] } });
    expect(await createHouse().start()).toMatchObject({ kind: "unknown", list: "empty" });
  });

  it("a run that was watched here before", async () => {
    const { runId } = sim.api().world.start("architect", BODY);
    const house = createHouse();
    await house.watch(runId);
    spoilStart(unheard);
    expect(await house.start()).toMatchObject({ kind: "unknown", list: "empty" });
  });

  it("but it does take its own run when somebody has begun to watch that meanwhile", async () => {
    spoilStart({ hang: true, act: true });
    const house = createHouse();
    const work = house.start();
    await until(() => made().length === 1, "the run");
    clock.advance(500);
    await house.watch(made()[0]!.runId);
    clock.advance(TIMEOUT_MS);
    expect(idOf(await work)).toBe(made()[0]?.runId);
  });

  it("a run that another start of this process was answered with", async () => {
    const house = createHouse();
    await house.start();
    spoilStart(unheard);
    expect(await house.start()).toMatchObject({ kind: "unknown", list: "empty" });
    expect(posts()).toHaveLength(2);
  });

  it("a run that another start of this process was told has failed", async () => {
    const house = createHouse();
    const { runId } = sim.api().world.start("architect", BODY);
    spoilStart({ body: { run_id: runId, status: "failed", message: "no", session_id: "made-up" } });
    const failed = await house.start();
    expect(failed).toMatchObject({ kind: "failed", run: { runId, error: "no" } });
    expect(failed).not.toHaveProperty("run.sessionId");
    spoilStart(unheard);
    expect(await house.start()).toMatchObject({ kind: "unknown", list: "empty" });
  });

  it("one of two runs that may both be its own", async () => {
    spoilStart({ drop: "after" });
    const work = createHouse().start();
    sim.api().world.start("architect", BODY);
    expect(await work).toMatchObject({ kind: "unknown", list: "ambiguous" });
    expect(posts()).toHaveLength(1);
  });

  it("the run of an earlier start of unknown fate that the API acts on late", async () => {
    const house = createHouse();
    spoilStart(unheard);
    expect((await house.start()).kind).toBe("unknown");
    spoilStart(unheard);
    const second = house.start();
    sim.api().world.start("architect", BODY);
    expect(await second).toMatchObject({ kind: "unknown", list: "ambiguous" });

    clock.advance(10 * 60_000);
    spoilStart({ drop: "after" });
    expect(idOf(await house.start())).toBe(made()[1]?.runId);
    expect(posts()).toHaveLength(3);
  });
});

describe("starts of the same workflow and session at the same time", () => {
  it("go one after the other, so that a lost one cannot take the other's run", async () => {
    spoilStart({ hang: true, act: true });
    const { runs } = createHouse();
    const first = runs.start(REQUEST);
    const second = runs.start(REQUEST);
    await until(() => posts().length === 1, "the first start");
    clock.advance(TIMEOUT_MS);
    const [one, two] = await clock.runOut(Promise.all([first, second]));
    expect(one).toMatchObject({ kind: "started", adopted: true });
    expect(two).toMatchObject({ kind: "started", adopted: false });
    expect([idOf(one), idOf(two)]).toEqual(made().map((run) => run.runId));
    const order = sim.api().requests.map(({ method, path }) => `${method} ${path}`);
    expect(order).toEqual(["POST /run/architect", "GET /runs", "POST /run/architect"]);
  });

  it("take different runs when both answers are lost", async () => {
    spoilStart({ drop: "after" }, 2);
    const { runs, started } = createHouse();
    const results = await clock.runOut(Promise.all([runs.start(REQUEST), runs.start(REQUEST)]));
    expect(results.map(idOf)).toEqual(made().map((run) => run.runId));
    expect(new Set(started.map((run) => run.runId)).size).toBe(2);
    expect(posts()).toHaveLength(2);
  });

  it("do not wait for starts of other sessions or other workflows", async () => {
    spoilStart({ hang: true });
    const { runs } = createHouse();
    const slow = runs.start(REQUEST);
    await until(() => posts().length === 1, "the first start");
    expect((await runs.start({ ...REQUEST, sessionName: "billing" })).kind).toBe("started");
    expect((await runs.start({ ...REQUEST, workflowName: "review" })).kind).toBe("started");
    clock.advance(TIMEOUT_MS);
    expect((await clock.runOut(slow)).kind).toBe("unknown");
  });

  it("are not sent when they are called off while they wait", async () => {
    spoilStart({ hang: true, act: true });
    const { runs } = createHouse();
    const stop = new AbortController();
    const first = runs.start(REQUEST);
    const second = runs.start(REQUEST, stop.signal);
    const third = runs.start(REQUEST);
    await until(() => posts().length === 1, "the first start");
    stop.abort();
    clock.advance(TIMEOUT_MS);
    const results = await clock.runOut(Promise.allSettled([first, second, third]));
    expect(results).toMatchObject([
      { value: { kind: "started", adopted: true } },
      { reason: { kind: "aborted", mayHaveActed: false } },
      { value: { kind: "started", adopted: false } },
    ]);
    expect(posts()).toHaveLength(2);
  });
});

describe("a start that the API has certainly not made", () => {
  it.each<[string, Fault, string]>([
    ["429", { status: 429, headers: { "retry-after": "1" } }, "rate_limited"],
    ["401", { status: 401 }, "unauthorised"],
    ["404", { status: 404 }, "not_found"],
    ["422", { status: 422 }, "refused"],
  ])("is sent once and not looked for: %s", async (_what, fault, kind) => {
    spoilStart(fault);
    const house = createHouse();
    await expect(house.start()).rejects.toMatchObject({ kind, mayHaveActed: false });
    expect(posts()).toHaveLength(1);
    expect(looks()).toHaveLength(0);
  });

  it("is an error of the workflow's name when there is none of it", async () => {
    const work = createHouse().start({ ...REQUEST, workflowName: "architekt" });
    await expect(work).rejects.toMatchObject({ kind: "not_found" });
    expect(posts()).toHaveLength(1);
  });

  it("is a plain error when the connection is refused", async () => {
    const url = await closedAddress();
    const error: ApiError = await createHouse(url)
      .start()
      .catch((thrown) => thrown);
    expect(error).toMatchObject({ kind: "unreachable", mayHaveActed: false });
    expect(error.message).toContain("(ECONNREFUSED). Not started; nothing was charged.");
    expect(clock.pauses).toEqual([]);
  });

  it("is not sent when it was called off before", async () => {
    const { runs } = createHouse();
    await expect(runs.start(REQUEST, AbortSignal.abort())).rejects.toMatchObject({ kind: "aborted" });
    expect(sim.api().requests).toHaveLength(0);
  });
});

describe("a run of the whole server", () => {
  const call = { ...COMPLETE, wait_seconds: 0 };

  it("is sent once when all is well", async () => {
    const client = await connectInMemory();
    expect((await client.call(call)).data.outcome).toBe("started");
    expect(posts()).toHaveLength(1);
    expect(looks()).toHaveLength(0);
  });

  it("is adopted when the API answers only after the time limit", async () => {
    // This server goes by the real clock, and so must the API.
    skewMs = Date.now() - clock.now();
    spoilStart({ delayMs: 3_000 });
    const client = await connectInMemory({ settings: { REQUEST_TIMEOUT: "1", MAX_RETRIES: "3" } });
    const answer = await client.call(call);
    expect(answer.data).toMatchObject({ outcome: "started", run: { run_id: made()[0]?.runId } });
    expect(answer.text).toContain("was lost");
    expect(posts()).toHaveLength(1);
    expect(made()).toHaveLength(1);
  });

  it("is of unknown fate with a way to find out when nothing is found", async () => {
    spoilStart({ drop: "before" });
    const client = await connectInMemory({ clock });
    const answer = await clock.runOut(client.call(call));
    expect(answer.isError).toBe(false);
    expect(answer.data).toMatchObject({
      outcome: "unknown",
      next_step: {
        tool: "orchestrate_workflow",
        arguments: { action: "status", session_name: COMPLETE.session_name },
      },
    });
    expect(answer.data).not.toHaveProperty("run");
    expect(posts()).toHaveLength(1);
  });

  it("is a failure when the API says so with 200", async () => {
    spoilStart({ body: { run_id: "r-1", status: "failed", message: "Failed to start: no such user" } });
    const answer = await (await connectInMemory()).call(call);
    expect(answer.data).toMatchObject({ outcome: "failed", run: { run_id: "r-1", status: "failed" } });
    expect(answer.text).toContain("no such user");
    expect(posts()).toHaveLength(1);
  });

  it("is a plain error when the API cannot be reached at all", async () => {
    const client = await connectInMemory({ settings: { BASE_URL: await closedAddress() } });
    const answer = await client.call(call);
    expect(answer.isError).toBe(true);
    expect(answer.text).toContain("Not started; nothing was charged.");
    expect(answer.text).not.toContain("test-key");
  });

  it.each(["decline", "cancel"] as const)("is not sent when the person answers with %s", async (action) => {
    const { git_branch: _branch, ...incomplete } = call;
    const client = await connectInMemory({ onForm: () => ({ action }) });
    const answer = await client.call({ ...incomplete, repository_url: "https://example.test/app.git" });
    expect(client.forms).toHaveLength(1);
    expect(["declined", "cancelled"]).toContain(answer.data.outcome);
    expect(posts()).toHaveLength(0);
  });
});

describe("a start that waits behind another of its name", () => {
  it("and is cancelled says at once that nothing was sent, and is not sent later", async () => {
    const house = createHouse();
    spoilStart({ delayMs: 300 });
    const first = house.runs.start(REQUEST);
    await sim.api().waitFor(({ method }) => method === "POST");
    const stop = new AbortController();
    const second = house.runs.start(REQUEST, stop.signal);
    let isFirstOver = false;
    void first.then(() => {
      isFirstOver = true;
    });
    stop.abort();
    await expect(second).rejects.toMatchObject({ kind: "aborted", mayHaveActed: false });
    expect(isFirstOver).toBe(false);
    await first;
    await sim.api().settled();
    expect(posts()).toHaveLength(1);
  });
});

/** An address of this machine at which nobody listens; MSW lets its requests through. */
async function closedAddress(): Promise<string> {
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  sim.server.use(http.all(`http://127.0.0.1:${port}/*`, () => passthrough()));
  return `http://127.0.0.1:${port}`;
}
