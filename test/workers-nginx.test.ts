import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { readEvents } from "./contract/event-reader.js";
import { API, type Body } from "./contract/upstream.js";
import { freePort } from "./support/free-port.js";
import { sendPlain } from "./support/http.js";
import { withScript } from "./support/local-engine.js";
import { findNginx, startNginx } from "./support/nginx.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";
import { createPatientClient, startWorker, WORKERS_KEY, type WorkerProcess } from "./support/workers.js";

const CONFIG = readFileSync(new URL("../examples/nginx-engine.conf", import.meta.url), "utf8");
const KEY = { "x-api-key": WORKERS_KEY };
const LISTENS = withScript("Wait for news", {
  steps: [{ text: "Listening" }, { listen: 1 }, { text: "Heard" }],
});
const QUICK = withScript("Do it", { steps: [{ text: "Done" }] });

const nginx = await findNginx();
const programs = await findPostgres();

/** nginx with the example's text, in which only addresses are others; gives its origin. */
async function startProxy(ports: readonly number[]): Promise<string> {
  const port = await freePort();
  const http = CONFIG.replace(
    /\b10\.0\.0\.1(\d):28881\b/g,
    (_, index) => `127.0.0.1:${ports[index - 1]}`,
  ).replace("127.0.0.1:28880", `127.0.0.1:${port}`);
  await startNginx(nginx as string, http, port);
  return `http://127.0.0.1:${port}`;
}

describe.skipIf(!nginx || !programs)("three workers behind nginx", () => {
  let postgres: PostgresServer;
  beforeAll(async () => {
    postgres = await startPostgres(programs as string);
  }, 60_000);
  afterAll(() => postgres?.dispose());

  async function startThree() {
    const database = await postgres.createDatabase();
    const workers = await Promise.all([1, 2, 3].map(() => startWorker(database)));
    const url = await startProxy(workers.map((one) => Number(new URL(one.url).port)));
    return { workers, url, client: createPatientClient(url) };
  }

  test("are one API whose clients go on when one dies: their requests, their streams, and what they start", async () => {
    const { workers, url, client } = await startThree();
    const runId = (await client.start({ message: LISTENS, session_name: "listens" })).run_id;
    await client.until(runId, ({ current_action }) => current_action === "Listening");
    // Turns go round: a stream at each worker.
    const streams = await Promise.all(workers.map(() => readEvents(`${url}${API}/run/${runId}/events`, KEY)));
    for (const { count } of streams) await count(1);
    const victim = workers.find((one) => one.agents().length === 0) as WorkerProcess;
    victim.signal("SIGKILL");
    await victim.exited();
    const broken = await Promise.race(streams.map((one) => one.ended.then(() => one)));
    // The client resumes where it was, at another worker.
    const last = broken.events.at(-1)?.id ?? 0;
    const resumed = await readEvents(`${url}${API}/run/${runId}/events`, {
      ...KEY,
      "last-event-id": String(last),
    });
    for (let index = 0; index < 9; index++)
      expect((await client.get(`/run/${runId}/status`)).status).toBe(200);
    const started = await Promise.all(
      [1, 2, 3].map((index) => client.start({ message: QUICK, session_name: `quick-${index}` })),
    );
    for (const { run_id } of started)
      expect(await client.ended(run_id)).toMatchObject({ status: "completed" });
    expect((await client.get("/runs")).body.runs).toHaveLength(4);
    await client.post(`/run/${runId}/add-message`, { content: "news", message_type: "user" });
    expect(await client.ended(runId)).toMatchObject({ status: "completed" });
    const told = ({ events }: { events: { event: string; data: Body }[] }) =>
      events.filter(({ data }) => data.type === "finished").length;
    for (const stream of [resumed, ...streams.filter((one) => one !== broken)])
      while (told(stream) === 0) await stream.count(stream.events.length + 1);
  }, 90_000);
});

test.skipIf(!nginx)("what a worker was sent before it died is never sent to another", async () => {
  const received: string[] = [];
  const ports = await Promise.all(
    ["a", "b", "c"].map(async () => {
      const server = createServer((request) => {
        received.push(request.method ?? "");
        request.socket.destroy();
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      onTestFinished(() => void server.close());
      return (server.address() as AddressInfo).port;
    }),
  );
  const url = await startProxy(ports);
  const body = { message: "Do it" };
  const headers = { ...KEY, "content-type": "application/json" };
  const path = `${url}${API}/run/implement`;
  expect((await sendPlain(path, { method: "POST", headers, body })).status).toBe(502);
  expect(received).toEqual(["POST"]);
});

test.skipIf(!nginx)("what no worker was sent goes to one that takes it", async () => {
  const taken: string[] = [];
  const server = createServer((request, response) => {
    taken.push(request.method ?? "");
    response.end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const url = await startProxy([await freePort(), await freePort(), port]);
  const headers = { ...KEY, "content-type": "application/json" };
  for (let index = 0; index < 3; index++)
    expect(
      (await sendPlain(`${url}${API}/run/implement`, { method: "POST", headers, body: {} })).status,
    ).toBe(200);
  expect(taken).toEqual(["POST", "POST", "POST"]);
});
