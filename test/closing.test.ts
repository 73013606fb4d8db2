import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createPaced } from "../src/server/throttle-by-key.js";
import { type Clock, systemClock } from "../src/shared/clock.js";
import { COMPLETE, connectInMemory, until } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: "manual" });
const starts = () => sim.api().posts("/run/");

/** The real clock, and what has been set on it and has neither gone off nor been taken back. */
function createCountingClock(): Clock & { waiting(): number } {
  const waiting = new Set<object>();
  return {
    now: systemClock.now,
    elapsed: systemClock.elapsed,
    after(ms, task) {
      const timer = {};
      waiting.add(timer);
      const cancel = systemClock.after(ms, () => {
        waiting.delete(timer);
        task();
      });
      return () => {
        waiting.delete(timer);
        cancel();
      };
    },
    waiting: () => waiting.size,
  };
}

describe("a server that was closed", () => {
  it("has no timer left when nothing was going on", async () => {
    const clock = createCountingClock();
    const { server } = await connectInMemory({ clock });
    await server.close();
    expect(clock.waiting()).toBe(0);
  });

  it("has no timer left when runs were being watched", async () => {
    const clock = createCountingClock();
    const { server, call } = await connectInMemory({ clock });
    await call({ ...COMPLETE, wait_seconds: 0 });
    await server.close();
    expect(clock.waiting()).toBe(0);
  });

  it("tells of no change any more that is only seen now", () => {
    const clock = createCountingClock();
    const told: string[] = [];
    const updates = createPaced<string>(clock, 500, (uri) => told.push(uri));
    updates.close();
    updates.touch("automagik://sessions");
    expect([told.length, clock.waiting()]).toEqual([0, 0]);
  });

  it("has no timer and no request left when the API was still to answer a start", async () => {
    const clock = createCountingClock();
    const { server, call } = await connectInMemory({ clock });
    sim.api().fault({ method: "POST", path: "/run/" }, { hang: true, act: true });
    const answer = call(COMPLETE);
    await until(() => starts().length === 1, "the start");
    await server.close();
    expect((await answer).data.outcome).toBe("unknown");
    await until(() => clock.waiting() === 0, "the last timer", 1_000);
    expect(starts()).toHaveLength(1);
  });

  it("has no timer left when a lost start was being looked for", async () => {
    const clock = createCountingClock();
    const { server, call } = await connectInMemory({ clock });
    sim.api().fault({ method: "POST", path: "/run/" }, { drop: "before" });
    const answer = call(COMPLETE);
    await sim.api().waitFor(({ path }) => path === "/runs");
    await server.close();
    expect((await answer).data.outcome).toBe("unknown");
    await until(() => clock.waiting() === 0, "the last timer", 1_000);
  });
});
