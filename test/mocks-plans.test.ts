import { describe, expect, it } from "vitest";
import { type ApiOptions, createSimulatedApi } from "../mocks/http.js";
import { createHandClock } from "../mocks/world.js";
import { askForOutput, readOutput } from "../src/plans/machine/output.js";
import type { Fields } from "../src/plans/plan.js";

const FIELDS: Fields = {
  parts: { type: "list", required: true },
  verdict: { type: "string", required: true, enum: ["approve", "changes"] },
  summary: { type: "string", required: true, description: "What was found" },
  bugs: { type: "integer", required: true },
  score: { type: "number", required: false },
  ready: { type: "boolean", required: true },
};

/** A world of which every run is over when it is looked at. */
function createWorld(options: ApiOptions = {}) {
  const { world } = createSimulatedApi({ branches: true, paceMs: 0, clock: createHandClock(), ...options });
  const run = (message: string, more: object = {}) =>
    world.get(world.start("fix", { message, input_format: "stream-json", ...more }).runId);
  return { world, run };
}

describe("a simulated agent that is asked for fields", () => {
  it.each(["contract", "automagik-0.6"] as const)("gives a block that has them all (%s)", (profile) => {
    const { world } = createWorld({ profile, branches: profile === "contract" });
    const message = `Look at it.\n\n${askForOutput(FIELDS)}`;
    const workflow = profile === "contract" ? "fix" : "builder";
    const { result } = world.get(world.start(workflow, { message, input_format: "text" }).runId);
    const read = readOutput(result ?? undefined, FIELDS);
    expect(read).toMatchObject({
      output: { verdict: "approve", parts: [expect.any(String), expect.any(String)] },
    });
  });

  it("gives what the scenario tells, and no block where that says so", () => {
    const { world, run } = createWorld();
    const message = askForOutput(FIELDS);
    world.script({ result: "Looked at it.", output: { verdict: "changes" } });
    expect(readOutput(run(message).result ?? "", FIELDS)).toMatchObject({ output: { verdict: "changes" } });
    world.script({ output: false });
    expect(readOutput(run(message).result ?? "", FIELDS)).toHaveProperty("problem");
    world.script({ result: "That is all." });
    expect(run(message).result).toBe("That is all.");
  });
});

describe("simulated branches", () => {
  it("have the commits of the runs that go on with a session, and those of a person", () => {
    const { world, run } = createWorld();
    const first = run("Begin it", { session_name: "feature" });
    const second = run("Go on", { session_id: first.sessionId });
    expect(second.work?.branch).toBe(first.work?.branch);
    expect(second.work?.commits.map(({ title }) => title)).toEqual(["Go on", "Begin it"]);
    const work = world.commit(second.runId, "A person's own");
    expect(world.get(second.runId).work?.headCommit).toBe(work.headCommit);
    expect(work.headCommit).not.toBe(second.work?.headCommit);
  });

  it("are not merged while a run of the session goes on", () => {
    const { world, run } = createWorld();
    const { runId, sessionId } = run("Begin it");
    world.script({ manual: true });
    run("Go on", { session_id: sessionId });
    expect(() => world.take(runId, { into: "main" })).toThrow("goes on. Nothing was merged.");
  });

  it("are nothing that the public server has", () => {
    expect(() => createSimulatedApi({ profile: "automagik-0.6", branches: true })).toThrow(TypeError);
    const { world } = createSimulatedApi({ paceMs: 0 });
    const { runId } = world.start("fix", { message: "Go" });
    expect(() => world.take(runId, {})).toThrow("Not Found");
  });
});

describe("a simulated run with a cost limit", () => {
  it("ends when it has cost that", () => {
    const { world, run } = createWorld();
    world.script({ costUsd: 1, actions: ["One", "Two", "Three", "Four"] });
    expect(run("Go", { cost_limit_usd: 0.5 })).toMatchObject({
      status: "failed",
      turn: 2,
      costUsd: 0.5,
      errorCode: "cost_limit",
    });
    expect(run("Go", { cost_limit_usd: 2 })).toMatchObject({ status: "completed", costUsd: 1 });
  });
});
