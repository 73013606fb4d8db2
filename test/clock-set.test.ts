import { describe, expect, it, onTestFinished } from "vitest";
import { type ServedApi, serveSimulatedApi } from "../mocks/serve.js";
import { type Clock, systemClock } from "../src/shared/clock.js";
import { COMPLETE, connectInMemory } from "./support/harness.js";

const HOUR_MS = 3_600_000;

/** A wall clock that can be set; timers do not notice. */
function createSettableClock(): Clock & { set(byMs: number): void } {
  let shift = 0;
  return {
    now: () => systemClock.now() + shift,
    elapsed: systemClock.elapsed,
    after: systemClock.after,
    set: (byMs) => {
      shift += byMs;
    },
  };
}

async function serve(clock?: { now(): number }): Promise<ServedApi> {
  const served = await serveSimulatedApi({ paceMs: "manual", ...(clock ? { clock } : {}) });
  onTestFinished(() => served.close());
  return served;
}

describe("a clock that is set in the middle of a call", () => {
  it("back, does not make the wait for a delivery longer", async () => {
    const { api, url } = await serve();
    const clock = createSettableClock();
    const { call } = await connectInMemory({ clock, settings: { BASE_URL: url } });
    const { data } = await call({ ...COMPLETE, wait_seconds: 0 });
    const answer = call({ action: "feedback", run_id: data.run.run_id, message: "Use JWT", wait_seconds: 1 });
    await api.waitFor(({ path }) => path.endsWith("/message-queue"));
    clock.set(-HOUR_MS);
    expect((await answer).data.outcome).toBe("ok");
  });

  it("forward, does not make an old run of somebody else's pass for the one whose answer was lost", async () => {
    let apiShift = -60_000;
    const { api, url } = await serve({ now: () => Date.now() + apiShift });
    const clock = createSettableClock();
    const { call } = await connectInMemory({ clock, settings: { BASE_URL: url, REQUEST_TIMEOUT: "1" } });
    const { workflow_name, session_name, message } = COMPLETE;
    api.world.start(workflow_name, { message, session_name });
    apiShift = 0;
    api.fault({ method: "POST", path: "/run/" }, { hang: true });
    const work = call({ ...COMPLETE, wait_seconds: 0 });
    await api.waitFor(({ method }) => method === "POST");
    clock.set(HOUR_MS);
    const answer = await work;
    expect(answer.data.outcome).toBe("unknown");
    expect(answer.data).not.toHaveProperty("run");
  });
});
