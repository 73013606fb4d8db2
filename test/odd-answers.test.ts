import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { createApiClient, type WorkflowsApi } from "../src/api/client.js";
import type { ApiError } from "../src/api/errors.js";
import { systemClock } from "../src/shared/clock.js";

const MIB = 1024 * 1024;

async function clientOf(listener: RequestListener): Promise<WorkflowsApi> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return createApiClient({
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: "test-key",
    requestTimeoutMs: 10_000,
    maxRetries: 0,
    clock: systemClock,
    random: () => 0,
  });
}

const answering = (body: Uint8Array | string, headers: Record<string, string> = {}, status = 200) =>
  clientOf((_request, response) => void response.writeHead(status, headers).end(body));

const failureOf = (work: Promise<unknown>): Promise<ApiError> =>
  work.then(
    () => expect.fail("it went well"),
    (error) => error,
  );

const STATUS = JSON.stringify({ run_id: "run-1", status: "running", session_name: "Größe" });

describe("an answer that was compressed unasked", () => {
  it.each([
    ["gzip", gzipSync(STATUS)],
    ["x-gzip", gzipSync(STATUS)],
    ["br", brotliCompressSync(STATUS)],
    ["deflate", deflateSync(STATUS)],
    ["deflate", deflateRawSync(STATUS)],
    ["GZIP", gzipSync(STATUS)],
    ["identity", Buffer.from(STATUS)],
    ["gzip, br", brotliCompressSync(gzipSync(STATUS))],
  ])("by %s is read", async (coding, body) => {
    const api = await answering(body, { "content-encoding": coding });
    expect(await api.getRun("run-1")).toMatchObject({ runId: "run-1", sessionName: "Größe" });
  });

  it("is measured after it was unpacked, and given up when it is too large", async () => {
    const bomb = gzipSync(Buffer.alloc(300 * MIB, 0x20));
    const api = await answering(bomb, { "content-encoding": "gzip" });
    const before = process.memoryUsage().rss;
    const error = await failureOf(api.startRun({ workflowName: "fix", message: "Go" }));
    expect(error).toMatchObject({ kind: "unexpected", mayHaveActed: true });
    expect(error.message).toContain("exceeds the size limit of 256 KiB");
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * MIB);
  });

  it("that was cut off on the way leaves the fate of a start open", async () => {
    const api = await answering(gzipSync(STATUS).subarray(0, -12), { "content-encoding": "gzip" });
    const error = await failureOf(api.startRun({ workflowName: "fix", message: "Go" }));
    expect(error).toMatchObject({ kind: "unreachable", mayHaveActed: true });
  });

  it("with an error in it tells its reason", async () => {
    const body = gzipSync(JSON.stringify({ detail: "no such run" }));
    const api = await answering(body, { "content-encoding": "gzip" }, 404);
    expect(await failureOf(api.getRun("run-1"))).toMatchObject({ kind: "not_found", reason: "no such run" });
  });

  it("as a stream of events is heard while it goes on", async () => {
    const { createGzip, constants } = await import("node:zlib");
    const api = await clientOf((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream", "content-encoding": "gzip" });
      const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH });
      gzip.pipe(response);
      gzip.write(
        `event: run\nid: 1\ndata: ${JSON.stringify({ run_id: "run-1", run: JSON.parse(STATUS) })}\n\n`,
      );
    });
    const stop = new AbortController();
    const seen: string[] = [];
    const stream = api.streamRuns({
      signal: stop.signal,
      onOpen: () => {},
      onRun(_id, run) {
        seen.push(run.runId);
        stop.abort();
      },
    });
    await stream.catch(() => {});
    expect(seen).toEqual(["run-1"]);
  });
});

describe("an answer", () => {
  it("that begins with a byte order mark is read", async () => {
    const api = await answering(`\ufeff${STATUS}`);
    expect((await api.getRun("run-1")).sessionName).toBe("Größe");
  });

  it.each([200, 500])(
    "of 100,000 levels and status %i is refused before it is taken apart",
    async (status) => {
      const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
      for (const body of [deep, `{"run_id":"run-1","status":"running","debug":${deep},"detail":${deep}}`]) {
        const api = await answering(body, {}, status);
        const error = await failureOf(api.getRun("run-1"));
        expect(error.kind).toBe(status === 200 ? "unexpected" : "server_fault");
      }
    },
  );

  it("as an event of 100,000 levels is left out, and the stream is heard further", async () => {
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const event = (id: number, more: string) =>
      `id: ${id}\nevent: run\ndata: {"run_id":"run-${id}","run":{"run_id":"run-${id}","status":"running"${more}}}\n\n`;
    const api = await answering(event(1, `,"debug":${deep}`) + event(2, ""), {
      "content-type": "text/event-stream",
    });
    const heard: string[] = [];
    const { signal } = new AbortController();
    await api.streamRuns({ signal, onOpen: () => {}, onRun: (_id, run) => void heard.push(run.runId) });
    expect(heard).toEqual(["run-2"]);
  });

  it("of a server that quotes a mix-up of http and https leaves the fate of a start open", async () => {
    const detail = "fetching failed: Client sent an HTTP request to an HTTPS server.";
    const api = await answering(JSON.stringify({ detail }), {}, 502);
    const error = await failureOf(api.startRun({ workflowName: "fix", message: "Fix it" }));
    expect(error).toMatchObject({ kind: "server_fault", status: 502, mayHaveActed: true });
    expect(error.message).toContain(detail);
  });

  it("whose brackets only stand in texts is not deep", async () => {
    const text = `${'\\"[{'.repeat(1_000)}\\\\`;
    const api = await answering(`{"run_id":"run-1","status":"running","debug":{"a":"${text}"}}`);
    expect((await api.getRun("run-1")).runId).toBe("run-1");
  });

  it("that is an error of 11 MB is not read to its end", async () => {
    let taken = 0;
    const gone: Promise<void>[] = [];
    const api = await clientOf((_request, response) => {
      response.writeHead(500, { "content-type": "application/json" });
      gone.push(new Promise((resolve) => response.on("close", () => resolve())));
      const chunk = Buffer.alloc(64 * 1024, 0x20);
      const write = () => {
        while (taken < 11 * MIB && !response.destroyed) {
          taken += chunk.length;
          if (!response.write(chunk)) return;
        }
        response.end();
      };
      response.on("drain", write);
      write();
    });
    const error = await failureOf(api.getRun("run-1"));
    expect(error).toMatchObject({ kind: "server_fault", status: 500 });
    await Promise.all(gone);
    expect(taken).toBeLessThan(9 * MIB);
  });

  it("that says beforehand that it is an error of 11 MB is not read at all", async () => {
    let socketBytes = 0;
    const api = await clientOf((request, response) => {
      response.writeHead(500, { "content-length": String(11 * MIB) });
      response.write("x".repeat(1024));
      request.socket.on("close", () => {
        socketBytes = request.socket.bytesWritten;
      });
    });
    const error = await failureOf(api.getRun("run-1"));
    expect(error).toMatchObject({ kind: "server_fault", status: 500 });
    expect(socketBytes).toBeLessThan(MIB);
  });
});
