import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { Progress } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it, onTestFinished } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createApiClient, type WorkflowsApi } from "../src/api/client.js";
import type { ApiError } from "../src/api/errors.js";
import { COMPLETE, connectInMemory, until } from "./support/harness.js";
import { createPausingClock, type PausingClock } from "./support/pausing-clock.js";

const TIMEOUT_MS = 5_000;
const NOON = Date.parse("2026-11-25T12:00:00Z");
const START = { workflowName: "architect", message: "Design it", inputFormat: "text" } as const;
const POLL = { retries: 0, poller: true };

interface Served {
  api: WorkflowsApi;
  clock: PausingClock;
  /** Methods of the requests that have arrived. */
  requests: string[];
  /** What becomes of the requests from now on. */
  mode: "answers" | "resets" | "hangs" | number;
}

/** A real server on this machine, and a client of it whose clock is held by hand. */
async function serve(mode: Served["mode"], maxRetries = 0): Promise<Served> {
  const requests: string[] = [];
  const listener: RequestListener = (request, response) => {
    requests.push(request.method ?? "");
    request.resume();
    if (served.mode === "resets") request.socket.resetAndDestroy();
    else if (served.mode !== "hangs") {
      const body = { run_id: "run-1", status: "running", runs: [] };
      response.writeHead(served.mode === "answers" ? 200 : served.mode).end(JSON.stringify(body));
    }
  };
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const clock = createPausingClock(TIMEOUT_MS, NOON);
  const api = createApiClient({
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: "test-key",
    requestTimeoutMs: TIMEOUT_MS,
    maxRetries,
    random: () => 1,
    clock,
  });
  const served: Served = { api, clock, requests, mode };
  return served;
}

const failureOf = (work: Promise<unknown>): Promise<ApiError> =>
  work.then(
    (value) => expect.fail(`it went well: ${JSON.stringify(value)}`),
    (error) => error,
  );

/** Fails so often in a row that the API counts as down. */
async function breakDown(served: Served): Promise<void> {
  for (let look = 0; look < 3; look++) await failureOf(served.api.getRun("run-1", POLL));
  expect(served.requests).toHaveLength(3);
}

describe("an API that is down", () => {
  it("is left in peace by those that only look, however many they are", async () => {
    const served = await serve("resets");
    const { api, clock, requests } = served;
    for (let passed = 0; passed < 60_000; passed += 500) {
      await Promise.all(Array.from({ length: 50 }, () => failureOf(api.getRun("run-1", POLL))));
      clock.advance(500);
    }
    // All fifty once, before it was known, and then one of them after 1, 2, 4, 8, 15 and 15 s.
    expect(requests).toHaveLength(50 + 6);
  });

  it("is said to have been silent since when, and when it is tried again", async () => {
    const served = await serve("resets");
    const { api, clock } = served;
    expect(api.outage()).toBeUndefined();
    await failureOf(api.getRun("run-1", POLL));
    clock.advance(400);
    for (let look = 0; look < 2; look++) await failureOf(api.getRun("run-1", POLL));
    expect(api.outage()).toEqual({ sinceMs: NOON, nextTryMs: NOON + 400 + 1_000 });
    clock.advance(250);
    const error = await failureOf(api.getRun("run-1", POLL));
    expect(error).toMatchObject({ kind: "unreachable", mayHaveActed: false, retryAfterMs: 750 });
    expect(error.message).toMatch(
      /^Could not read the status of run run-1: the workflows API at http:\S+ is not answering\. Nothing was sent\. The API has not answered since 2026-11-25T12:00:00\.000Z, trying again in 1 s\. Check/,
    );
    expect(served.requests).toHaveLength(3);
  });

  it("is not said to have been silent where it could not be started: then the reason is all there is", async () => {
    const clock = createPausingClock(TIMEOUT_MS, NOON);
    let looks = 0;
    let reason = "The engine could not be started: the disk is full";
    const api = createApiClient({
      baseUrl: "http://127.0.0.1:9",
      apiKey: undefined,
      requestTimeoutMs: TIMEOUT_MS,
      maxRetries: 0,
      random: () => 1,
      clock,
      async locate() {
        looks++;
        throw new Error(reason);
      },
    });
    for (let look = 0; look < 4; look++) {
      const { message } = await failureOf(api.getRun("run-1"));
      expect(message).toContain("run-1: The engine could not be started: the disk is full.");
      expect(message).not.toMatch(/has not answered|trying again/);
    }
    expect(looks).toBe(4);
    const held = await failureOf(api.getRun("run-1", POLL));
    expect(held.message).toBe(
      "Could not read the status of run run-1: The engine could not be started: the disk is full. Nothing was sent. It is tried again in 1 s.",
    );
    expect(looks).toBe(4);
    reason = "The state folder cannot be written";
    clock.advance(60_000);
    expect((await failureOf(api.getRun("run-1", POLL))).message).toContain("cannot be written");
  });

  it("is tried by one at a time", async () => {
    const served = await serve("resets");
    await breakDown(served);
    served.mode = "hangs";
    served.clock.advance(1_000);
    const probe = failureOf(served.api.getRun("run-1", POLL));
    await until(() => served.requests.length === 4, "the one that finds out");
    expect((await failureOf(served.api.getRun("run-2", POLL))).message).toContain("trying again now");
    expect(served.requests).toHaveLength(4);
    served.clock.advance(TIMEOUT_MS);
    expect((await probe).message).toContain("trying again in 2 s");
  });

  it("is noticed to be back by the next look that is due, without a restart", async () => {
    const served = await serve("resets");
    await breakDown(served);
    served.mode = "answers";
    await failureOf(served.api.getRun("run-1", POLL));
    served.clock.advance(1_000);
    expect((await served.api.getRun("run-1", POLL)).status).toBe("running");
    expect(served.api.outage()).toBeUndefined();
    // And begins anew: one failure is none.
    served.mode = "resets";
    await failureOf(served.api.getRun("run-1", POLL));
    expect(served.api.outage()).toBeUndefined();
  });

  it("is sent what a person wants at once, exactly once, and is found to be back by it", async () => {
    const served = await serve("resets");
    await breakDown(served);
    const lost = await failureOf(served.api.startRun(START));
    expect(lost).toMatchObject({ kind: "unreachable", mayHaveActed: true });
    expect(lost.message).toContain("The API has not answered since");
    served.mode = "answers";
    expect((await served.api.startRun(START)).runId).toBe("run-1");
    expect(served.requests.filter((method) => method === "POST")).toHaveLength(2);
    expect(served.api.outage()).toBeUndefined();
    expect((await served.api.getRun("run-1", POLL)).status).toBe("running");
  });

  it("is read for a person once instead of again and again", async () => {
    const served = await serve("resets", 5);
    await breakDown(served);
    await failureOf(served.api.listRuns());
    expect(served.requests).toHaveLength(4);
    expect(served.clock.pauses.filter((ms) => ms !== TIMEOUT_MS)).toEqual([]);
  });

  it.each([502, 503, 504])("may have something in front of it that says %i", async (status) => {
    const served = await serve(status);
    await breakDown(served);
    expect(served.api.outage()).toMatchObject({ sinceMs: NOON });
  });

  it.each([401, 404, 429, 500])("is not one that answers with %i", async (status) => {
    const served = await serve(status);
    for (let look = 0; look < 6; look++) await failureOf(served.api.getRun("run-1", POLL));
    expect(served.requests).toHaveLength(6);
    expect(served.api.outage()).toBeUndefined();
  });

  it("is not taken for down because calls were called off", async () => {
    const served = await serve("hangs");
    for (let look = 1; look <= 4; look++) {
      const stop = new AbortController();
      const work = failureOf(served.api.getRun("run-1", { ...POLL, signal: stop.signal }));
      await until(() => served.requests.length === look, "the request");
      stop.abort();
      expect((await work).kind).toBe("aborted");
    }
    expect(served.api.outage()).toBeUndefined();
  });
});

describe("a run whose API goes down", () => {
  const sim = useSimulatedApi();

  it("is told about with the outage, in progress and answer, and is followed on when it is back", async () => {
    sim.api().world.script({ manual: true, actions: ["One"] });
    const { call } = await connectInMemory();
    const { run_id } = (await call({ ...COMPLETE, wait_seconds: 0.4 })).data.run;
    const mend = sim.api().fault({ path: "/run/*/status" }, { drop: "before" });
    const seen: string[] = [];
    const follow = (wait_seconds: number) =>
      call(
        { action: "status", run_id, wait_seconds },
        { onprogress: ({ message }: Progress) => void seen.push(message ?? "") },
      );
    const outage = /The API has not answered since 2\d{3}-\S+Z, trying again (in \d+ s|now)\./;
    const answer = await follow(3);
    expect(answer.text).toMatch(/was running when the API last answered\. Could not read the status/);
    expect(answer.text).toMatch(outage);
    expect(seen.some((message) => outage.test(message))).toBe(true);
    const look = await call({ action: "status", run_id });
    expect(look.isError).toBe(true);
    expect(look.text).toMatch(outage);
    mend();
    sim.api().world.run(run_id).complete({ result: "done" });
    expect((await follow(20)).data.outcome).toBe("completed");
  });
});
