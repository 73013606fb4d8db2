import { describe, expect, it, onTestFinished } from "vitest";
import type { Fault } from "../mocks/http.js";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createStartLimiter } from "../src/runs/start-limiter.js";
import { systemClock } from "../src/shared/clock.js";
import { createHandClock, type HandClock } from "./support/hand-clock.js";
import {
  COMPLETE,
  connectInMemory,
  type InMemoryOptions,
  type TestClient,
  until,
} from "./support/harness.js";

let clock: HandClock;
const sim = useSimulatedApi(() => {
  clock = createHandClock();
  return { paceMs: "manual", clock };
});
const world = () => sim.api().world;
const posts = () => sim.api().posts("/run/");
const runIds = () =>
  world()
    .runs()
    .map((run) => run.runId);
const spoilStart = (fault: Fault) => sim.api().fault({ method: "POST", path: "/run/" }, fault, 1);
/** A run that is started and not followed. */
const start = (session_name: string) => ({ ...COMPLETE, session_name, wait_seconds: 0 });
/** A run that is followed. */
const follow = (session_name: string, more = {}) => ({ ...COMPLETE, session_name, ...more });

async function connect(limit: number, options: InMemoryOptions = {}) {
  // Calls that a test leaves open are answered when the server ends; hooks run the last one first.
  let ticking: NodeJS.Timeout | undefined;
  onTestFinished(() => clearInterval(ticking));
  const settings = { MAX_CONCURRENT_RUNS: String(limit), ...options.settings };
  const connected = await connectInMemory({ clock, ...options, settings });
  onTestFinished(() => {
    ticking = setInterval(() => clock.advance(1_000), 1);
  });
  return connected;
}

/** Lets time pass by the clock that the house goes by, a little at a time so that what is due is answered. */
async function pass(seconds: number, stepMs = 1_000): Promise<void> {
  for (let left = seconds * 1000; left > 0; left -= stepMs) {
    clock.advance(Math.min(left, stepMs));
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    await sim.api().settled();
  }
}

/** Lets time pass until the condition holds. */
async function passUntil(condition: () => boolean, what: string, stepMs = 200): Promise<void> {
  await until(() => {
    if (!condition()) clock.advance(stepMs);
    return condition();
  }, what);
}

/** A call that waits, with what was told on the way. */
function wait(client: TestClient, args: Record<string, unknown>) {
  const told: string[] = [];
  const stop = new AbortController();
  const answer = client.call(args, {
    onprogress: ({ message }) => told.push(message ?? ""),
    signal: stop.signal,
  });
  answer.catch(() => {});
  const settled = answer.then(
    (one) => one,
    () => undefined,
  );
  return { answer, settled, told, cancel: () => stop.abort() };
}

/** A call that is in the queue at that position, as it was told. */
async function waitAt(position: number, client: TestClient, args: Record<string, unknown>) {
  const one = wait(client, args);
  await passUntil(
    () => one.told.some((text) => text.startsWith(`Queued, position ${position} `)),
    `position ${position}`,
  );
  return one;
}

const endOf = (work: { settled: Promise<unknown> }) => {
  let isOver = false;
  void work.settled.then(() => {
    isOver = true;
  });
  return () => isOver;
};

describe("runs above the limit", () => {
  it("are as many as are asked for when there is none", async () => {
    const { call } = await connectInMemory({ clock });
    for (const name of ["a", "b", "c", "d"]) {
      expect((await call(start(name))).data.outcome).toBe("started");
    }
    expect(posts()).toHaveLength(4);
  });

  it("wait in the queue, are told their positions, and are sent one by one in the order in which they came", async () => {
    const client = await connect(2);
    const other = await client.connect();
    await client.call(start("a"));
    await client.call(start("b"));
    const first = await waitAt(1, client, follow("c"));
    // There is one queue for all sessions of the server.
    const second = await waitAt(2, other, follow("d"));
    expect(first.told[0]).toBe("Queued, position 1 (2 of 2 running)");
    expect(posts()).toHaveLength(2);
    world().run(runIds()[1]!).complete();
    await passUntil(() => posts().length === 3, "the third start");
    expect(posts()[2]).toMatchObject({ body: { session_name: "c" } });
    await passUntil(() => second.told.length > 1, "the news of the position");
    expect(second.told[0]).toBe("Queued, position 2 (2 of 2 running)");
    expect(second.told[1]).toMatch(/^Queued, position 1 \(2 of 2 running\)/);
    world().run(runIds()[0]!).fail("the disk is full");
    await passUntil(() => posts().length === 4, "the fourth start");
    for (const id of runIds().slice(2)) world().run(id).complete({ result: "done" });
    await passUntil(endOf(second), "the last answer");
    expect((await first.answer).data).toMatchObject({ outcome: "completed", run: { session_name: "c" } });
    expect((await second.answer).data).toMatchObject({ outcome: "completed", run: { session_name: "d" } });
    expect(posts()).toHaveLength(4);
  });

  it("are refused at once with wait_seconds: 0, with the call that waits", async () => {
    const { call } = await connect(1);
    await call(start("a"));
    const refused = await call({ ...start("b"), max_turns: 7 });
    expect(refused.isError).toBe(true);
    expect(refused.text).toContain(
      "Run limit reached (1 of 1, set by AUTOMAGIK_WORKFLOWS_MAX_CONCURRENT_RUNS)",
    );
    expect(refused.text).toContain("Nothing was sent and no run was started.");
    const { arguments: again } = refused.data.next_step;
    expect(again).toMatchObject({ ...COMPLETE, session_name: "b", max_turns: 7 });
    expect(again).not.toHaveProperty("wait_seconds");
    expect(posts()).toHaveLength(1);
  });

  it("show signs of life in the queue every ten seconds", async () => {
    const client = await connect(1);
    await client.call(start("a"));
    const { told } = await waitAt(1, client, follow("b"));
    await passUntil(() => told.length > 3, "three signs of life", 500);
    expect(told.slice(0, 4)).toEqual([
      "Queued, position 1 (1 of 1 running)",
      ...[10, 20, 30].map((seconds) => `Queued, position 1 (1 of 1 running), for ${seconds} s`),
    ]);
  });

  it.each([
    ["as long as is asked for", { wait_seconds: 20 }, 20],
    ["as long as a client bears that asks for no progress", {}, 45],
  ])("wait %s, and then nothing was sent and nothing ever will be", async (_how, more, seconds) => {
    const client = await connect(1);
    await client.call(start("a"));
    const pending = client.call(follow("b", more));
    const isOver = endOf({ settled: pending });
    // Only a call that is in the queue has a limit of its time to wait for.
    await pass(seconds - 1);
    expect(isOver()).toBe(false);
    await passUntil(isOver, "the answer");
    const answer = await pending;
    expect(answer).toMatchObject({
      isError: true,
      text: expect.stringContaining(`Still queued after ${seconds} s, at position 1`),
      data: { next_step: { arguments: { action: "run", session_name: "b", ...more } } },
    });
    expect(answer.text).toContain("nothing was sent and no run was started, and none will start later.");
    world().run(runIds()[0]!).complete();
    await pass(5);
    expect(posts()).toHaveLength(1);
  });

  it("are followed for the rest of the wait once they are sent", async () => {
    const client = await connect(1);
    await client.call(start("a"));
    const since = clock.now();
    const waiting = await waitAt(1, client, follow("b", { wait_seconds: 300 }));
    await pass(120);
    world().run(runIds()[0]!).complete();
    await passUntil(() => posts().length === 2, "the start");
    await passUntil(endOf(waiting), "the answer", 2_000);
    expect(clock.now() - since).toBeGreaterThanOrEqual(300_000);
    expect(clock.now() - since).toBeLessThan(400_000);
    expect((await waiting.answer).data).toMatchObject({ outcome: "running", run: { session_name: "b" } });
  });
});

describe("a run that nobody follows", () => {
  it("is looked at no more often because it has a slot", async () => {
    async function countLooks(limit: number): Promise<number> {
      const client = await connectInMemory({
        clock,
        settings: { POLLING_INTERVAL: "8", ...(limit > 0 ? { MAX_CONCURRENT_RUNS: String(limit) } : {}) },
      });
      await client.call(start(`with-${limit}`));
      const runId = runIds().at(-1)!;
      await pass(60, 100);
      const looks = sim.api().requests.filter(({ path }) => path === `/run/${runId}/status`);
      world().run(runId).complete();
      await pass(10);
      return looks.length;
    }
    const without = await countLooks(0);
    expect(without).toBeGreaterThan(5);
    // A moment more or less is the network's.
    expect(Math.abs((await countLooks(3)) - without)).toBeLessThan(3);
  });
});

describe("a call in the queue that is ended", () => {
  it("leaves the queue, and nothing is sent for it; whoever is behind moves up", async () => {
    const client = await connect(1);
    await client.call(start("a"));
    const first = await waitAt(1, client, follow("b"));
    const second = await waitAt(2, client, follow("c"));
    first.cancel();
    await passUntil(
      () => second.told.some((text) => text.startsWith("Queued, position 1 ")),
      "the new position",
    );
    world().run(runIds()[0]!).complete();
    await passUntil(() => posts().length === 2, "the next start");
    await pass(5);
    expect(posts().map(({ body }) => (body as { session_name: string }).session_name)).toEqual(["a", "c"]);
  });

  it("by its client's going away leaves the queue as well", async () => {
    const client = await connect(1);
    const other = await client.connect();
    await client.call(start("a"));
    await waitAt(1, other, follow("b"));
    await other.client.close();
    const next = await waitAt(1, client, follow("c"));
    world().run(runIds()[0]!).complete();
    await passUntil(() => posts().length === 2, "the next start");
    expect(posts()[1]).toMatchObject({ body: { session_name: "c" } });
    next.cancel();
  });

  it("by the server's stop is answered at once: nothing was sent", async () => {
    const client = await connect(1);
    await client.call(start("a"));
    const waiting = await waitAt(1, client, follow("b"));
    await client.server.drain(60_000);
    const answer = await waiting.answer;
    expect(answer.data).toMatchObject({
      outcome: "cancelled",
      next_step: { arguments: { session_name: "b" } },
    });
    expect(answer.text).toContain("This server is stopping while the run was queued. Nothing was sent");
    expect(posts()).toHaveLength(1);
  });

  it("after the person has agreed in the form is sent as little", async () => {
    const client = await connect(1, {
      onForm: () => ({ action: "accept", content: { session_name: "mine" } }),
    });
    await client.call(start("a"));
    const { session_name: _name, ...incomplete } = COMPLETE;
    const waiting = await waitAt(1, client, incomplete);
    expect(client.forms).toHaveLength(1);
    waiting.cancel();
    await client.call({ action: "list_workflows" });
    world().run(runIds()[0]!).complete();
    await pass(5);
    expect(posts()).toHaveLength(1);
  });
});

describe("the queue itself", () => {
  const told = () => {};
  const enter = (queue: ReturnType<typeof createStartLimiter>, signal = new AbortController().signal) =>
    queue.enter({ waitMs: undefined, signal, onWait: told });

  it("gives one slot to one of two who wait", async () => {
    const queue = createStartLimiter({ limit: 1, clock: createHandClock() });
    const held = await enter(queue);
    const turns: string[] = [];
    const first = enter(queue).then((turn) => {
      turns.push("first");
      return turn;
    });
    void enter(queue).then(() => turns.push("second"));
    if (held.kind !== "slot") return expect.fail("there was a slot");
    held.slot.free();
    held.slot.free();
    const turn = await first;
    await new Promise((resolve) => setImmediate(resolve));
    expect(turns).toEqual(["first"]);
    if (turn.kind === "slot") turn.slot.free();
    await until(() => turns.length === 2, "the second turn");
  });

  it("gives the slot to the next when the first is cancelled in the moment in which it is freed", async () => {
    for (const cancelsFirst of [true, false]) {
      const queue = createStartLimiter({ limit: 1, clock: createHandClock() });
      const held = await enter(queue);
      const stop = new AbortController();
      const first = enter(queue, stop.signal);
      const second = enter(queue);
      if (held.kind !== "slot") return expect.fail("there was a slot");
      if (cancelsFirst) stop.abort();
      held.slot.free();
      if (!cancelsFirst) stop.abort();
      const turn = await first;
      expect(turn.kind).toBe(cancelsFirst ? "cancelled" : "slot");
      // Whoever got it and may not use it any more gives it back.
      if (turn.kind === "slot") turn.slot.free();
      expect((await second).kind).toBe("slot");
    }
  });

  it("tells whoever moves up at once", async () => {
    const queue = createStartLimiter({ limit: 1, clock: createHandClock() });
    const held = await enter(queue);
    const stop = new AbortController();
    const positions: number[] = [];
    void enter(queue);
    void enter(queue, stop.signal);
    void queue.enter({
      waitMs: undefined,
      signal: new AbortController().signal,
      onWait: ({ position }) => positions.push(position),
    });
    if (held.kind === "slot") held.slot.free();
    stop.abort();
    expect(positions).toEqual([3, 2, 1]);
  });

  it("lets nobody past it who comes when a slot is freed", async () => {
    const queue = createStartLimiter({ limit: 1, clock: createHandClock() });
    const held = await enter(queue);
    const first = enter(queue);
    if (held.kind !== "slot") return expect.fail("there was a slot");
    held.slot.free();
    expect(
      await queue.enter({ waitMs: 0, signal: new AbortController().signal, onWait: told }),
    ).toMatchObject({
      kind: "late",
      where: { position: 1, running: 1 },
    });
    expect((await first).kind).toBe("slot");
  });

  it("keeps a slot that was handed over when the former holder frees it", async () => {
    const queue = createStartLimiter({ limit: 1, clock: createHandClock() });
    const held = await enter(queue);
    if (held.kind !== "slot") return expect.fail("there was a slot");
    const kept = held.slot.handOver();
    held.slot.free();
    const next = enter(queue);
    const isOver = endOf({ settled: next });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isOver()).toBe(false);
    kept.free();
    expect((await next).kind).toBe("slot");
  });

  it("can be one of several servers", async () => {
    const startLimiter = createStartLimiter({ limit: 1, clock: systemClock });
    const one = await connect(1, { startLimiter });
    const other = await connect(1, { startLimiter });
    await one.call(start("a"));
    expect((await other.call(start("b"))).text).toContain("Run limit reached (1 of 1");
    // What a server that has ended can see no more still counts.
    await one.server.close(0);
    expect((await other.call(start("b"))).isError).toBe(true);
    expect(posts()).toHaveLength(1);
  });
});

describe("a slot is free again", () => {
  /** A run that is in the queue behind the one that is going on. */
  const queue = (client: TestClient) => waitAt(1, client, follow("next"));
  const nextIsSent = () => passUntil(() => posts().length === 2, "the next start", 1_000);

  it.each<[string, (runId: string) => void]>([
    ["completed", (runId) => world().run(runId).complete()],
    ["failed", (runId) => world().run(runId).fail("no")],
    ["been killed", (runId) => world().kill(runId)],
    [
      "been forgotten by the API",
      (runId) => sim.api().fault({ path: `/run/${runId}/status` }, { status: 404 }),
    ],
  ])("when its run has %s", async (_how, end) => {
    const client = await connect(1);
    await client.call(start("a"));
    await queue(client);
    end(runIds()[0]!);
    await nextIsSent();
  });

  it.each<[string, Fault]>([
    ["the API refuses the start", { status: 422, body: { detail: "no" } }],
    ["there is no such workflow any more", { status: 404, body: { detail: "no" } }],
    ["the API says that the run has failed", { body: { run_id: "r", status: "failed", message: "no" } }],
  ])("at once when %s", async (_why, fault) => {
    spoilStart(fault);
    const client = await connect(1);
    await client.call(start("a"));
    expect(posts()).toHaveLength(1);
    expect((await client.call(start("b"))).isError).toBe(false);
  });

  it("but not while its run stands still, however long, short of the run's time limit", async () => {
    const client = await connect(1, { settings: { POLLING_INTERVAL: "60" } });
    await client.call({ ...start("a"), timeout: 3_600 });
    await queue(client);
    await pass(3_600, 30_000);
    const looked = client.call({ action: "status", session_name: "a" });
    expect((await looked).data.outcome).toBe("stalled");
    expect(posts()).toHaveLength(1);
    await nextIsSent();
  });

  it("at the run's time limit when the API has not been heard of since", async () => {
    const client = await connect(1, { settings: { POLLING_INTERVAL: "60" } });
    await client.call({ ...start("a"), timeout: 600 });
    sim.api().fault({ path: "/run/*/status" }, { status: 503 });
    await queue(client);
    await pass(600, 30_000);
    expect(posts()).toHaveLength(1);
    await nextIsSent();
  });

  it("after a lost answer when the run that was found in the list has ended", async () => {
    spoilStart({ drop: "after" });
    const client = await connect(1);
    const started = client.call(start("a"));
    await passUntil(endOf({ settled: started }), "the start");
    expect((await started).data.outcome).toBe("started");
    await queue(client);
    world().run(runIds()[0]!).complete();
    await nextIsSent();
  });

  async function loseStart(client: TestClient): Promise<void> {
    const started = client.call(start("a"));
    await passUntil(endOf({ settled: started }), "the answer");
    expect((await started).data.outcome).toBe("unknown");
  }

  it("after a lost answer when the list shows no run of it and none can be late any more", async () => {
    spoilStart({ drop: "before" });
    const client = await connect(1);
    await loseStart(client);
    await pass(500, 10_000);
    await queue(client);
    await pass(60, 10_000);
    expect(posts()).toHaveLength(1);
    await nextIsSent();
  });

  it("after a lost answer only when a run that turned up late has ended", async () => {
    spoilStart({ drop: "before" });
    const client = await connect(1);
    await loseStart(client);
    const { message, session_name = "a" } = start("a");
    const { runId } = world().start("architect", { message, session_name, input_format: "stream-json" });
    await queue(client);
    await pass(1_000, 2_000);
    expect(posts()).toHaveLength(1);
    world().run(runId).complete();
    await nextIsSent();
  });

  it("after a lost answer when the list can never be read, at the run's time limit", async () => {
    spoilStart({ drop: "before" });
    sim.api().fault({ path: "/runs" }, { status: 503 });
    const client = await connect(1);
    await loseStart(client);
    await queue(client);
    await pass(7_150, 30_000);
    expect(posts()).toHaveLength(1);
    await nextIsSent();
  });
});

describe("what may have changed while a run was in the queue", () => {
  it("is the name of its session: it does not become a second conversation unasked", async () => {
    const client = await connect(1, { onForm: () => ({ action: "decline" }) });
    await client.call(start("a"));
    const first = await waitAt(1, client, follow("same", { wait_seconds: 600 }));
    const second = await waitAt(2, client, follow("same", { wait_seconds: 600 }));
    world().run(runIds()[0]!).complete();
    await passUntil(() => posts().length === 2, "the first of them");
    world().run(runIds()[1]!).complete();
    await passUntil(endOf(second), "the answer of the second");
    const answer = await second.answer;
    expect(answer.data).toMatchObject({
      outcome: "input_required",
      next_step: { arguments: { continue_session: "same" } },
    });
    expect(answer.text).toContain("Nothing was sent");
    expect(client.forms).toHaveLength(0);
    await passUntil(endOf(first), "the answer of the first");
    expect((await first.answer).data.outcome).toBe("completed");
    expect(posts()).toHaveLength(2);
    // The place that it had come to is free.
    expect((await client.call(start("c"))).data.outcome).toBe("started");
  });

  it("is its conversation, which another run may have taken up", async () => {
    const client = await connect(2, { settings: { POLLING_INTERVAL: "0.2" } });
    await client.call(start("a"));
    const { runId } = world().runs()[0]!;
    world().run(runId).complete();
    await pass(2);
    await client.call(start("b"));
    await client.call(start("c"));
    const more = { continue_session: "a", message: "Go on", wait_seconds: 600 };
    const { session_name: _name, ...rest } = COMPLETE;
    const first = await waitAt(1, client, { ...rest, ...more });
    const second = await waitAt(2, client, { ...rest, ...more });
    world().run(runIds()[1]!).complete();
    await passUntil(() => posts().length === 4, "the first of them");
    world().run(runIds()[2]!).complete();
    await passUntil(endOf(second), "the answer of the second");
    expect((await second.answer).data).toMatchObject({
      outcome: "input_required",
      next_step: { arguments: { action: "feedback", message: "Go on" } },
    });
    expect(posts()).toHaveLength(4);
    first.cancel();
  });

  it("is nothing that the person is asked about again: the form comes first, and what it said is kept", async () => {
    const client = await connect(1, {
      onForm: () => ({ action: "accept", content: { session_name: "mine", git_branch: "main" } }),
    });
    await client.call(start("a"));
    const args = {
      workflow_name: "architect",
      message: "Design it",
      repository_url: "https://example.test/x.git",
    };
    const refused = await client.call({ ...args, wait_seconds: 0 });
    expect(client.forms).toHaveLength(1);
    const { action, ...again } = refused.data.next_step.arguments;
    expect(again).toEqual({ ...args, session_name: "mine", git_branch: "main" });
    world().run(runIds()[0]!).complete();
    const pending = client.call({ action, ...again, wait_seconds: 60 });
    await passUntil(() => posts().length === 2, "the start");
    world().run(runIds()[1]!).complete();
    await passUntil(endOf({ settled: pending }), "the answer");
    const started = await pending;
    expect(started.data).toMatchObject({ outcome: "completed", run: { session_name: "mine" } });
    expect(client.forms).toHaveLength(1);
  });

  it("is a made-up name: two such runs get two", async () => {
    const client = await connect(1);
    await client.call(start("a"));
    const { data } = await client.call(start(""));
    expect(data.next_step.arguments.session_name).toBe("");
    const first = await waitAt(1, client, follow("", { wait_seconds: 600 }));
    const second = await waitAt(2, client, follow("", { wait_seconds: 600 }));
    world().run(runIds()[0]!).complete();
    await passUntil(() => posts().length === 2, "the first of them");
    world().run(runIds()[1]!).complete();
    await passUntil(() => posts().length === 3, "the second of them");
    const names = posts().map(({ body }) => (body as { session_name: string }).session_name);
    expect(new Set(names).size).toBe(3);
    first.cancel();
    second.cancel();
  });
});
