import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { NotNow, Refused, Unknown } from "../src/integrations/delivery-error.js";
import { createVendorHttp, type VendorRequest } from "../src/integrations/vendor-http.js";
import { systemClock } from "../src/shared/clock.js";

const KEY = "xoxb-1234567890";

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once("listening", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/${KEY}`;
}

function send(url: string, more: Partial<VendorRequest> = {}, limitMs = 5_000) {
  const http = createVendorHttp({ service: "Slack", clock: systemClock, limitMs });
  const headers = { authorization: `Bearer ${KEY}` };
  return http({ method: "POST", url, headers, body: { a: 1 }, signal: AbortSignal.timeout(10_000), ...more });
}

const failure = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => expect.fail("it did not fail"),
    (error: Error) => error,
  );

function answering(status: number, headers: Record<string, string> = {}): RequestListener {
  return (request, response) => {
    request.resume();
    response.writeHead(status, headers).end(`{"error":"${KEY}"}`);
  };
}

it("an answer is given with its status, headers and body", async () => {
  const url = await serve(answering(200, { "x-limit": "7" }));
  const answer = await send(url);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("x-limit")).toBe("7");
  expect(answer.json()).toEqual({ error: KEY });
});

it.each([
  [400, Refused],
  [401, Refused],
  [302, Refused],
  [429, NotNow],
  [503, NotNow],
  [500, Unknown],
  [502, Unknown],
])("HTTP %i to what acts is a %o", async (status, kind) => {
  const error = await failure(send(await serve(answering(status))));
  expect(error).toBeInstanceOf(kind);
  expect(error.message).toContain(`(HTTP ${status})`);
  expect(error.message).not.toMatch(/127|xoxb/);
});

it("what only reads can be asked again after any failure, and a status that is expected is none", async () => {
  expect(await failure(send(await serve(answering(500)), { method: "GET", body: undefined }))).toBeInstanceOf(
    NotNow,
  );
  const lost = await serve((request) => request.socket.destroy());
  expect(await failure(send(lost, { isRead: true }))).toBeInstanceOf(NotNow);
  const answer = await send(await serve(answering(422)), { accept: [422] });
  expect(answer.status).toBe(422);
});

it("how long a service asks to wait is told, in seconds or as a date", async () => {
  const seconds = (await failure(send(await serve(answering(429, { "retry-after": "7" }))))) as NotNow;
  expect(seconds.afterMs).toBe(7_000);
  const date = new Date(Date.now() + 60_000).toUTCString();
  const until = (await failure(send(await serve(answering(429, { "retry-after": date }))))) as NotNow;
  expect(until.afterMs).toBeGreaterThan(50_000);
  expect(until.afterMs).toBeLessThan(61_000);
});

it("one that was sent and got no answer may have happened; one that reached nobody has not", async () => {
  const lost = await failure(send(await serve((request) => request.socket.destroy())));
  expect(lost).toBeInstanceOf(Unknown);
  expect(lost.message).toBe("Slack gave no answer");
  const silent = await failure(send(await serve((request) => void request.resume()), {}, 300));
  expect(silent).toBeInstanceOf(Unknown);
  const nobody = await failure(send(`http://127.0.0.1:1/${KEY}`));
  expect(nobody).toBeInstanceOf(NotNow);
  expect(nobody.message).toBe("Slack could not be reached");
});

it("an answer without end is not read to it", async () => {
  const url = await serve((request, response) => {
    request.resume();
    const write = () => {
      while (!response.destroyed && response.write("x".repeat(65_536)));
    };
    response.on("drain", write).writeHead(200);
    write();
  });
  expect(await failure(send(url, { method: "GET", body: undefined, limitBytes: 100_000 }))).toBeInstanceOf(
    NotNow,
  );
});
