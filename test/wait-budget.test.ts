import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { resolveWaitMs } from "../src/actions/follow/wait-budget.js";
import { createHandClock } from "./support/hand-clock.js";
import { COMPLETE, connectInMemory } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: "manual" });

describe("how long a call may wait", () => {
  it("is below the minute after which clients give up when nothing resets their clock", () => {
    expect(resolveWaitMs(false, "some-client")).toBe(45_000);
    expect(resolveWaitMs(false, undefined)).toBe(45_000);
  });

  it("is to the end of the run with progress", () => {
    expect(resolveWaitMs(true, "some-client")).toBeUndefined();
    expect(resolveWaitMs(true, undefined)).toBeUndefined();
  });

  it.each([
    ["claude-ai", 240],
    ["Claude-AI", 240],
    ["goose", 300],
    ["goose-desktop", 300],
    ["openclaw", 300],
  ])("is below the limit of %s, %d s, whatever progress it gets and whatever is asked for", (name, limit) => {
    for (const ms of [resolveWaitMs(true, name), resolveWaitMs(true, name, 3_000)]) {
      expect(ms).toBeLessThanOrEqual((limit - 10) * 1000);
      expect(ms).toBeGreaterThan(180_000);
    }
    expect(resolveWaitMs(false, name)).toBe(45_000);
  });

  it("is what is asked for where the client bears it", () => {
    expect(resolveWaitMs(true, "claude-ai", 20)).toBe(20_000);
    expect(resolveWaitMs(false, "some-client", 300)).toBe(300_000);
    expect(resolveWaitMs(true, "some-client", 0)).toBe(0);
  });
});

describe("a call on a run that goes on and on", () => {
  it.each([
    ["claude-ai", true, 225],
    ["some-client", false, 45],
  ])("from %s, progress %s, is answered after %d s", async (name, withProgress, expected) => {
    const clock = createHandClock();
    const { call } = await connectInMemory({ name, clock });
    let answered = false;
    const answer = call(COMPLETE, withProgress ? { onprogress: () => {} } : {}).finally(() => {
      answered = true;
    });
    await sim.api().waitFor((request) => request.method === "POST");
    await sim.api().settled();
    await call({ action: "list_workflows" });
    // A run is first asked for a moment after its start was answered.
    clock.advance(100);
    await sim.api().waitFor((request) => request.path.endsWith("/status"));
    for (let second = 1; second < expected; second++) {
      clock.advance(1_000);
      // What was due is sent and answered before the next second begins.
      await new Promise((resolve) => setImmediate(resolve));
      await sim.api().settled();
    }
    await call({ action: "list_workflows" });
    expect(answered).toBe(false);
    clock.advance(1_000);
    expect((await answer).data).toMatchObject({
      outcome: "running",
      next_step: { arguments: { action: "status" } },
    });
  });
});
