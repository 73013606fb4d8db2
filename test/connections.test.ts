import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { createApiClient, type WorkflowsApi } from "../src/api/client.js";
import type { ApiError } from "../src/api/errors.js";
import { systemClock } from "../src/shared/clock.js";
import { until } from "./support/harness.js";

const START = { workflowName: "architect", message: "Design it", inputFormat: "text" } as const;
/** How many may be in flight at once. */
const PLACES = 16;

interface Served {
  url: string;
  /** Every request, in order, with the number of the connection that brought it. */
  requests: { method: string; connection: number; headers: IncomingMessage["headers"] }[];
  /** Connections that are open. */
  open(): number;
}

async function listen(server: Server | TcpServer): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A real server on this machine, closed when the test ends. */
async function serve(listener: RequestListener): Promise<Served> {
  const numbers = new Map<Socket, number>();
  const requests: Served["requests"] = [];
  let open = 0;
  const server = createServer((request, response) => {
    const { method = "", headers, socket } = request;
    requests.push({ method, headers, connection: numbers.get(socket) ?? -1 });
    listener(request, response);
  });
  server.on("connection", (socket: Socket) => {
    numbers.set(socket, numbers.size);
    open++;
    socket.on("close", () => open--);
  });
  return { url: `http://${await listen(server)}`, requests, open: () => open };
}

function createClient(baseUrl: string, requestTimeoutMs = 10_000): WorkflowsApi {
  return createApiClient({
    baseUrl,
    apiKey: "test-key",
    requestTimeoutMs,
    maxRetries: 0,
    random: () => 0.5,
    clock: systemClock,
  });
}

const failureOf = (work: Promise<unknown>): Promise<ApiError> =>
  work.then(
    (value) => expect.fail(`it went well: ${JSON.stringify(value)}`),
    (error) => error,
  );

const answerAll: RequestListener = (request, response) => {
  request.resume();
  request.on("end", () =>
    response
      .writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ run_id: "run-1", status: "pending", runs: [] })),
  );
};

describe("connections to the API", () => {
  it("are kept for the reads that follow, and not used for what acts", async () => {
    const api = await serve(answerAll);
    const client = createClient(api.url);
    for (let read = 0; read < 3; read++) await client.listRuns();
    await client.startRun(START);
    await client.killRun("run-1", false);
    await client.listRuns();
    expect(api.requests.map(({ connection }) => connection)).toEqual([0, 0, 0, 1, 2, 0]);
    await until(() => api.open() === 1, "the end of those that acted");
  });

  it("are bounded: what comes on top waits for its turn", async () => {
    const waiting: (() => void)[] = [];
    const api = await serve((request, response) => {
      waiting.push(() => answerAll(request, response));
    });
    const client = createClient(api.url);
    const reads = Array.from({ length: PLACES + 5 }, () => client.listRuns());
    await until(() => waiting.length === PLACES, "as many requests as are allowed");
    // A start does not wait behind the reads.
    const start = client.startRun(START);
    await until(() => waiting.length === PLACES + 1, "the start");
    expect(api.open()).toBe(PLACES + 1);
    for (let answered = 0; answered < PLACES + 6; answered++) {
      await until(() => waiting.length > answered, "the next request");
      waiting[answered]?.();
    }
    await Promise.all([...reads, start]);
    expect(Math.max(...api.requests.map(({ connection }) => connection))).toBe(PLACES);
  });

  it("leave a stream of events out of that bound", async () => {
    const api = await serve((request, response) => {
      if (request.url?.endsWith("/events")) response.writeHead(200).write("event: open\ndata: {}\n\n");
      else answerAll(request, response);
    });
    const client = createClient(api.url);
    const stop = new AbortController();
    let opened = 0;
    const streams = Array.from({ length: PLACES + 1 }, () =>
      client.streamRuns({ signal: stop.signal, onOpen: () => opened++, onRun: () => {} }).catch(() => {}),
    );
    await until(() => opened === PLACES + 1, "the streams");
    await client.listRuns();
    stop.abort();
    await Promise.all(streams);
    await until(() => api.open() === 1, "the end of the streams' connections");
  });

  it("do no harm when the server closes one just as it is used again", async () => {
    const seen = new WeakSet<Socket>();
    const api = await serve((request, response) => {
      // What a request meets that crosses with the end of an idle connection.
      if (seen.has(request.socket)) request.socket.resetAndDestroy();
      else answerAll(request, response);
      seen.add(request.socket);
    });
    const client = createClient(api.url);
    for (let round = 0; round < 3; round++) {
      await client.listRuns();
      expect((await client.startRun(START)).runId).toBe("run-1");
    }
    expect(api.requests.filter(({ method }) => method === "POST")).toHaveLength(3);
    // Once more and no more: it would have been the same on the next kept one.
    expect(api.requests.filter(({ method }) => method === "GET").length).toBeLessThanOrEqual(5);
  });

  it("end with a call that is called off", async () => {
    const api = await serve(() => {});
    const stop = new AbortController();
    const work = failureOf(createClient(api.url).listRuns({ signal: stop.signal }));
    await until(() => api.requests.length === 1, "the request");
    stop.abort();
    expect(await work).toMatchObject({ kind: "aborted", mayHaveActed: false });
    await until(() => api.open() === 0, "the end of the connection");
  });
});

describe("a request that acts", () => {
  it("is sent once also after 421, which asks for another connection", async () => {
    const api = await serve((request, response) => {
      request.resume();
      response.writeHead(421).end("{}");
    });
    expect(await failureOf(createClient(api.url).startRun(START))).toMatchObject({ kind: "refused" });
    expect(api.requests).toHaveLength(1);
  });

  it("has a known fate when no connection came about in time", async () => {
    // It takes the connection, but never speaks TLS, so the request cannot have gone out.
    const address = await listen(createTcpServer(() => {}));
    const error = await failureOf(createClient(`https://${address}`, 200).startRun(START));
    expect(error).toMatchObject({ kind: "unreachable", mayHaveActed: false });
    expect(error.message).toContain(
      "could not be connected to within 0.2 s. Not started; nothing was charged.",
    );
  });

  it("has a known fate when its turn did not come in time", async () => {
    const api = await serve((request) => request.resume());
    const client = createClient(api.url, 2_000);
    const starts = Array.from({ length: PLACES + 1 }, () => failureOf(client.startRun(START)));
    const fates = (await Promise.all(starts)).map(({ mayHaveActed }) => mayHaveActed);
    expect(fates).toEqual([...Array.from({ length: PLACES }, () => true), false]);
    expect(api.requests).toHaveLength(PLACES);
  });

  it("has a known fate when nobody speaks TLS there", async () => {
    const api = await serve(answerAll);
    const error = await failureOf(createClient(api.url.replace("http:", "https:")).startRun(START));
    expect(error).toMatchObject({ kind: "unreachable", mayHaveActed: false });
    expect(api.requests).toHaveLength(0);
  });
});

describe("an answer", () => {
  it("is not asked for in another coding, which nobody here would undo", async () => {
    const api = await serve(answerAll);
    await createClient(api.url).startRun(START);
    const [request] = api.requests;
    expect(request?.headers["accept-encoding"]).toBeUndefined();
    expect(request?.headers["user-agent"]).toMatch(/^automagik-workflows-mcp\/\d/);
    expect(request?.headers["x-api-key"]).toBe("test-key");
  });
});
