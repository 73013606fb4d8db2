import { describe, expect, it } from "vitest";
import type { EngineRun } from "../src/engine/runs/run.js";
import { until } from "./support/harness.js";
import { createWorld, REQUEST, SPEED, type WalkedEngine, type World } from "./support/walked-engine.js";

// At every wait of the engine's path, from the start's first question to the run's last save, something goes wrong.
// The waits are found by walking: each run meets the fault at the first wait where none had it before, until one comes
// to its end without.

interface Scene {
  world: World;
  walked: WalkedEngine;
  runId: string;
}

interface Fault {
  /** `fails`: the call rejects. `dies`: the engine is killed there. `stalls`: it is held up, and `act` is done. */
  kind: "fails" | "dies" | "stalls";
  act?: (scene: Scene) => Promise<unknown>;
  /** `act` ends the engine. */
  ends?: true;
  /** Done at the first wait of this name, wherever the fault is. */
  before?: { wait: string; act: (scene: Scene) => Promise<unknown> };
}

interface Walk extends Pick<Scene, "world" | "walked"> {
  /** Undefined when the start was refused, or never answered. */
  runId: string | undefined;
  /** How the start was refused. */
  refusal: unknown;
  /** What `act` came to, when there was a run to do it to. */
  acted: unknown;
  before: unknown;
  /** Where the fault was. */
  wait: string;
}

const never = new Promise<never>(() => {});

/** One run with the fault at the first wait that is not among the former; undefined when there is none. */
async function walkOn(former: Set<string>, fault: Fault): Promise<Walk | undefined> {
  const world = createWorld();
  const { kind, before } = fault;
  const counts = new Map<string, number>();
  let wait: string | undefined;
  const acts: { acted?: Promise<unknown> | undefined; before?: Promise<unknown> } = {};
  let die: (folder: string) => void = () => {};
  const death = new Promise<string>((resolve) => {
    die = resolve;
  });

  function scene(): Scene | undefined {
    const [run] = walked.engine.list({});
    return run && { world, walked, runId: run.runId };
  }

  const walked: WalkedEngine = await world.open({
    async at(name) {
      const now = scene();
      if (name === before?.wait && !acts.before && now) acts.before = before.act(now);
      if (kind === "dies" && wait !== undefined) return never;
      counts.set(name, (counts.get(name) ?? 0) + 1);
      const place = `${name} ${counts.get(name)}`;
      // What was written cannot fail to be written any more.
      if (wait !== undefined || former.has(place) || (kind === "fails" && name.startsWith("written ")))
        return;
      former.add(place);
      wait = name;
      if (kind === "fails") throw new Error(`${name} failed`);
      if (kind === "dies") {
        die(world.copy(walked.folder));
        return never;
      }
      if (now) acts.acted = fault.act?.(now);
      // As long as everything that does not wait for this one takes.
      for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
    },
  });
  let runId: string | undefined;
  let refusal: unknown;
  const started = walked.engine.start(REQUEST).then(
    (run) => {
      runId = run.runId;
      // An engine that has ended tells nothing any more.
      return walked.over(run.runId).catch((error) => {
        if (!fault.ends) throw error;
      });
    },
    (error) => {
      refusal = error;
    },
  );
  const killed = await Promise.race([death, started]);
  if (wait === undefined) return undefined;
  const [acted, earlier] = kind === "dies" ? [] : await Promise.all([acts.acted, acts.before]);
  const next = typeof killed === "string" ? await world.open({ folder: killed }) : walked;
  return { world, walked: next, runId, refusal, acted, before: earlier, wait };
}

/** Walks the fault through all waits; gives their names. */
async function walk(fault: Fault, check: (walk: Walk) => Promise<void> | void): Promise<string[]> {
  const waits: string[] = [];
  const former = new Set<string>();
  for (;;) {
    const found = await walkOn(former, fault);
    if (!found) return waits;
    const { world, wait } = found;
    waits.push(wait);
    await check(found);
    expect(world.violations, wait).toEqual([]);
    expect(
      world.agents.filter(({ alive }) => alive),
      wait,
    ).toEqual([]);
  }
}

/** Another run of the same session comes to its end: its place is free. */
async function continueSession({ engine, over }: WalkedEngine, { sessionId }: EngineRun): Promise<void> {
  const next = await engine.start({ ...REQUEST, sessionId });
  expect((await over(next.runId)).status).toBe("completed");
}

/** The engine on a copy of the files as they are, as after a kill. */
function reopen(world: World, { folder }: WalkedEngine): Promise<WalkedEngine> {
  return world.open({ folder: world.copy(folder) });
}

const BEFORE_AGENT = [
  "library.get",
  "agents.find",
  "write accepted",
  "write started",
  "library.get",
  "workspaces.prepare",
  "agents.find",
  "prepareHandover",
];
const WITHOUT_RESULT = [...BEFORE_AGENT, "write agent-started"];

describe("at any wait of a run", () => {
  it("a failure leaves no agent, and a start that it has refused is never carried out", async () => {
    const waits = await walk({ kind: "fails" }, async ({ world, walked, runId, refusal, wait }) => {
      if (runId === undefined) {
        expect(refusal, wait).toBeInstanceOf(Error);
        expect(walked.engine.list({}), wait).toEqual([]);
        const after = await reopen(world, walked);
        expect(after.engine.list({}), wait).toEqual([]);
        expect(world.agents, wait).toEqual([]);
        return;
      }
      const run = walked.engine.get(runId);
      // A fast machine writes both in one transaction.
      const hasNoResult = WITHOUT_RESULT.includes(wait) || (wait === "write workspace-ready" && run.error);
      expect(run.status, wait).toBe(hasNoResult ? "failed" : "completed");
      await continueSession(walked, run);
    });
    expect(waits).toEqual(
      expect.arrayContaining([...BEFORE_AGENT, "workspaces.inspect", "workspaces.settle", "write ended"]),
    );
    expect(["write workspace-ready", "write agent-started"].some((wait) => waits.includes(wait))).toBe(true);
  }, 60_000);

  it("a kill means that no agent is started any more, in this engine or the next", async () => {
    const act = async ({ world, walked, runId }: Scene) => {
      const agents = world.agents.length;
      const answer = await walked.engine.kill(runId, false).catch((error: Error) => error);
      return { agents, answer };
    };
    const killedAt: string[] = [];
    await walk({ kind: "stalls", act }, async ({ world, walked, runId = "", acted, wait }) => {
      const run = walked.engine.get(runId);
      if (!acted) return;
      const { agents, answer } = acted as { agents: number; answer: EngineRun | Error };
      if (answer instanceof Error) {
        expect(answer.message, wait).toMatch(/is already completed/);
        return;
      }
      killedAt.push(wait);
      expect(run.status, wait).toBe("killed");
      const after = await reopen(world, walked);
      expect(after.engine.get(runId).status, wait).toBe("killed");
      expect(after.engine.activeRuns(), wait).toBe(0);
      expect(world.agents, wait).toHaveLength(agents);
      await continueSession(walked, run);
    });
    expect(killedAt).toEqual(
      expect.arrayContaining([
        "written accepted",
        ...BEFORE_AGENT.slice(3),
        "write agent-started",
        "workspaces.inspect",
        "workspaces.settle",
      ]),
    );
  }, 60_000);

  it("messages are delivered once and in order, and those that were refused are not", async () => {
    const act = ({ walked, runId }: Scene) => {
      const texts = ["one", "two", "three"];
      return Promise.allSettled(texts.map((text) => walked.engine.addMessage(runId, "user", text)));
    };
    function expectDelivered({ world, wait }: Walk, results: unknown): void {
      const accepted = ["one", "two", "three"].filter(
        (_, index) => (results as PromiseSettledResult<unknown>[])[index]?.status === "fulfilled",
      );
      const sent = world.agents[0]?.sent ?? [];
      expect(sent, wait).toEqual(accepted.slice(0, sent.length));
    }
    const waits = await walk({ kind: "stalls", act }, (found) => {
      const { walked, world, runId = "", acted, wait } = found;
      if (!acted) return;
      expectDelivered(found, acted);
      // The run had its agent until the end, so nothing that was accepted is left.
      expect(walked.engine.get(runId), wait).toMatchObject({
        status: "completed",
        queue: { waiting: [], consumed: world.agents[0]?.sent.length },
      });
    });
    expect(waits).toEqual(
      expect.arrayContaining(["written accepted", "write agent-started", "written agent-started"]),
    );
    // The same while something else of the run fails, among it the messages' own saves.
    for (const wait of ["written accepted", "write agent-started", "written agent-started"]) {
      const failed = await walk({ kind: "fails", before: { wait, act } }, (found) => {
        if (found.before) expectDelivered(found, found.before);
      });
      expect(failed.filter((name) => name === "write message-added").length).toBeGreaterThan(2);
    }
  }, 120_000);

  it("the death of the engine leaves no agent beside the next one's, and nothing of an answered start is lost", async () => {
    const waits = await walk({ kind: "dies" }, async ({ walked, runId, wait }) => {
      const found = walked.engine.list({});
      if (runId !== undefined) expect(found[0]?.runId, wait).toBe(runId);
      for (const run of found) {
        const { status } = await walked.over(run.runId);
        expect(["completed", "interrupted"], wait).toContain(status);
        await continueSession(walked, run);
      }
    });
    expect(waits).toEqual(
      expect.arrayContaining([...WITHOUT_RESULT, "written accepted", "written agent-started"]),
    );
  }, 60_000);

  it("the engine's own end leaves no agent and no run that goes on by itself", async () => {
    const act = ({ walked }: Scene) => walked.engine.close().then(() => "closed");
    await walk({ kind: "stalls", act, ends: true }, async ({ world, walked, acted, wait }) => {
      if (!acted) return;
      const agents = world.agents.map(({ alive }) => alive);
      expect(agents, wait).not.toContain(true);
      const after = await reopen(world, walked);
      for (const run of after.engine.list({})) {
        const { status } = await after.over(run.runId);
        // What begins now was answered for, and had not begun before.
        if (world.agents.length > agents.length) expect([agents, status], wait).toEqual([[], "completed"]);
        else expect(["completed", "failed", "interrupted"], wait).toContain(status);
      }
    });
  }, 60_000);
});

it("an answer that is being written when the time for it is over reaches the agent", async () => {
  let release = () => {};
  const timedOut = new Promise<void>((resolve) => {
    release = resolve;
  });
  let times = 0;
  const { engine, over } = await createWorld().open({
    questionTimeoutMs: 20_000,
    at(name) {
      if (name === "write question-closed" && ++times === 2) setImmediate(release);
      // What the person has said is written, and it is not known here yet.
      return name === "written question-closed" && times === 1 ? timedOut : undefined;
    },
  });
  const { runId } = await engine.start({ ...REQUEST, message: "Find it [ask]" });
  await until(() => engine.get(runId).status === "waiting", "the question");
  expect(await engine.answer(runId, "which", "This one")).toMatchObject({ answeredBy: "person" });
  expect(times).toBe(2);
  expect(await over(runId)).toMatchObject({ status: "completed" });
});

describe("a kill that cannot be written", () => {
  it("is not acknowledged of a run that waits: an engine after this one would begin it", async () => {
    const world = createWorld();
    let isFull = false;
    const limits = { concurrency: 0 };
    const walked = await world.open({ limits, isDiskFull: () => isFull });
    const { runId } = await walked.engine.start(REQUEST);
    isFull = true;
    await expect(walked.engine.kill(runId, false)).rejects.toThrow(/Nothing was done\.$/);
    expect(walked.engine.get(runId).status).toBe("pending");
    isFull = false;
    expect((await walked.engine.kill(runId, false)).status).toBe("killed");
    const next = await reopen(world, walked);
    expect(next.engine.get(runId).status).toBe("killed");
    expect(world.agents).toEqual([]);
  });

  it("ends the agent, and says that an engine after this one knows nothing of it", async () => {
    const world = createWorld();
    let isFull = false;
    const walked = await world.open({ limits: { resumeOnce: true }, isDiskFull: () => isFull });
    const { runId } = await walked.engine.start({ ...REQUEST, message: "Find it [hang]" });
    await until(() => world.agents.length === 1, "an agent");
    isFull = true;
    await expect(walked.engine.kill(runId, false)).rejects.toThrow(/Its agent was ended\..*this engine/);
    expect(world.agents.map(({ alive }) => alive)).toEqual([false]);
    const crashed = world.copy(walked.folder);
    // It becomes killed as soon as that can be written.
    isFull = false;
    await until(() => walked.engine.get(runId).status === "killed", "the end");
    const next = await world.open({ folder: crashed, limits: { resumeOnce: true } });
    expect(next.engine.get(runId)).toMatchObject({ status: "interrupted" });
  });
});

it("of many runs that wait for their persons never more are at work than slots, nor more alive than may be", async () => {
  const world = createWorld();
  const { engine, over } = await world.open({ questionTimeoutMs: 86_400_000 });
  const runs = await Promise.all(
    Array.from({ length: 14 }, () => engine.start({ ...REQUEST, message: "Find it [ask]" })),
  );
  // All begin only when some have been answered: eight may be alive.
  await until(() => engine.slots().asking.length === 8, "eight that wait without a slot");
  expect(engine.slots()).toMatchObject({ busy: [], waiting: { length: 6 } });
  const going = () => engine.list({ statuses: ["waiting", "pending", "running"] }).length;
  while (going() > 0) {
    const waiting = engine.list({ statuses: ["waiting"] });
    await Promise.all(waiting.map(({ runId }) => engine.answer(runId, "which", "This one")));
    const next = () => going() === 0 || engine.list({ statuses: ["waiting"] }).length > 0;
    await until(next, "the next question or the end");
  }
  for (const { runId } of runs) expect((await over(runId)).status).toBe("completed");
  expect(world.violations).toEqual([]);
  expect(world.agents).toHaveLength(14);
});

it("a run that is started during a cleanup of its session begins when that is done", async () => {
  const world = createWorld();
  let reach = () => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { engine, over, waits } = await world.open({
    at(name) {
      if (name !== "workspaces.cleanup") return;
      reach();
      return released;
    },
  });
  const first = await engine.start(REQUEST);
  await over(first.runId);
  const cleaning = engine.cleanup(first.runId, true);
  await reached;
  const next = await engine.start({ ...REQUEST, sessionId: first.sessionId });
  const other = await engine.start(REQUEST);
  await expect.poll(() => engine.get(other.runId).status).toBe("completed");
  expect(engine.get(next.runId).status).toBe("pending");
  expect(waits.filter((name) => name === "workspaces.prepare")).toHaveLength(2);
  release();
  await cleaning;
  expect((await over(next.runId)).status).toBe("completed");
});

describe.each(["inspect", "settle", "cleanup"])("%s that hangs after the agent's end", (hangs) => {
  const request = { ...REQUEST, persistent: false };

  async function startHanging(timeoutS: number): Promise<WalkedEngine & { runId: string }> {
    let reach = () => {};
    const reached = new Promise<void>((resolve) => {
      reach = resolve;
    });
    const walked = await createWorld().open({
      hangs,
      at: (name) => (name === `workspaces.${hangs}` ? reach() : undefined),
    });
    const { runId } = await walked.engine.start({ ...request, timeoutS });
    await reached;
    return { ...walked, runId };
  }

  it("ends with a kill, at once", async () => {
    const { engine, runId } = await startHanging(14_400);
    expect(engine.get(runId).status).toBe("running");
    expect((await engine.kill(runId, false)).status).toBe("killed");
    expect(engine.get(runId).result).toContain("Done.");
    if (hangs === "settle") expect(engine.get(runId).result).toContain("the run was killed");
    await engine.close();
  });

  it("ends with the engine, within seconds, and the run keeps how it has gone", async () => {
    const { engine, runId } = await startHanging(14_400);
    await engine.close();
    expect(engine.get(runId).status).toBe("completed");
  });

  it("ends a minute after the run's time limit", async () => {
    const began = performance.now();
    const { engine, runId, over } = await startHanging(200);
    const run = await over(runId);
    expect(run.status).toBe("completed");
    if (hangs === "settle")
      expect(run.result).toContain("the run's time limit of 200 s was exceeded by 60 s");
    const tookS = ((performance.now() - began) * SPEED) / 1000;
    expect(tookS).toBeGreaterThan(259);
    await engine.close();
  });
});
