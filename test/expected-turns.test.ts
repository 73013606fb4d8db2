import type { Progress } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { renderTable } from "../src/cli/sessions/render-sessions.js";
import { bareRun } from "../src/runs/run-facts.js";
import { measureTurns, tellTurns } from "../src/runs/tell-turns.js";
import { COMPLETE, connectInMemory } from "./support/harness.js";
import { createSkippingClock } from "./support/skipping-clock.js";

const sim = useSimulatedApi({ paceMs: 5 });
const world = () => sim.api().world;
const actions = (count: number) => Array.from({ length: count }, (_, index) => `Step ${index + 1}`);

describe("how far a run is", () => {
  const at = (turn: number, expectedTurns?: number, maxTurns: number | undefined = 50) => ({
    ...bareRun("r"),
    ...{ turn, status: "running" },
    ...(expectedTurns === undefined ? {} : { expectedTurns }),
    ...(maxTurns === undefined ? {} : { maxTurns }),
  });
  const tell = (run: ReturnType<typeof at>) => tellTurns(run, (turn, limit) => `${turn}/${limit}`);

  it("is told against what is usual, beyond it with what that is, and near the limit against that", () => {
    expect([0, 3, 12, 13, 39, 40, 50].map((turn) => tell(at(turn, 12)))).toEqual([
      undefined,
      "3 of about 12",
      "12 of about 12",
      "13 (usually about 12)",
      "39 (usually about 12)",
      "40 of at most 50",
      "50 of at most 50",
    ]);
  });

  it("is told against the limit where that is all there is, or no more than what is usual", () => {
    expect([tell(at(3)), tell(at(3, 12, 10)), tell(at(3, 10, 10))]).toEqual(["3/50", "3/10", "3/10"]);
    expect(measureTurns(at(3))).toEqual({ progress: 3, total: 50 });
  });

  it.each([50, undefined])(
    "as a number never goes down nor beyond its total, with a limit of %s",
    (limit) => {
      const { maxTurns: _none, ...unlimited } = at(0, 12);
      const shares = Array.from({ length: 50 }, (_, index) => {
        const run = { ...(limit === undefined ? unlimited : at(0, 12, limit)), turn: index + 1 };
        const { progress, total = 0 } = measureTurns(run);
        expect(progress).toBeLessThanOrEqual(total);
        return progress / total;
      });
      expect(shares).toEqual([...shares].sort((a, b) => a - b));
      expect(new Set(shares).size).toBe(50);
      expect(shares[11]).toBe(0.9);
    },
  );

  it("shows in the line of a session", () => {
    const session = {
      session_name: "jwt-login",
      can_continue: false,
      workflow_name: "implement",
      status: "running",
      run_id: "r",
      runs: 1,
      age_s: 5,
    };
    const turns = { max_turns: 50, expected_turns: 12 };
    const queued = {
      ...session,
      status: "pending",
      waits_for_slot: "Waiting for a free slot, position 2 (1 of 1 busy: jwt-login), about 4 min",
      slot_position: 2,
      slot_in_s: 240,
    };
    const lines = [
      { ...session, turn: 3, ...turns },
      { ...session, turn: 13, ...turns },
      queued,
      { ...queued, status: "running", slot_position: 1 },
    ];
    const table = renderTable(lines, { width: undefined, paint: (text) => text, now: 0 });
    expect(
      table
        .split("\n")
        .slice(1)
        .map((line) => line.replace(/\s{2,}/g, "|")),
    ).toEqual([
      "jwt-login|running|implement|3/~12|5 s",
      "jwt-login|running|implement|13/50|5 s",
      "jwt-login|queued, position 2, about 4 min|implement|5 s",
      "jwt-login|answered, waits for a slot, position 1, about 4 min|implement|5 s",
    ]);
  });
});

describe("what is usual for a workflow", () => {
  it("is known after three runs that have succeeded, and not by those that were cut off or have failed", async () => {
    const clock = createSkippingClock();
    const { call } = await connectInMemory({ clock });
    let runs = 0;
    async function run(count: number, { outcome, ...more }: { outcome?: "failed"; max_turns?: number } = {}) {
      world().script({ paceMs: 300, actions: actions(count), ...(outcome ? { outcome } : {}) });
      const seen: Progress[] = [];
      const args = { ...COMPLETE, ...more, session_name: `session-${++runs}` };
      await call(args, { onprogress: (one) => seen.push(one) });
      // What is remembered is read every ten minutes.
      clock.skip(10 * 60_000);
      return seen.filter(({ message }) => message?.startsWith("Turn"));
    }
    await run(4);
    await run(6);
    await run(2, { max_turns: 2 });
    await run(1, { outcome: "failed" });
    for (const { message, total } of await run(5))
      expect([message, total]).toEqual([expect.stringMatching(/^Turn \d\/50: Step/), 50]);
    const seen = await run(5);
    expect(seen.length).toBeGreaterThan(0);
    for (const { message, total } of seen)
      expect([message, total]).toEqual([expect.stringMatching(/^Turn \d of about 5: Step/), 100]);
  });
});
