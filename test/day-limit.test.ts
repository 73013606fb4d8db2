import { expect, it, vi } from "vitest";
import { createDayLimit } from "../src/engine/work/day-limit.js";
import { systemClock } from "../src/shared/clock.js";

it("a day without a limit is asked about at each turn of every agent, and nobody goes through all runs for it", () => {
  const all = vi.fn(() => []);
  const limits: Parameters<typeof createDayLimit>[0]["limits"] = { costLimitUsd: 2 };
  const day = createDayLimit({ runs: { all, get: () => undefined }, limits, clock: systemClock });
  expect([day.refusal({}), day.isReached({}), day.warning({})]).toEqual([undefined, false, undefined]);
  expect(day.grant("run", {})).toEqual({ limitUsd: 2 });
  expect(all).not.toHaveBeenCalled();
  // It is looked at again from the moment when there is one.
  limits.costLimitPerDayUsd = 0;
  expect(day.isReached({})).toBe(true);
});
