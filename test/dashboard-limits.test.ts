import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { Readable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { createDashboardAuth } from "../src/dashboard/auth.js";
import { ACTION_HEADER } from "../src/dashboard/views/calls.js";
import { endWhenStalled } from "../src/server/http/unread.js";
import { inviteByToken, openDashboard } from "./support/dashboard.js";
import { createHandClock } from "./support/hand-clock.js";
import { sendPlain, startHttp } from "./support/http.js";

// Who gets how much of the dashboard that a server over HTTP serves, at which name, and for how long.

const TOKENS = "ada=a-token-of-ada-0123456789,bob=a-token-of-bob-0123456789";
const ADA = { authorization: "Bearer a-token-of-ada-0123456789" };
const BOB = { authorization: "Bearer a-token-of-bob-0123456789" };

async function start(settings: Record<string, string> = {}) {
  const served = await serveSimulatedApi({ paceMs: "manual", describe: true });
  onTestFinished(() => served.close());
  return startHttp({ settings: { BASE_URL: served.url, ...settings } });
}

test("at a name that may be called its page can act, behind TLS too, and no other page can", async () => {
  const http = await start({ HTTP_ALLOWED_HOSTS: "work.example" });
  const { cookie, url } = await openDashboard(await inviteByToken(http.url));
  const act = async (host: string, headers: Record<string, string>) => {
    const { status } = await sendPlain(`${url}/dashboard/api/actions`, {
      method: "POST",
      headers: { cookie, host, "content-type": "application/json", [ACTION_HEADER]: "1", ...headers },
      body: {},
    });
    return status;
  };
  // That is as far as an empty action comes.
  const taken = 400;
  for (const origin of ["https://work.example", "http://work.example"])
    expect(await act("work.example", { origin, "sec-fetch-site": "same-origin" }), origin).toBe(taken);
  for (const origin of ["https://work.example.evil.example", "https://work.example:8443", "null"])
    expect(await act("work.example", { origin }), origin).toBe(403);
  expect(await act("evil.example", { origin: "https://evil.example" })).toBe(403);
  const site = { origin: "https://work.example", "sec-fetch-site": "cross-site" };
  expect(await act("work.example", site)).toBe(403);
});

test("looking where a link leads does not use it up", async () => {
  const http = await start();
  const link = await inviteByToken(http.url);
  const looked = await fetch(link, { method: "HEAD", redirect: "manual" });
  expect(looked.status).toBe(405);
  expect(looked.headers.get("set-cookie")).toBeNull();
  expect((await fetch(link, { redirect: "manual" })).status).toBe(303);
});

test("requests of the dashboard are of its caller's share, and of nobody else's", async () => {
  const http = await start({ TOKENS, HTTP_RATE: "10" });
  const ada = await openDashboard(await inviteByToken(http.url, ADA));
  const bob = await openDashboard(await inviteByToken(http.url, BOB));
  const statuses: number[] = [];
  for (let number = 0; number < 12; number++) statuses.push((await ada.ask("session")).status);
  expect(statuses.slice(0, 9)).toEqual(Array(9).fill(200));
  expect(statuses.at(-1)).toBe(429);
  const refused = await ada.ask("session");
  expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
  expect(await refused.json()).toEqual({ error: expect.stringContaining("Nothing was done") });
  expect((await bob.ask("session")).status).toBe(200);
});

test("who opens very many sessions and links loses the own ones, not those of others", async () => {
  const http = await start({ TOKENS, HTTP_RATE: "1000" });
  const link = await inviteByToken(http.url, BOB);
  const bob = await openDashboard(await inviteByToken(http.url, BOB));
  const first = await openDashboard(await inviteByToken(http.url, ADA));
  for (let number = 0; number < 55; number++) await openDashboard(await inviteByToken(http.url, ADA));
  for (let number = 0; number < 55; number++) await inviteByToken(http.url, ADA);
  expect((await first.ask("session")).status).toBe(401);
  expect((await bob.ask("session")).status).toBe(200);
  expect((await fetch(link, { redirect: "manual" })).status).toBe(303);
});

test("a session ends after twelve hours without a page, and after a week with one", () => {
  const HOUR = 60 * 60_000;
  const clock = createHandClock();
  const ended: string[] = [];
  let isOpen = true;
  const auth = createDashboardAuth<string>({
    clock,
    isInUse: (view) => view === "page" && isOpen,
    onEnd: (view) => ended.push(view),
  });
  const open = (view: string) => auth.open(auth.invite("local", view));
  const [forgotten, left] = [open("page"), open("left")];
  clock.advance(13 * HOUR);
  expect(auth.find(left)).toBeUndefined();
  for (let day = 0; day < 6; day++) {
    expect(auth.find(forgotten), `day ${day}`).toBeDefined();
    clock.advance(24 * HOUR);
  }
  clock.advance(12 * HOUR);
  expect(auth.isExpected()).toBe(false);
  expect(auth.find(forgotten)).toBeUndefined();
  expect(ended).toEqual(["left", "page"]);
  isOpen = false;
});

test("an answer that is read slowly goes on, and is ended when nothing of it is taken any more", async () => {
  const clock = createHandClock();
  const STALLED_MS = 30_000;
  const MUCH = 16 * 1024 * 1024;
  let answer: ServerResponse | undefined;
  const server = createServer((_request, response) => {
    answer = response;
    endWhenStalled(response, { clock, stalledMs: STALLED_MS });
    const piece = Buffer.alloc(64 * 1024);
    new Readable({
      read() {
        this.push(piece);
      },
    }).pipe(response);
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  let got = 0;
  socket.on("error", () => {});
  socket.on("data", (bytes: Buffer) => {
    got += bytes.byteLength;
  });
  socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  const patience = { timeout: 20_000, interval: 5 };
  for (let time = 0; time < 4; time++) {
    const before = got;
    socket.resume();
    await expect.poll(() => got - before, patience).toBeGreaterThan(MUCH);
    socket.pause();
    await expect.poll(() => answer?.writableLength, patience).toBeGreaterThan(0);
    clock.advance(STALLED_MS);
    expect(answer?.destroyed, `time ${time}`).toBe(false);
  }
  const isEnded = () => {
    clock.advance(STALLED_MS);
    return answer?.destroyed;
  };
  await expect.poll(isEnded, patience).toBe(true);
}, 60_000);
