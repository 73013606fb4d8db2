import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import {
  type ElicitResult,
  type Progress,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { temporaryFolder } from "./support/bin.js";
import { freePort } from "./support/free-port.js";
import { COMPLETE, until } from "./support/harness.js";
import {
  connectHttp,
  HELLO,
  type HttpClientOptions,
  JSON_HEADERS,
  type ServeBin,
  sendPlain,
  startServeBin,
} from "./support/http.js";
import { bringTo, callModern, sendModern } from "./support/modern-http.js";
import { findNginx, startNginx } from "./support/nginx.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";

const text = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
const CONFIG = text("examples/nginx.conf");
const NAMES = ["a", "b", "c"];
const TOKEN = "anna-0123456789abcdef";
const OTHER_TOKEN = "ben-0123456789abcdef";
/** With workflows that the public server has. */
const RUN = { ...COMPLETE, workflow_name: "builder" };
/** The name in the example, which nobody resolves here: it is only said in the header. */
const HEADERS = { host: "workflows.example.com", authorization: `Bearer ${TOKEN}` };

test("docs/serving.md shows the example as it is", () => {
  const [, shown] = /```nginx\n([\s\S]*?)```/.exec(text("docs/serving.md")) ?? [];
  expect(shown).toBe(CONFIG);
});

const nginx = await findNginx();
const programs = await findPostgres();

describe.skipIf(!nginx || !programs)("three replicas behind nginx", () => {
  let postgres: PostgresServer;
  beforeAll(async () => {
    postgres = await startPostgres(programs as string);
  }, 60_000);
  afterAll(() => postgres.dispose());

  /** The replicas as processes of the bin, with nginx in front. */
  async function startReplicas(settings: Record<string, string> = {}) {
    const served = await serveSimulatedApi({ profile: "automagik-0.6", paceMs: "manual" });
    onTestFinished(() => served.close());
    const database = join(temporaryFolder(), "database");
    writeFileSync(database, `${await postgres.createDatabase()}\n`, { mode: 0o600 });
    const bins = await Promise.all(
      NAMES.map((name) =>
        startServeBin({
          settings: {
            BASE_URL: served.url,
            INPUT_FORMAT: "text",
            DATABASE_FILE: database,
            TOKENS: `anna=${TOKEN},ben=${OTHER_TOKEN}`,
            HTTP_REPLICA: name,
            HTTP_ALLOWED_HOSTS: HEADERS.host,
            LOG_LEVEL: "debug",
            ...settings,
          },
        }),
      ),
    );
    // Not before its database has answered, which it is waited for 2 s at a time.
    const isReady = async ({ url }: { url: string }) => {
      const { status, text } = await sendPlain(`${url}/ready`);
      expect(status, text).toBe(200);
    };
    for (const bin of bins) await vi.waitFor(() => isReady(bin), { timeout: 60_000, interval: 200 });
    const url = await startProxy(bins.map((bin) => Number(new URL(bin.url).port)));
    async function connect(options: HttpClientOptions = {}) {
      const client = await connectHttp(url, { ...options, headers: HEADERS });
      const [name = ""] = client.transport.sessionId?.split(".") ?? [];
      return { ...client, replica: name };
    }
    /** Clients until there is one at each replica, which takes three where turns are kept. */
    async function connectToEach(options: HttpClientOptions = {}) {
      const clients = [];
      for (const _ of NAMES) clients.push(await connect(options));
      expect(clients.map(({ replica }) => replica).sort()).toEqual(NAMES);
      return clients;
    }
    const bin = (name: string) => bins[NAMES.indexOf(name)] as ServeBin;
    return { api: served.api, world: served.api.world, url, connect, connectToEach, bin, bins };
  }

  test("new sessions go round, and calls, forms, progress and news of each go to its own", async () => {
    const { world, connectToEach, bins } = await startReplicas();
    const accept = (): ElicitResult => ({
      action: "accept",
      content: { repository_url: "https://host.example/team/app.git", git_branch: "main" },
    });
    const clients = [...(await connectToEach({ onForm: accept })), ...(await connectToEach())];
    const news = clients.map(({ client }) => {
      const uris: string[] = [];
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
        uris.push(params.uri);
      });
      return uris;
    });
    for (const [index, { call, client, forms, replica }] of clients.entries()) {
      const withForm = index < NAMES.length;
      const { repository_url: _, git_branch: __, ...incomplete } = RUN;
      const progress: Progress[] = [];
      const answer = call(
        { ...(withForm ? incomplete : RUN), session_name: `session-${index}`, wait_seconds: 60 },
        { onprogress: (one) => progress.push(one) },
      );
      await until(() => world.runs().length === index + 1, `the run through ${replica}`);
      expect(forms).toHaveLength(withForm ? 1 : 0);
      const run = world.run(world.runs().at(-1)?.runId ?? "");
      const uri = `automagik://runs/${run.state.runId}`;
      await client.subscribeResource({ uri });
      run.turn();
      // It comes while the call is still open: nothing on the way keeps it back.
      await until(() => progress.some(({ message }) => message?.includes("Turn 1")), "the first turn");
      await until(() => news[index]?.includes(uri) === true, "news on the client's own stream");
      run.complete({ result: `Done ${index}` });
      expect((await answer).data).toMatchObject({
        outcome: "completed",
        run: { result: expect.stringContaining(`Done ${index}`) },
      });
    }
    for (const bin of bins) expect(bin.stderr()).not.toMatch(/→ (404|502)|is refused/);
  }, 60_000);

  test("a session begun through one is found and continued through another", async () => {
    const { api, world, connectToEach } = await startReplicas();
    const looks = () => api.requests.filter(({ path }) => path.endsWith("/status")).length;
    const [first, second, third] = await connectToEach();
    const begun = first?.call({ ...RUN, wait_seconds: 60 });
    await api.waitFor(({ path }) => path.endsWith("/status"));
    const run = world.run(world.runs()[0]?.runId ?? "");
    // This API shows the id while the run goes on and never again: afterwards only the shared index knows it.
    run.turn();
    const before = looks();
    await until(() => looks() > before + 1, "the id to be seen");
    run.complete({ result: "Designed" });
    await begun;
    const list = await third?.call({ action: "list_sessions", active_only: false });
    expect(list?.data.sessions).toMatchObject([
      { session_name: RUN.session_name, session_id: run.state.sessionId },
    ]);
    const continued = await second?.call({
      workflow_name: "genie",
      message: "Build it",
      continue_session: RUN.session_name,
      wait_seconds: 0,
    });
    expect(continued?.data).toMatchObject({ outcome: "started" });
    expect(api.posts("/run/").map(({ body }) => (body as { session_id?: string }).session_id)).toEqual([
      undefined,
      run.state.sessionId,
    ]);
  }, 60_000);

  test("when one dies its clients are told 404 and open a session elsewhere, where the run is found", async () => {
    const { api, world, url, connect, connectToEach, bin } = await startReplicas();
    const [client, ...others] = await connectToEach({ withoutStream: true });
    if (!client) throw new Error("There is no client.");
    const watching = client.call({ ...RUN, wait_seconds: 60 }).catch(() => {});
    await api.waitFor(({ path }) => path.endsWith("/status"));
    const run = world.run(world.runs()[0]?.runId ?? "");
    bin(client.replica).child.kill("SIGKILL");
    await bin(client.replica).ended();
    const gone = await sendPlain(`${url}/mcp`, {
      method: "POST",
      headers: { ...HEADERS, ...JSON_HEADERS, "mcp-session-id": client.transport.sessionId ?? "" },
      body: { jsonrpc: "2.0", id: 9, method: "tools/list" },
    });
    expect({ ...gone, text: JSON.parse(gone.text) }).toMatchObject({
      status: 404,
      text: { id: 9, error: { code: -32_001, message: "Session not found" } },
    });
    await expect(client.call({ action: "list_workflows" })).rejects.toThrow(/Session not found/);
    await client.client.close();
    await watching;
    // The others have noticed nothing.
    for (const one of others) expect((await one.call({ action: "list_workflows" })).isError).toBe(false);
    const successors = [await connect(), await connect(), await connect()];
    expect(successors.map(({ replica }) => replica)).not.toContain(client.replica);
    const [successor] = successors;
    const status = { action: "status", session_name: RUN.session_name };
    expect((await successor?.call(status))?.data).toMatchObject({
      outcome: "running",
      run: { run_id: run.state.runId },
    });
    run.complete({ result: "Went on" });
    expect((await successor?.call({ ...status, wait_seconds: 30 }))?.data).toMatchObject({
      outcome: "completed",
      run: { result: expect.stringContaining("Went on") },
    });
    expect(api.posts()).toHaveLength(1);
  }, 60_000);

  describe("on protocol 2026-07-28", () => {
    const ERA = { ERA: "auto", TASK_AFTER: "0" };
    const { session_name: _, ...UNNAMED } = RUN;
    const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
    const named = (session_name: string) => ({ action: "accept", content: { session_name } });

    test("a caller's form comes back to the replica that asked, and its task is known to all", async () => {
      const { api, url, bins } = await startReplicas(ERA);
      for (const [index, token] of [TOKEN, OTHER_TOKEN, TOKEN, OTHER_TOKEN].entries()) {
        const { answer: asked } = await callModern({ url }, UNNAMED, {}, as(token));
        const brings = bringTo(asked, named(`session-${index}`));
        const { answer } = await callModern({ url }, UNNAMED, brings, as(token));
        expect(answer.result).toMatchObject({ resultType: "task", status: "working" });
        expect(api.posts("/run/")).toHaveLength(index + 1);
        const { taskId } = answer.result;
        for (const bin of bins) {
          const known = await sendModern(bin, "tasks/get", { taskId }, as(token));
          expect(known.answer.result).toMatchObject({ taskId, status: "working" });
          const other = await sendModern(bin, "tasks/get", { taskId }, as(index % 2 ? TOKEN : OTHER_TOKEN));
          expect(other.answer.error.code).toBe(-32_602);
        }
      }
    }, 60_000);

    test("an answer that reaches another one starts nothing; where it was asked the form stays open", async () => {
      const { api, bin } = await startReplicas(ERA);
      const [here, there] = [bin("a"), bin("b")];
      const { answer: asked } = await callModern(here, UNNAMED, {}, as(TOKEN));
      const brings = bringTo(asked, named("jwt-login"));
      const astray = () => callModern(there, UNNAMED, brings, as(TOKEN));
      const refused = { code: -32_602, message: expect.stringContaining("look there before you call again") };
      expect((await astray()).answer.error).toMatchObject(refused);
      expect(api.posts("/run/")).toEqual([]);
      const { taskId } = (await callModern(here, UNNAMED, brings, as(TOKEN))).answer.result;
      expect((await astray()).answer.error).toMatchObject(refused);
      expect(api.posts("/run/")).toHaveLength(1);
      await sendModern(there, "tasks/cancel", { taskId }, as(TOKEN));
      for (const one of [there, here]) {
        const task = await until(async () => {
          const { result } = (await sendModern(one, "tasks/get", { taskId }, as(TOKEN))).answer;
          return result.status !== "working" && result;
        }, "the task's end");
        expect(task.result?.structuredContent.outcome ?? task.status).toMatch(/killed|cancelled/);
      }
      expect(api.posts("/run/*/kill")).toHaveLength(1);
    }, 60_000);
  });

  test("without the name, or with another one than the replicas are told, nobody is let in", async () => {
    const { url } = await startReplicas();
    const hello = (headers: Record<string, string>) =>
      sendPlain(`${url}/mcp`, { method: "POST", headers: { ...JSON_HEADERS, ...headers }, body: HELLO });
    expect((await hello({ ...HEADERS, host: "rebound.example.net" })).status).toBe(403);
    expect((await hello({ host: HEADERS.host })).status).toBe(401);
    expect((await hello(HEADERS)).status).toBe(200);
    for (const path of ["/ready", "/sse", "/"]) {
      expect((await sendPlain(`${url}${path}`, { headers: HEADERS })).status, path).toBe(404);
    }
  }, 60_000);
});

test.skipIf(!nginx)("what a replica was sent before it died is never sent to another", async () => {
  const received: string[] = [];
  const standIns = await Promise.all(
    NAMES.map(async (name) => {
      const server = createServer((request) => {
        received.push(`${name} ${request.method}`);
        request.socket.destroy();
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      onTestFinished(() => void server.close());
      return (server.address() as AddressInfo).port;
    }),
  );
  const url = await startProxy(standIns);
  for (const name of NAMES) {
    const headers = { ...HEADERS, ...JSON_HEADERS, "mcp-session-id": `${name}.0b5a1c9e` };
    const body = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "x" } };
    expect((await sendPlain(`${url}/mcp`, { method: "POST", headers, body })).status).toBe(502);
  }
  expect(received).toEqual(NAMES.map((name) => `${name} POST`));
});

/** nginx with the example's text, in which only ports are others; gives its origin. */
async function startProxy(replicas: number[]): Promise<string> {
  const port = await freePort();
  const ports = new Map([[28_880, port], ...replicas.map((one, index) => [28_891 + index, one] as const)]);
  const http = CONFIG.replace(/\b288\d\d\b/g, (one) => `${ports.get(Number(one)) ?? one}`);
  await startNginx(nginx as string, http, port);
  return `http://127.0.0.1:${port}`;
}
