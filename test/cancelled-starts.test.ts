import { describe, expect, onTestFinished, test } from "vitest";
import { type ServedApi, serveSimulatedApi } from "../mocks/serve.js";
import { LEGS, type Leg, NEWER_OVER_STDIO, openLeg } from "./support/cancelling-legs.js";
import { COMPLETE, until } from "./support/harness.js";
import { startHttp } from "./support/http.js";
import type { Frame } from "./support/modern-frames.js";
import { bringTo, callModern } from "./support/modern-http.js";
import { connectModern } from "./support/modern-server.js";

// A call that is given up while its start is under way: the run has begun or not, nobody knows yet. Whatever the
// protocol and the transport, there is one start, its run goes on, and it is found by the name of its session.

const { session_name } = COMPLETE;
const aRun = ({ api }: Leg) => until(() => api.world.runs().length > 0, "the run");
const aStart = ({ api }: Leg) => until(() => api.posts("/run/").length > 0, "the start");

/** Asks for the session until it is known, and gives its run. */
function findRun(leg: Leg): Promise<Frame> {
  return until(async () => (await leg.call({ action: "status", session_name })).run, "the session's run");
}

/** The same when the API's list is not to be had: by what was written down of the run. */
async function findRunWithoutList(leg: Leg): Promise<Frame> {
  leg.api.fault({ method: "GET", path: "/runs" }, { status: 503 });
  return findRun(leg);
}

function holdsOneRun({ api }: Leg): void {
  expect(api.posts("/run/")).toHaveLength(1);
  expect(api.world.runs()).toHaveLength(1);
  expect(api.posts("/run/*/kill")).toEqual([]);
}

describe.each(LEGS)("on %s", (_name, open) => {
  test.each([
    ["soon after", 400],
    ["long after", 2_000],
  ])("the API answers %s the call was given up: the run goes on under its name", async (_when, delayMs) => {
    const leg = await openLeg(open);
    leg.api.fault({ path: "/run/" }, { delayMs }, 1);
    const { giveUp, answer } = leg.start(COMPLETE);
    await aRun(leg);
    giveUp();
    const run = await findRunWithoutList(leg);
    expect(run).toMatchObject({ run_id: leg.api.world.runs()[0]?.runId, session_name });
    holdsOneRun(leg);
    expect(answer()).toBeUndefined();
  });

  test.each([
    ["", {}],
    [", though the API would take the start again under its key", { describe: true, keyPrefix: "db-1." }],
  ])("the API's answer is lost after that: the run is found, nothing is sent again%s", async (_more, api) => {
    const leg = await openLeg(open, api);
    leg.api.fault({ path: "/run/" }, { delayMs: 300, drop: "after" }, 1);
    const { giveUp } = leg.start(COMPLETE);
    await aRun(leg);
    giveUp();
    await leg.api.settled();
    const run_id = leg.api.world.runs()[0]?.runId;
    expect(await findRun(leg)).toMatchObject({ run_id });
    expect(await findRunWithoutList(leg)).toMatchObject({ run_id });
    holdsOneRun(leg);
  });

  test("the API takes the start and answers only after the same call has come again: that one starts nothing", async () => {
    const leg = await openLeg(open);
    leg.api.fault({ path: "/run/" }, { delayMs: 1_000 }, 1);
    const { giveUp } = leg.start(COMPLETE);
    await aRun(leg);
    giveUp();
    const again = await leg.call({ ...COMPLETE, wait_seconds: 0 });
    expect(again.outcome).toBe("input_required");
    expect(again.summary).toContain(session_name);
    holdsOneRun(leg);
  });

  test("it continues a session, and the same call comes again before the API answers: that one starts nothing", async () => {
    const leg = await openLeg(open);
    const first = await leg.call({ ...COMPLETE, wait_seconds: 0 });
    leg.api.world.run(first.run.run_id).complete();
    await leg.call({ action: "status", run_id: first.run.run_id, wait_seconds: 5 });
    const continuing = { workflow_name: "implement", message: "Build it", continue_session: session_name };
    leg.api.fault({ path: "/run/" }, { delayMs: 1_000 }, 1);
    const { giveUp } = leg.start(continuing);
    await until(() => leg.api.world.runs().length > 1, "the run");
    giveUp();
    const again = await leg.call({ ...continuing, wait_seconds: 0 });
    expect(leg.api.posts("/run/")).toHaveLength(2);
    expect(again.outcome).toBe("input_required");
    expect(again.summary).toContain("still has a run going on");
  });

  test("the API refuses the start after that: nothing has begun, and the same call starts the run", async () => {
    const leg = await openLeg(open);
    leg.api.fault(
      { path: "/run/" },
      { delayMs: 300, status: 503, body: { detail: "Full", started: false } },
      1,
    );
    const { giveUp } = leg.start(COMPLETE);
    await aStart(leg);
    giveUp();
    const again = await leg.call({ ...COMPLETE, wait_seconds: 0 });
    expect(again).toMatchObject({ outcome: "started", run: { session_name } });
    expect(leg.api.posts("/run/")).toHaveLength(2);
    expect(leg.api.world.runs()).toHaveLength(1);
  });
});

test("a run whose call was given up so is ended by the name of its session", async () => {
  const leg = await openLeg(NEWER_OVER_STDIO);
  leg.api.fault({ path: "/run/" }, { delayMs: 400 }, 1);
  const { giveUp } = leg.start(COMPLETE);
  await aRun(leg);
  giveUp();
  await findRun(leg);
  const killed = await leg.call({ action: "kill", session_name, confirm: true });
  expect(killed.outcome).toBe("killed");
  expect(leg.api.posts("/run/*/kill")).toHaveLength(1);
});

describe("the call that brings the answer to the form is given up while its start is under way,", () => {
  const { session_name: _, ...UNNAMED } = COMPLETE;
  const ACCEPT = { action: "accept", content: { session_name } };

  async function serveSlowly() {
    const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual" });
    onTestFinished(() => served.close());
    served.api.fault({ path: "/run/" }, { delayMs: 600 }, 1);
    return served;
  }
  const hasBegun = ({ api }: ServedApi) => until(() => api.world.runs().length > 0, "the run");
  function namesTheRun({ api }: ServedApi, { result }: Frame): void {
    // The answer of the call that was given up, or the run as a task where it has come before that was noticed.
    expect(result.structuredContent?.run.run_id ?? result.taskId).toContain(api.world.runs()[0]?.runId);
    expect(api.posts("/run/")).toHaveLength(1);
    expect(api.posts("/run/*/kill")).toEqual([]);
  }

  test("and comes again: it is answered with the run, over stdio", async () => {
    const served = await serveSlowly();
    const client = connectModern({ settings: { BASE_URL: served.url, TASK_AFTER: "0" } });
    const asked = await client.call(UNNAMED);
    const id = client.nextId();
    void client.retry(UNNAMED, asked, ACCEPT);
    await hasBegun(served);
    client.cancel(id);
    namesTheRun(served, await client.retry(UNNAMED, asked, ACCEPT));
  });

  test("and comes again: it is answered with the run, over HTTP", async () => {
    const served = await serveSlowly();
    const http = await startHttp({ settings: { ERA: "auto", BASE_URL: served.url, TASK_AFTER: "0" } });
    const { answer: asked } = await callModern(http, UNNAMED);
    const leaving = new AbortController();
    const { signal } = leaving;
    const left = callModern(http, UNNAMED, bringTo(asked, ACCEPT), { signal }).catch(() => "left");
    await hasBegun(served);
    leaving.abort();
    expect(await left).toBe("left");
    namesTheRun(served, (await callModern(http, UNNAMED, bringTo(asked, ACCEPT))).answer);
  });
});
