import type { Progress } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { COMPLETE, connectInMemory } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: 60 });
const starts = () => sim.api().posts("/run/");

describe("a run with progress", () => {
  it("tells turn, limit and action, each above the last, and brings back the result", async () => {
    sim.api().world.script({
      paceMs: 700,
      actions: ["Reading the code", "Choosing an approach", "Designing database schema"],
      result: "The design is in docs/auth.md",
      costUsd: 0.25,
    });
    const seen: Progress[] = [];
    const { call } = await connectInMemory();
    const answer = await call({ ...COMPLETE, max_turns: 10 }, { onprogress: (one) => seen.push(one) });
    const after = seen.length;
    expect(seen.map((one) => one.message)).toEqual([
      "Started architect as auth-system-project",
      "Turn 1/10: Reading the code",
      "Turn 2/10: Choosing an approach",
      "Turn 3/10: Designing database schema",
    ]);
    expect(seen.map((one) => one.progress)).toEqual([0.001, 1, 2, 3]);
    expect(seen.every((one) => one.total === 10)).toBe(true);
    expect(answer.data).toMatchObject({
      outcome: "completed",
      run: {
        status: "completed",
        session_name: "auth-system-project",
        workflow_name: "architect",
        turn: 3,
        max_turns: 10,
        cost_usd: 0.25,
        result: "The design is in docs/auth.md",
      },
    });
    expect(answer.text).toContain("The design is in docs/auth.md");
    await call({ action: "list_workflows" });
    expect(seen).toHaveLength(after);
  });

  it("sends at most two notifications a second and never loses the last", async () => {
    sim.api().world.script({
      paceMs: 50,
      actions: Array.from({ length: 30 }, (_, index) => `Step ${index + 1}`),
    });
    const seen: Progress[] = [];
    const { call } = await connectInMemory();
    const began = performance.now();
    await call({ ...COMPLETE, max_turns: 40 }, { onprogress: (one) => void seen.push(one) });
    const tookMs = performance.now() - began;
    // The first is sent at once and the last one with the answer, however soon after the one before it.
    expect(seen.length).toBeGreaterThan(2);
    expect((seen.length - 2) * 500).toBeLessThanOrEqual(tookMs);
    expect(seen.at(-1)?.progress).toBe(30);
    const values = seen.map((one) => one.progress);
    expect(values).toEqual([...new Set(values)].sort((a, b) => a - b));
  });

  it("says of a run that has used up its turns that the work may be unfinished", async () => {
    const { call } = await connectInMemory();
    const told = async (max_turns: number) => {
      sim.api().world.script({ paceMs: 10, actions: ["One", "Two"] });
      return (await call({ ...COMPLETE, session_name: `auth-${max_turns}`, max_turns })).data;
    };
    expect(await told(2)).toMatchObject({
      outcome: "completed",
      summary: expect.stringContaining("That is its turn limit, so the work may be unfinished."),
    });
    expect(await told(3)).toMatchObject({
      outcome: "completed",
      summary: expect.not.stringContaining("turn limit"),
    });
  });

  it("reports a failure with the API's reason", async () => {
    sim.api().world.script({ paceMs: 20, actions: ["One"], outcome: "failed", error: "the disk is full" });
    const { call } = await connectInMemory();
    const answer = await call(COMPLETE);
    expect(answer.isError).toBe(false);
    expect(answer.data).toMatchObject({ outcome: "failed", run: { error: "the disk is full" } });
    expect(answer.text).toContain("the disk is full");
  });

  it("cuts a long result and says where the whole is", async () => {
    sim.api().world.script({ paceMs: 20, actions: ["One"], result: "word ".repeat(10_000) });
    const { call } = await connectInMemory();
    const answer = await call(COMPLETE);
    expect(answer.data.run.result.length).toBeLessThan(17_000);
    expect(answer.data.run.result).toContain(`automagik://runs/${answer.data.run.run_id}/result`);
    expect(answer.text.length).toBeLessThan(20_000);
  });

  it("takes escape sequences and control characters out of what the run says", async () => {
    sim.api().world.script({
      paceMs: 300,
      actions: ["\u001b[31mRed\u001b[0m \u0007action"],
      result: "fine\u001b]0;title\u0007\u0000 text\u202e",
    });
    const seen: Progress[] = [];
    const { call } = await connectInMemory();
    const answer = await call(COMPLETE, { onprogress: (one) => seen.push(one) });
    expect(seen.at(-1)?.message).toBe("Turn 1/50: Red action");
    expect(answer.data.run.result).toBe("fine text");
  });
});

describe("how long a call waits", () => {
  it("answers at once with wait_seconds 0, and the run goes on", async () => {
    sim.api().world.script({ manual: true, actions: ["One"] });
    const { call } = await connectInMemory();
    const answer = await call({ ...COMPLETE, wait_seconds: 0 });
    expect(answer.data).toMatchObject({
      outcome: "started",
      run: { status: expect.stringMatching(/pending|running/) },
      next_step: { tool: "orchestrate_workflow", arguments: { action: "status" } },
    });
    const { run_id } = answer.data.run;
    sim.api().world.run(run_id).complete({ result: "done" });
    const status = await call({ action: "status", run_id });
    expect(status.data).toMatchObject({ outcome: "completed", run: { result: "done" } });
    expect(starts()).toHaveLength(1);
  });

  it("answers running when the time is up, with how to follow on", async () => {
    sim.api().world.script({ manual: true, actions: ["One", "Two"] });
    const { call } = await connectInMemory();
    const answer = await call({ ...COMPLETE, wait_seconds: 0.5 });
    expect(answer.data.outcome).toBe("running");
    expect(answer.data.next_step.arguments.run_id).toBe(answer.data.run.run_id);
  });

  it("leaves the run alone when the call is cancelled, and status picks it up again with progress", async () => {
    sim.api().world.script({ manual: true, actions: ["One", "Two", "Three"] });
    const { call } = await connectInMemory();
    const controller = new AbortController();
    const pending = call(COMPLETE, {
      signal: controller.signal,
      onprogress: () => controller.abort("enough"),
    }).catch((error: Error) => error);
    expect(await pending).toBeInstanceOf(Error);
    await sim.api().waitFor((request) => request.path.endsWith("/status"));
    const [run] = sim.api().world.runs();
    expect(run?.status).toBe("running");
    const seen: string[] = [];
    const followed = call(
      { action: "status", session_name: "auth-system-project", wait_seconds: 10 },
      {
        onprogress: (one) => {
          seen.push(one.message ?? "");
          if (seen.length === 1)
            sim
              .api()
              .world.run(run?.runId ?? "")
              .complete({ result: "done" });
        },
      },
    );
    sim
      .api()
      .world.run(run?.runId ?? "")
      .turn("Designing database schema");
    expect((await followed).data).toMatchObject({ outcome: "completed", run: { result: "done" } });
    expect(seen[0]).toContain("Designing database schema");
    expect(sim.api().posts("/run/*/kill")).toHaveLength(0);
    expect(starts()).toHaveLength(1);
  });

  it("reports a run that shows no change as stalled, without stopping it", async () => {
    sim.api().world.script({ manual: true, actions: ["One"] });
    const { call } = await connectInMemory({ stallAfterMs: 400 });
    const answer = await call(COMPLETE);
    expect(answer.data.outcome).toBe("stalled");
    expect(answer.text).toContain("AUTOMAGIK_WORKFLOWS_INPUT_FORMAT=text");
    expect(sim.api().world.runs()[0]?.status).toBe("running");
  });

  it("costs one poll however many watch", async () => {
    sim.api().world.script({ manual: true, actions: ["One"] });
    const { call, connect } = await connectInMemory();
    const { run_id } = (await call({ ...COMPLETE, wait_seconds: 0 })).data.run;
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect()));
    const before = sim.api().requests.length;
    const began = performance.now();
    await Promise.all(clients.map((one) => one.call({ action: "status", run_id, wait_seconds: 2 })));
    const polls = sim
      .api()
      .requests.slice(before)
      .filter((one) => one.path.endsWith("/status")).length;
    // One look every 0.2 s, and one more for each that joined: eight pollers would make some eighty.
    expect(polls).toBeLessThan((performance.now() - began) / 200 + 15);
  });
});

describe("arguments", () => {
  const cases: [string, Record<string, unknown>, RegExp][] = [
    ["an empty message", { ...COMPLETE, message: "  " }, /`message`/],
    [
      "no message",
      { ...COMPLETE, message: undefined },
      /`message` is missing: The task, .*[^.]\. Nothing was sent\./,
    ],
    ["a turn limit out of bounds", { ...COMPLETE, max_turns: 500 }, /`max_turns` 500: .*200/],
    ["a timeout out of bounds", { ...COMPLETE, timeout: 5 }, /`timeout` 5: .*60/],
    ["a wrong type", { ...COMPLETE, persistent: "perhaps" }, /`persistent` "perhaps"/],
    ["an unknown argument", { ...COMPLETE, repository: "x" }, /`repository`; `repository_url` may be meant/],
    ["a bad branch", { ...COMPLETE, git_branch: "a b" }, /`git_branch` "a b"/],
    [
      "a page about a repository",
      { ...COMPLETE, repository_url: "https://github.com/o/r/tree/main" },
      /`repository_url`.* The repository is https:\/\/github\.com\/o\/r, with git_branch "main"/,
    ],
    ["a bad address", { ...COMPLETE, repository_url: "ext::sh -c id" }, /`repository_url`/],
    ["an unknown workflow", { ...COMPLETE, workflow_name: "architekt" }, /Nearest: architect/],
    ["two ways to continue", { ...COMPLETE, session_id: "a", continue_session: "b" }, /continue_session/],
  ];
  it.each(cases)("%s: a tool error that names it, and nothing is sent", async (_name, args, expected) => {
    const { call } = await connectInMemory();
    const answer = await call(args);
    expect(answer.isError).toBe(true);
    expect(answer.text).toMatch(expected);
    expect(starts()).toHaveLength(0);
  });

  it("an unknown action: a tool error that names it and what may be meant", async () => {
    const { call } = await connectInMemory();
    const answer = await call({ action: "runn" });
    expect(answer.isError).toBe(true);
    expect(answer.text).toMatch(/`action` "runn".*run may be meant/);
    expect(starts()).toHaveLength(0);
  });

  it("takes numbers and booleans written as text, and null as left out", async () => {
    const { call } = await connectInMemory();
    await call({ ...COMPLETE, max_turns: "7", auto_merge: "true", session_id: null, wait_seconds: "0" });
    expect(starts()[0]?.body).toMatchObject({ max_turns: 7 });
    expect(starts()[0]?.query).toEqual({ auto_merge: "true" });
  });

  it("merges the work where the call or the settings say so, and the call counts more", async () => {
    const asked: Record<string, unknown>[] = [
      { finish: "merge" },
      { finish: "branch" },
      { auto_merge: true, finish: "merge" },
      {},
      { temp_workspace: true },
    ];
    const sent = async (FINISH: string) => {
      const { call } = await connectInMemory({ settings: { FINISH } });
      const before = starts().length;
      for (const [index, args] of asked.entries())
        await call({ ...COMPLETE, session_name: `${FINISH}-${index}`, ...args, wait_seconds: 0 });
      return starts()
        .slice(before)
        .map(({ query }) => query.auto_merge);
    };
    expect(await sent("branch")).toEqual(["true", "false", "true", undefined, undefined]);
    expect(await sent("merge")).toEqual(["true", "false", "true", "true", undefined]);
    const { call } = await connectInMemory();
    const clash = await call({ ...COMPLETE, finish: "branch", auto_merge: true });
    expect(clash.text).toMatch(/say different things.*Nothing was sent/);
  });

  it("says without an API key what is missing, and sends nothing", async () => {
    const { call, client } = await connectInMemory({ settings: { API_KEY: "" } });
    const { tools } = await client.listTools();
    expect(JSON.stringify(tools)).toContain("AUTOMAGIK_WORKFLOWS_API_KEY");
    const answer = await call(COMPLETE);
    expect(answer.isError).toBe(true);
    expect(answer.text).toContain("AUTOMAGIK_WORKFLOWS_API_KEY");
    expect(sim.api().requests).toHaveLength(0);
  });
});

describe("a start that is confirmed", () => {
  it("is none where it has nothing to be confirmed: the action was forgotten, and it would be a second paid run", async () => {
    const { call, forms } = await connectInMemory({ onForm: () => ({ action: "accept", content: {} }) });
    const answer = await call({ ...COMPLETE, confirm: true });
    expect(answer).toMatchObject({ isError: true });
    expect(answer.text).toContain("`confirm` does not belong to action run; action kill may be meant");
    expect(answer.text).toContain("Nothing was sent.");
    expect([starts(), forms]).toEqual([[], []]);
  });

  it("is one with confirm: false, which agrees to nothing", async () => {
    const { call } = await connectInMemory();
    expect((await call({ ...COMPLETE, confirm: false, wait_seconds: 0 })).data).toMatchObject({
      outcome: "started",
    });
    expect(starts()).toHaveLength(1);
  });
});
