import { setImmediate } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { askOnce } from "./support/ask-once.js";
import { COMPLETE, until } from "./support/harness.js";
import { WITHOUT_TASKS } from "./support/modern-frames.js";
import { connectModern } from "./support/modern-server.js";

// Protocol 2026-07-28: what happens when requests for one call cross, are given up, come late or come again.

const sim = useSimulatedApi({ paceMs: "manual" });

const { session_name: _, ...UNNAMED } = COMPLETE;
const ACCEPT = { action: "accept", content: { session_name: "jwt-login" } };
const LONG = { TASK_AFTER: "3600" };

const starts = () => sim.api().posts("/run/");
const kills = () => sim.api().posts("/run/*/kill");
const theRun = () => sim.api().world.run(sim.api().world.runs()[0]?.runId ?? "");
const aRun = () => until(() => sim.api().world.runs().length > 0, "the run");

const inputOf = ({ inputRequests }: { inputRequests?: Record<string, unknown> }) =>
  Object.keys(inputRequests ?? {})[0] ?? "";
const isAsked = ({ status }: { status: string }) => status === "input_required";
const isCompleted = ({ status }: { status: string }) => status === "completed";

describe("requests for one call", () => {
  test("one of two that bring the same answer is given up: the call goes on for the other", async () => {
    const client = connectModern({ settings: LONG });
    const asked = await client.call(UNNAMED);
    const id = client.nextId();
    void client.retry(UNNAMED, asked, ACCEPT);
    const second = client.retry(UNNAMED, asked, ACCEPT, { progressToken: 5 });
    await aRun();
    client.cancel(id);
    theRun().turn("Designing");
    await until(() => client.notifications.some(({ params }) => params?.progressToken === 5), "the progress");
    theRun().complete({ result: "Done" });
    expect((await second).result.structuredContent).toMatchObject({ outcome: "completed" });
    expect(starts()).toHaveLength(1);
  });

  test("both are given up: the run goes on, and the call is over for a third one", async () => {
    const client = connectModern({ settings: LONG });
    const asked = await client.call(UNNAMED);
    const ids = [client.nextId(), client.nextId() + 1];
    void client.retry(UNNAMED, asked, ACCEPT);
    void client.retry(UNNAMED, asked, ACCEPT);
    await aRun();
    for (const id of ids) client.cancel(id);
    const { result } = await client.retry(UNNAMED, asked, ACCEPT);
    expect(result.structuredContent).toMatchObject({ run: { run_id: theRun().state.runId } });
    expect(starts()).toHaveLength(1);
    expect(sim.api().posts("/run/*/kill")).toEqual([]);
  });

  test("the form's time runs out before its answer comes: nothing is sent", async () => {
    const client = connectModern({ settings: { ELICITATION_TIMEOUT: "60" } });
    const asked = await client.call(UNNAMED);
    client.clock.skip(61_000);
    const { result } = await client.retry(UNNAMED, asked, ACCEPT);
    expect(result.structuredContent.outcome).toBe("cancelled");
    expect(starts()).toEqual([]);
  });

  test("an answer to a form that the server does not know says that a run may have begun before", async () => {
    const client = connectModern();
    const asked = await client.call(UNNAMED);
    const restarted = connectModern();
    const { error } = await restarted.retry(UNNAMED, asked, ACCEPT);
    expect(error).toMatchObject({
      code: -32602,
      message: expect.stringContaining("list_sessions tells: look there before you call again"),
      data: { reason: "invalid_request_state" },
    });
    expect(starts()).toEqual([]);
  });

  test("a client without progress gets its task before its own limit of 60 s", async () => {
    const client = connectModern({ settings: LONG });
    const going = client.call(COMPLETE);
    await aRun();
    client.clock.skip(46_000);
    expect((await going).result).toMatchObject({ resultType: "task", status: "working" });
  });

  test("a call that is to be answered at once is no task", async () => {
    const client = connectModern();
    const { result } = await client.call({ ...COMPLETE, wait_seconds: 0 });
    expect(result.structuredContent.outcome).toBe("started");
  });
});

describe("a question of the agent without tasks", () => {
  test("is answered elsewhere while its form is open: the late answer is not sent, the end is told", async () => {
    const { answers, readsAfter } = askOnce(sim);
    const client = connectModern({ about: WITHOUT_TASKS });
    const asked = await client.call(COMPLETE, {}, { progressToken: 1 });
    expect(asked.result.inputRequests).toMatchObject({ [inputOf(asked.result)]: { params: {} } });
    const run_id = sim.api().world.runs()[0]?.runId ?? "";
    await client.call({ action: "answer", run_id, question_id: "q1", answer: "argon2id" });
    await until(() => readsAfter() > 1, "the end to be seen");
    const late = { action: "accept", content: { own_answer: "bcrypt" } };
    const { result } = await client.retry(COMPLETE, asked, late, { progressToken: 2 });
    const told = '"Which hash?" is no longer open. The answer that came to its form after that was not used.';
    expect(result.structuredContent).toMatchObject({
      outcome: "completed",
      summary: expect.stringContaining(told),
    });
    expect(result.content[0].text).toContain(told);
    expect(answers).toMatchObject([{ answer: "argon2id" }]);
  });
});

describe("questions of the agent in a call that goes on", () => {
  test("are told to each request that has brought no answer, with how the person comes to them", async () => {
    askOnce(sim, ["Which hash?", "Which salt?"]);
    const client = connectModern({ settings: LONG });
    const told = (token: number) =>
      client.notifications.flatMap(({ params }) => (params?.progressToken === token ? [params.message] : []));
    const closed = { action: "cancel" };
    const first = await client.call(COMPLETE, {}, { progressToken: 1 });
    client.clock.skip(1_000);
    const second = await client.retry(COMPLETE, first, closed, { progressToken: 2 });
    client.clock.skip(1_000);
    void client.retry(COMPLETE, second, closed, { progressToken: 3 });
    await until(() => told(3).length > 0, "the progress");
    expect(told(3)).toEqual(["Waiting for an answer (ask how it is, to answer): Which hash? (and 1 more)"]);
  });
});

describe("a question in a task", () => {
  const REPLY = { action: "accept", content: { own_answer: "bcrypt" } };

  test("is the same question for a server that was restarted, and answered once", async () => {
    const { answers } = askOnce(sim);
    const { taskId } = (await connectModern().call(COMPLETE)).result;
    const restarted = connectModern();
    const before = inputOf(await restarted.poll(taskId, isAsked));
    // Nobody has asked this one for the task when the answer comes.
    const client = connectModern();
    for (const _ of [1, 2])
      await client.request("tasks/update", { taskId, inputResponses: { [before]: REPLY } });
    const { result } = await client.poll(taskId, isCompleted);
    expect(result.structuredContent.outcome).toBe("completed");
    expect(answers).toMatchObject([{ answer: "bcrypt" }]);
  });

  test("a decline that comes to a restarted server is the person's", async () => {
    const { answers } = askOnce(sim);
    const { taskId } = (await connectModern().call(COMPLETE)).result;
    const key = inputOf(await connectModern().poll(taskId, isAsked));
    const client = connectModern();
    await client.request("tasks/update", { taskId, inputResponses: { [key]: { action: "decline" } } });
    await client.poll(taskId, isCompleted);
    expect(answers).toMatchObject([{ answer: expect.stringContaining("does not want to answer") }]);
  });

  test("is asked as long as it is open, whatever a form's time is", async () => {
    const { answers } = askOnce(sim);
    const client = connectModern({ settings: { ELICITATION_TIMEOUT: "60" } });
    const { taskId } = (await client.call(COMPLETE)).result;
    const key = inputOf(await client.poll(taskId, isAsked));
    client.clock.skip(3_600_000);
    expect(inputOf(await client.poll(taskId, isAsked))).toBe(key);
    await client.request("tasks/update", { taskId, inputResponses: { [key]: REPLY } });
    await client.poll(taskId, isCompleted);
    expect(answers).toHaveLength(1);
  });

  test("stays with the task when another call follows the same run", async () => {
    const { answers } = askOnce(sim);
    const client = connectModern();
    const { taskId } = (await client.call(COMPLETE)).result;
    const key = inputOf(await client.poll(taskId, isAsked));
    const run_id = sim.api().world.runs()[0]?.runId ?? "";
    const status = await client.call({ action: "status", run_id, wait_seconds: 600 });
    expect(status.result).toMatchObject({ resultType: "task", taskId });
    expect(inputOf(await client.poll(taskId, isAsked))).toBe(key);
    await client.request("tasks/update", { taskId, inputResponses: { [key]: REPLY } });
    await client.poll(taskId, isCompleted);
    expect(answers).toHaveLength(1);
  });
});

describe("a task", () => {
  test("whose run could not be ended goes on and says so; cancelled again it is ended", async () => {
    const client = connectModern();
    const { taskId } = (await client.call(COMPLETE)).result;
    const mend = sim.api().fault({ path: "/run/*/kill" }, { status: 503 });
    expect(await client.request("tasks/cancel", { taskId })).toMatchObject({ result: {} });
    const going = await client.poll(taskId, () => true);
    expect(going.status).toBe("working");
    mend();
    await client.request("tasks/cancel", { taskId });
    const ended = await client.poll(taskId, ({ status }) => status !== "working");
    expect(ended).toMatchObject({ status: "cancelled", statusMessage: expect.stringContaining("killed") });
  });

  test("whose run could not be ended is ended later, though its client asks no more", async () => {
    const client = connectModern();
    const { taskId } = (await client.call(COMPLETE)).result;
    const mend = sim.api().fault({ path: "/run/*/kill" }, { status: 503 });
    await client.request("tasks/cancel", { taskId });
    expect(kills()).toHaveLength(1);
    client.clock.skip(6_000);
    await until(() => kills().length === 2, "the second try");
    mend();
    client.clock.skip(12_000);
    await until(() => theRun().state.status === "killed", "the end");
    expect((await client.poll(taskId, ({ status }) => status !== "working")).status).toBe("cancelled");
    client.clock.skip(600_000);
    expect(kills()).toHaveLength(3);
  });

  test("that could not be ended, and is asked for only after a while, is followed as before", async () => {
    const client = connectModern();
    const { taskId } = (await client.call(COMPLETE)).result;
    sim.api().fault({ path: "/run/*/kill" }, { status: 503 });
    await client.request("tasks/cancel", { taskId });
    client.clock.skip(6_000);
    await until(() => kills().length === 2, "the second try");
    theRun().turn("Designing");
    const task = await client.poll(taskId, ({ statusMessage }) => statusMessage.includes("Turn 1/50"));
    expect(task.status).toBe("working");
  });

  test("that is to be ended stays so when another call follows its run: it is tried again, and told", async () => {
    const client = connectModern();
    const { taskId } = (await client.call(COMPLETE)).result;
    const mend = sim.api().fault({ path: "/run/*/kill" }, { status: 503 });
    await client.request("tasks/cancel", { taskId });
    // Its client asks no more: with the next try nothing follows the run.
    client.clock.skip(6_000);
    await until(() => kills().length === 2, "the second try");
    const status = { action: "status", run_id: theRun().state.runId, wait_seconds: 600 };
    const { result } = await client.call(status);
    expect(result).toMatchObject({
      taskId,
      status: "working",
      statusMessage: expect.stringContaining("could not be ended, tried again"),
    });
    theRun().turn("Designing");
    const task = await client.poll(taskId, ({ statusMessage }) => statusMessage.includes("Turn 1/50"));
    expect(task.statusMessage).toContain("could not be ended, tried again · Turn 1/50");
    mend();
    client.clock.skip(11_000);
    await until(() => kills().length === 3, "the third try");
    expect((await client.poll(taskId, ({ status }) => status !== "working")).status).toBe("cancelled");
    expect(starts()).toHaveLength(1);
  });

  test("that is followed anew while the API does not answer goes on until it does", async () => {
    const { taskId } = (await connectModern().call(COMPLETE)).result;
    const mend = sim.api().fault({ path: "/run/*/status" }, { status: 503 });
    const client = connectModern();
    const first = await client.poll(taskId, ({ statusMessage }) => Boolean(statusMessage));
    expect(first.status).toBe("working");
    mend();
    theRun().complete({ result: "Done" });
    client.clock.skip(60_000);
    const { result } = await client.poll(taskId, isCompleted);
    expect(Object.keys(result.structuredContent)[0]).toBe("summary");
    expect(result.structuredContent).toMatchObject({ outcome: "completed", run: { result: "Done" } });
  });
});

test("however many calls wait for a form, nothing is said of too many listeners", async () => {
  const warnings: string[] = [];
  const hear = ({ name }: Error) => warnings.push(name);
  process.on("warning", hear);
  onTestFinished(() => void process.off("warning", hear));
  const client = connectModern();
  const asked = await Promise.all(Array.from({ length: 20 }, () => client.call(UNNAMED)));
  expect(asked.map(({ result }) => result.resultType)).toEqual(Array(20).fill("input_required"));
  await setImmediate();
  expect(warnings).not.toContain("MaxListenersExceededWarning");
});

describe("what cannot be had", () => {
  test("a resource of an API that does not answer is told as that, and not as one that is not there", async () => {
    const client = connectModern();
    sim.api().fault({ path: "/run/*/status" }, { status: 503 });
    const { error } = await client.request("resources/read", { uri: "automagik://runs/some-run" });
    expect(error).toMatchObject({ code: -32603, message: expect.stringContaining("503") });
  });

  test.each([
    ["a run", "automagik://runs/no-such-run"],
    ["a plan", "plan://no-such-plan"],
    ["an address of megabytes", `automagik://${"x".repeat(2_000_000)}`],
  ])("%s that is not there is told in a few words", async (_name, uri) => {
    const { error } = await connectModern().request("resources/read", { uri });
    expect(error).toMatchObject({ code: -32602, message: expect.stringContaining("There is no resource") });
    expect(JSON.stringify(error).length).toBeLessThan(2_000);
  });

  test("a tool of a name of megabytes is, too", async () => {
    const { error } = await connectModern().request("tools/call", { name: "x".repeat(2_000_000) });
    expect(error).toMatchObject({ code: -32602 });
    expect(JSON.stringify(error).length).toBeLessThan(2_000);
  });
});
