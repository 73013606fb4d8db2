import { describe, expect, it, onTestFinished } from "vitest";
import type { EngineRun } from "../src/engine/runs/run.js";
import { createRunQueue } from "../src/engine/work/run-queue.js";
import { tellWait } from "../src/engine/work/slot-wait.js";
import { createSlots } from "../src/engine/work/slots.js";
import { createTurnOrder, type QueuedRun } from "../src/engine/work/turn-order.js";
import { planTurns } from "../src/engine/work/turn-plan.js";
import { createWaitNotifier } from "../src/engine/work/wait-notifier.js";
import { createRandom } from "./faults/random.js";
import { createHandClock } from "./support/hand-clock.js";

// What the positions of many waiting runs are, and what it takes to know them.

describe("the turns that are planned for all who wait", () => {
  it("are those that are taken one after another, for any callers, sessions and runs that go on", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = createRandom(seed);
      const pick = (count: number) => Math.floor(random.next() * count);
      const [callers, sessions] = [1 + pick(4), 1 + pick(6)];
      const order = createTurnOrder();
      const make = (name: string): QueuedRun => {
        const caller = pick(4) === 0 ? undefined : `c${pick(callers)}`;
        return { runId: name, sessionId: `${caller} s${pick(sessions)}`, ...(caller ? { caller } : {}) };
      };
      const going = Array.from({ length: pick(6) }, (_, index) => make(`going ${index}`));
      for (const run of going) order.begun(run);
      const waiting = Array.from({ length: pick(14) }, (_, index) => make(`waiting ${index}`));
      // Some have had their turns before.
      const ended = going.splice(0, pick(going.length + 1));
      for (const { runId } of ended) order.ended(runId, waiting);

      const plan = planTurns(waiting, order.standing());
      const [rest, holders] = [[...waiting], [...going]];
      for (;;) {
        const over = holders.shift();
        if (over) order.ended(over.runId, rest);
        if (over) plan.ended(over.caller);
        const next = order.first(rest, () => false);
        expect(plan.next()?.runId, `seed ${seed}`).toBe(next?.runId);
        if (!next) break;
        rest.splice(rest.indexOf(next), 1);
        order.begun(next);
        holders.push(next);
      }
    }
  });
});

/** A queue with so many runs that wait, and how often was looked at one of them since. */
function crowd(count: number) {
  let looks = 0;
  const runs = new Map<string, EngineRun>();
  const clock = createHandClock();
  const queue = createRunQueue({
    concurrency: 2,
    begin: () => new Promise(() => {}),
    onChange: () => notifier?.changed(),
  });
  const find = (runId: string) => {
    looks++;
    return runs.get(runId);
  };
  const history = {
    of: () => {
      looks++;
      return { turns: 10, durationS: 60 };
    },
  };
  const slots = createSlots({
    ...{ runs: { get: find }, queue, limits: { concurrency: 2 }, history, isDraining: () => false },
  });
  const notifier = createWaitNotifier({ clock, waiting: () => slots.slots().waiting, waitOf: slots.waitOf });
  onTestFinished(() => notifier.close());
  for (let index = 0; index < count + 2; index++) {
    const runId = `r${index}`;
    const status = index < 2 ? "running" : "pending";
    runs.set(runId, {
      ...{ runId, sessionId: runId, sessionName: runId, status, turn: 0, questions: [] },
      request: { workflowName: "implement" },
    } as unknown as EngineRun);
    queue.add({ runId, sessionId: runId, caller: "anna" });
  }
  /** What changes is told, also while the notifier rests. */
  async function settle(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    clock.advance(1_000);
  }
  return { queue, notifier, slots, settle, looks: () => looks };
}

describe("where many wait", () => {
  it("takes a change of the queue a look at each of them, not at each of them for each", async () => {
    const looksFor = async (count: number) => {
      const { queue, notifier, settle, looks } = crowd(count);
      notifier.subscribe(() => {});
      await settle();
      const before = looks();
      queue.remove("r2");
      await settle();
      return looks() - before;
    };
    const [few, many] = [await looksFor(100), await looksFor(400)];
    expect(few).toBeGreaterThan(100);
    expect(many).toBeLessThan(few * 4.5);
  });

  it("tells each of them its position, once for what changes at once", async () => {
    const { queue, notifier, slots, settle } = crowd(50);
    const heard: string[] = [];
    await settle();
    notifier.subscribe((run) =>
      heard.push(tellWait(slots.waitOf(run) as NonNullable<ReturnType<typeof slots.waitOf>>)),
    );
    queue.remove("r2");
    queue.remove("r3");
    await settle();
    expect(heard).toHaveLength(48);
    expect(heard[0]).toMatch(/^Waiting for a free slot, position 1 \(2 of 2 busy: r0, r1\), about 1 min$/);
    expect(heard.at(-1)).toMatch(/position 48 /);
  });
});
