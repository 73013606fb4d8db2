import { describe, expect, it, onTestFinished, test, vi } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { actions } from "../src/actions/index.js";
import { createApiClient } from "../src/api/client.js";
import { systemClock } from "../src/shared/clock.js";
import { readEvents } from "./contract/event-reader.js";
import { API } from "./contract/upstream.js";
import { runBin, toVariables } from "./support/bin.js";
import { type DashboardPage, inviteByToken, openDashboard } from "./support/dashboard.js";
import { connectHttp, type HttpClient, sendPlain } from "./support/http.js";
import { ASKS, ENGINE_KEY, openEngine, withScript } from "./support/local-engine.js";
import { callModern, sendModern } from "./support/modern-http.js";
import { findPostgres, startPostgres } from "./support/postgres-server.js";
import { openTeam, startOf, startTeamServer, TOKENS } from "./support/team.js";

const programs = await findPostgres();
const APART = { HTTP_CALLERS: "apart", ERA: "auto" };
const QUICK = [{ text: "Done" }];
const HANGS = [{ text: "Working" }, { hang: true }];
/** Stands in all names and texts of anna's. */
const SECRET = "secretofanna";
const UNKNOWN_ID = "0e8f4a52-6a55-4f2e-9d0b-c7a4c3f1e5d9";
const UNKNOWN_NAME = "nosuchthing";

/** Whatever identifies something of anna's, by the name of the parameter that takes it. */
type Found = Record<string, string[]>;

/** The same for whatever id, name and moment. */
const neutral = (text: string, given: string) =>
  text
    .replaceAll(given, "<given>")
    .replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, "<id>")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<time>")
    .replace(/"requestState":"[^"]*"|"id":\d+/g, "<request>");

/** What an action wants beside what identifies something. */
const FILL: Record<string, unknown> = {
  message: "Tell me all",
  answer: "deny",
  question_id: UNKNOWN_ID,
  change: "pause",
  detailed: true,
  active_only: false,
  wait_seconds: 0,
  confirm: true,
  workflow_name: "implement",
  repository_url: "",
  git_branch: "",
};
const IDENTIFYING = ["run_id", "session_id", "session_name", "continue_session", "plan_id"] as const;

/** The name of something new is free for each caller: nothing is looked for by it. */
const isNewName = (action: string, parameter: string) =>
  parameter === "session_name" && (action === "run" || action === "plan");

describe("callers that are kept apart", () => {
  let team: Awaited<ReturnType<typeof openTeam>>;
  let anna: HttpClient;
  let ben: HttpClient;
  let found: Found;
  const header = (person: keyof typeof TOKENS) => ({ authorization: `Bearer ${TOKENS[person]}` });

  /** Ben is at another server than anna, where there are two with one database. */
  async function openReplicas(settings: Record<string, string>): Promise<HttpClient> {
    await open(settings);
    const { url } = await startTeamServer(team.engineUrl, { ...APART, ...settings });
    ben = await team.connect("ben", {}, url);
    const annaThere = await team.connect("anna", {}, url);
    team = { ...team, url };
    return annaThere;
  }

  // One team for all: nothing that a stranger does may change anything of it.
  async function open(settings: Record<string, string> = {}) {
    team = await openTeam({ ...APART, ...settings });
    [anna, ben] = await Promise.all([team.connect("anna"), team.connect("ben")]);
    const begun = [
      await anna.call(startOf(`${SECRET}-hangs`, HANGS)),
      await anna.call({ ...startOf(`${SECRET}-asks`, []), message: `${SECRET} ${ASKS}` }),
      await anna.call({ ...startOf(`${SECRET}-ended`, QUICK), wait_seconds: 30 }),
    ];
    const runs = begun.map(({ data }) => data.run.run_id as string);
    await team.engine.until(runs[1] ?? "", ({ waiting_for }) => waiting_for === "question");
    const plan = JSON.stringify({ steps: [{ id: "ok", gate: `May ${SECRET} go on?` }] });
    const planned = await anna.call({
      ...{ action: "plan", plan, session_name: `${SECRET}-plan`, repository_url: "", git_branch: "" },
      wait_seconds: 0,
    });
    const planId = planned.data.plan?.plan_id ?? planned.data.plan_id;
    expect(planId, planned.text).toBeTypeOf("string");
    const { sessions } = (await anna.call({ action: "list_sessions", active_only: false })).data;
    const ids = sessions.map((one: { session_id: string }) => one.session_id);
    const names = sessions.map((one: { session_name: string }) => one.session_name);
    expect(names).toHaveLength(3);
    found = {
      run_id: runs,
      session_id: ids,
      session_name: [...names, `${SECRET}-plan`],
      continue_session: names,
      plan_id: [planId, `${SECRET}-plan`],
    };
  }

  const unknownFor = (value: string) => (value.includes(SECRET) ? UNKNOWN_NAME : UNKNOWN_ID);
  const legacy = async (person: HttpClient, args: object) => (await person.call({ ...args })).text;
  const modern = async (person: keyof typeof TOKENS, args: object) =>
    JSON.stringify((await callModern(team, args, {}, { headers: header(person) })).answer);

  /** All ways in which an action can be asked for something. */
  function* ways() {
    for (const { name, parameters } of actions)
      for (const parameter of IDENTIFYING) {
        if (!(parameters as readonly string[]).includes(parameter) || isNewName(name, parameter)) continue;
        const fill = Object.entries(FILL).filter(([key]) => (parameters as readonly string[]).includes(key));
        for (const value of found[parameter] ?? [])
          yield {
            ...{ action: name, parameter, value },
            args: {
              action: name,
              ...Object.fromEntries(fill),
              // Nothing is left to be asked, so that it comes to the start.
              ...(name === "run" ? { session_name: "mine" } : {}),
            },
          };
      }
  }

  it("are answered about what is another's as about what is not there, by every action and over both protocols", async () => {
    await open();
    await expectUnknown(anna);
  }, 240_000);

  it.skipIf(!programs)(
    "are so by another server with the same PostgreSQL database, too, which shows to each what is theirs",
    async () => {
      const server = await startPostgres(programs as string);
      onTestFinished(() => server.dispose());
      const annaThere = await openReplicas({ DATABASE: await server.createDatabase() });
      await expectUnknown(annaThere);
      for (const ask of [{ action: "list_sessions", active_only: false }, { action: "list_plans" }]) {
        expect(await legacy(annaThere, ask)).toContain(SECRET);
        expect(await legacy(ben, ask)).not.toContain(SECRET);
        expect(await modern("ben", ask)).not.toContain(SECRET);
      }
    },
    240_000,
  );

  /** Nothing of anna's is there for ben. @param owner anna, where ben asks */
  async function expectUnknown(owner: HttpClient): Promise<void> {
    let count = 0;
    for (const { action, parameter, value, args } of ways()) {
      const unknown = unknownFor(value);
      const how = `${action} with ${parameter} ${value}`;
      const [foreign, missing] = [
        await legacy(ben, { ...args, [parameter]: value }),
        await legacy(ben, { ...args, [parameter]: unknown }),
      ];
      expect(neutral(foreign, value), how).toBe(neutral(missing, unknown));
      expect(neutral(foreign, value), how).not.toContain(SECRET);
      const overModern = await modern("ben", { ...args, [parameter]: value });
      const missingModern = await modern("ben", { ...args, [parameter]: unknown });
      expect(neutral(overModern, value), how).toBe(neutral(missingModern, unknown));
      count++;
    }
    expect(count).toBeGreaterThan(40);
    // What identifies something is found by whose it is, or this would show nothing.
    for (const runId of found.run_id ?? [])
      expect(await legacy(owner, { action: "status", run_id: runId, wait_seconds: 0 })).toContain(SECRET);
    for (const planId of found.plan_id ?? [])
      expect(await legacy(owner, { action: "status", plan_id: planId, wait_seconds: 0 })).toContain(SECRET);
    // Nothing of it has had an effect.
    const { runs } = (await team.engine.get("/runs")).body;
    const states = runs.map((one: { session_name: string; status: string }) => [
      one.session_name,
      one.status,
    ]);
    expect(Object.fromEntries(states)).toEqual({
      [`${SECRET}-hangs`]: "running",
      [`${SECRET}-asks`]: "running",
      [`${SECRET}-ended`]: "completed",
    });
  }

  it("list their own alone: sessions, plans, figures, resources, completions", async () => {
    await open();
    for (const { name, parameters } of actions) {
      if (name === "run") continue;
      const fill = Object.entries(FILL).filter(([key]) => (parameters as readonly string[]).includes(key));
      const args = { action: name, ...Object.fromEntries(fill) };
      expect(await legacy(ben, args), name).not.toContain(SECRET);
      expect(await modern("ben", args), name).not.toContain(SECRET);
    }
    expect(await legacy(anna, { action: "list_plans" })).toContain(SECRET);
    const all = async (client: HttpClient["client"]) => {
      const { resources } = await client.listResources();
      const read = await Promise.all(resources.map(({ uri }) => client.readResource({ uri })));
      return JSON.stringify([resources, read, await client.listPrompts()]);
    };
    expect(await all(anna.client)).toContain(SECRET);
    expect(await all(ben.client)).not.toContain(SECRET);
    const overModern = await sendModern(team, "resources/list", {}, { headers: header("ben") });
    expect(JSON.stringify(overModern.answer)).not.toContain(SECRET);
    const { resourceTemplates } = await ben.client.listResourceTemplates();
    expect(resourceTemplates.length).toBeGreaterThan(0);
    for (const { uriTemplate } of resourceTemplates) {
      const [, argument = ""] = /\{(\w+)\}/.exec(uriTemplate) ?? [];
      for (const value of [...(found.run_id ?? []), ...(found.plan_id ?? [])]) {
        const read = (given: string) => {
          const uri = uriTemplate.replace(/\{\w+\}/, given);
          const answer = ben.client.readResource({ uri });
          return answer
            .then(JSON.stringify, (error: Error) => error.message)
            .then((text) => neutral(text, given));
        };
        expect(await read(value), uriTemplate).toBe(await read(unknownFor(value)));
      }
      const complete = (client: HttpClient["client"]) =>
        client.complete({
          ref: { type: "ref/resource", uri: uriTemplate },
          argument: { name: argument, value: "" },
        });
      expect(JSON.stringify(await complete(ben.client)), uriTemplate).not.toMatch(
        new RegExp([...(found.run_id ?? []), ...(found.plan_id ?? []), SECRET].join("|")),
      );
    }
    const { prompts } = await ben.client.listPrompts();
    for (const { name, arguments: names = [] } of prompts)
      for (const argument of names) {
        const given = { type: "ref/prompt" as const, name };
        const completed = await ben.client.complete({
          ref: given,
          argument: { name: argument.name, value: "" },
        });
        expect(JSON.stringify(completed)).not.toContain(SECRET);
      }
  }, 120_000);

  it("have tools beside the actions, and a dashboard, that show them nothing of others", async () => {
    await open();
    for (const { name, inputSchema } of (await ben.client.listTools()).tools) {
      for (const parameter of IDENTIFYING) {
        if (name === "orchestrate_workflow" || !(parameter in (inputSchema.properties ?? {}))) continue;
        for (const value of found[parameter] ?? []) {
          const ask = async (given: string) =>
            neutral((await ben.call({ [parameter]: given }, { tool: name })).text, given);
          expect(await ask(value), name).toBe(await ask(unknownFor(value)));
        }
      }
    }
    const pageOf = async (person: keyof typeof TOKENS): Promise<DashboardPage> =>
      openDashboard(await inviteByToken(team.url, header(person)));
    const [own, other] = [await pageOf("anna"), await pageOf("ben")];
    const board = async (page: DashboardPage) => JSON.stringify(await page.get("board"));
    expect(await board(own)).toContain(SECRET);
    for (const path of ["board", "figures", "figures/rows", "deliveries", "session"])
      expect(JSON.stringify(await (await other.ask(path)).text()), path).not.toContain(SECRET);
    const [runId = ""] = found.run_id ?? [];
    const [planId = ""] = found.plan_id ?? [];
    for (const [kind, id] of [
      ["runs", runId],
      ["plans", planId],
    ] as const) {
      const ask = async (path: string, given: string) => {
        const answer = await other.ask(`${kind}/${given}${path}`);
        return `${answer.status} ${neutral(await answer.text(), given)}`;
      };
      for (const path of kind === "runs" ? ["", "/diff"] : [""])
        expect(await ask(path, id)).toBe(await ask(path, UNKNOWN_ID));
      expect((await own.ask(`${kind}/${id}`)).status).toBe(200);
    }
    const acted = await other.act("kill", { run_id: runId });
    expect(JSON.stringify(acted)).not.toContain(SECRET);
    expect((await team.engine.get(`/run/${runId}/status`)).body.status).toBe("running");
  }, 120_000);

  it("have tasks of protocol 2026-07-28 that nobody else finds", async () => {
    await open({ TASK_AFTER: "0" });
    const send = (person: keyof typeof TOKENS, method: string, params: object) =>
      sendModern(team, method, params, { headers: header(person) });
    const begun = { ...startOf(`${SECRET}-task`, HANGS), wait_seconds: 600 };
    const called = { name: "orchestrate_workflow", arguments: begun };
    const { taskId } = (await send("anna", "tools/call", called)).answer.result;
    expect(taskId).toBeTypeOf("string");
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      const params = method === "tasks/update" ? { inputResponses: {} } : {};
      const ask = async (id: string) => {
        const { answer } = await send("ben", method, { ...params, taskId: id });
        return JSON.stringify(answer.error).replaceAll(id, "<id>");
      };
      expect(await ask(taskId), method).toBe(await ask(`${taskId.slice(0, -4)}AAAA`));
    }
    expect((await send("anna", "tasks/get", { taskId })).answer.result.status).toBe("working");
  });

  it("may call their sessions alike, and each continues its own", async () => {
    await open();
    const name = `${SECRET}-ended`;
    const started = await ben.call({ ...startOf(name, QUICK), wait_seconds: 30 });
    expect(started.data.run, started.text).toMatchObject({ session_name: name, status: "completed" });
    expect(started.text).not.toMatch(/taken|another session/i);
    const [{ session_id }] = (await ben.call({ action: "list_sessions", active_only: false })).data.sessions;
    expect(found.session_id).not.toContain(session_id);
  });

  it("are told by an engine that has no place how many are before them, not who", async () => {
    await open();
    for (let index = 0; index < 2; index++) await anna.call(startOf(`${SECRET}-more-${index}`, HANGS));
    const started = await ben.call(startOf("mine", QUICK));
    const runId = started.data.run.run_id;
    for (let index = 0; index < 2; index++) await anna.call(startOf(`${SECRET}-yet-${index}`, HANGS));
    const told = await legacy(ben, { action: "status", run_id: runId, wait_seconds: 0, detailed: true });
    expect(told).toContain("4 of 4 busy: another caller's");
    expect(told).not.toContain(SECRET);
  });
});

describe("an engine that is asked for one caller", () => {
  it("answers of another's runs as of such that are not there, at every endpoint that it describes, and says that it did", async () => {
    const { engine, engineUrl, connect } = await openTeam({ HTTP_CALLERS: "apart" });
    const anna = await connect("anna");
    const started = await anna.call({ ...startOf(SECRET, QUICK), wait_seconds: 30 });
    const runId = started.data.run.run_id;
    const { session_id } = (await engine.get(`/run/${runId}/status`)).body;
    const { text: description } = await sendPlain(`${engineUrl}/api/v1/openapi.json`);
    const stranger = { "x-api-key": ENGINE_KEY, "x-workflows-caller": UNKNOWN_ID };
    // Of each endpoint's body what it needs.
    const body = {
      message_type: "user",
      content: "x",
      answer: "deny",
      message: "x",
      input_format: "stream-json",
    };
    let count = 0;
    for (const [path, methods] of Object.entries<object>(JSON.parse(description).paths)) {
      for (const method of Object.keys(methods)) {
        if (!path.startsWith(API) || !/run_id|workflow_name\}$/.test(path) || path.includes("/manage"))
          continue;
        const ask = async (run: string, session: string) => {
          const url = `${engineUrl}${path.replace("{run_id}", run).replace("{workflow_name}", "implement").replace("{question_id}", UNKNOWN_ID)}`;
          const sent = { ...body, session_id: session };
          const answer = await sendPlain(url, {
            ...{ method: method.toUpperCase(), headers: { ...stranger, "content-type": "application/json" } },
            ...(method === "get" ? {} : { body: sent }),
          });
          expect(answer.headers["x-workflows-caller"], path).toBe(UNKNOWN_ID);
          return [answer.status, answer.text.replaceAll(run, "<id>").replaceAll(session, "<id>")];
        };
        const foreign = await ask(runId, session_id);
        expect(foreign, path).toEqual(await ask(UNKNOWN_ID, "3f0e8f1c-8a53-4e0d-8a86-9b0f7ce9f7a1"));
        expect(foreign[0], path).toBe(404);
        count++;
      }
    }
    expect(count).toBeGreaterThan(10);
    for (const path of ["/runs", "/slots", "/leftovers", "/workers"]) {
      const answer = await sendPlain(`${engineUrl}${API}${path}`, { headers: stranger });
      expect(answer.text, path).not.toContain(SECRET);
      expect(answer.text, path).not.toContain(runId);
    }
    const odd = { ...stranger, "x-workflows-caller": "" };
    expect((await sendPlain(`${engineUrl}${API}/runs`, { headers: odd })).status).toBe(400);
    expect((await engine.get("/runs")).body.total_count).toBe(1);
  });

  it("streams what happens to this caller's runs alone", async () => {
    const { engine, engineUrl } = await openTeam({ HTTP_CALLERS: "apart" });
    const caller = "3f0e8f1c-8a53-4e0d-8a86-9b0f7ce9f7a1";
    const headers = { "x-api-key": ENGINE_KEY, "x-workflows-caller": caller, "last-event-id": "0" };
    const stream = await readEvents(`${engineUrl}${API}/events`, headers);
    const message = withScript("Go", { steps: QUICK });
    const other = await engine.start({ message, session_name: SECRET, user_id: UNKNOWN_ID });
    await engine.ended(other.run_id);
    const own = await engine.start({ message, session_name: "own", user_id: caller });
    await engine.ended(own.run_id);
    await vi.waitFor(() => expect(JSON.stringify(stream.events)).toContain("finished"), { timeout: 30_000 });
    expect(JSON.stringify(stream.events)).toContain(own.run_id);
    expect(JSON.stringify(stream.events)).not.toContain(other.run_id);
  });
});

test("the client of one caller sends no start to an API that has not shown that it keeps callers apart", async () => {
  const served = await serveSimulatedApi({ paceMs: "manual" });
  onTestFinished(() => served.close());
  const engine = await openEngine();
  const createClient = (baseUrl: string, apiKey: string) =>
    createApiClient({
      ...{ baseUrl, apiKey, caller: UNKNOWN_ID, requestTimeoutMs: 10_000, maxRetries: 0 },
      ...{ clock: systemClock, random: () => 0.5 },
    });
  const request = { workflowName: "implement", message: withScript("Go", { steps: QUICK }) };
  const start = { ...request, inputFormat: "stream-json" as const };
  await expect(createClient(served.url, "test-key").startRun(start)).rejects.toMatchObject({
    mayHaveActed: false,
    message: expect.stringContaining("this server keeps its callers apart"),
  });
  expect(served.api.world.runs()).toHaveLength(0);
  expect(await createClient(engine.url, ENGINE_KEY).startRun(start)).toMatchObject({ status: "pending" });
});

describe("`serve` with HTTP_CALLERS=apart", () => {
  test("does nothing at an API that does not keep callers apart, and says so", async () => {
    const api = await serveSimulatedApi({ paceMs: "manual" });
    onTestFinished(() => api.close());
    const { url } = await startTeamServer(api.url, { API_KEY: "test-key", ...APART });
    const anna = await connectHttp(url, { token: TOKENS.anna });
    const told = await anna.call({ ...startOf("x", QUICK), workflow_name: "builder" });
    expect(told.isError).toBe(true);
    expect(told.text).toContain(
      "this server keeps its callers apart (HTTP_CALLERS), and the workflows API at",
    );
    expect(api.api.world.runs()).toHaveLength(0);
  });

  test.each([
    [{}, /set AUTOMAGIK_WORKFLOWS_TOKENS/],
    [{ TOKENS: "anna=anna-0123456789abcdef", USER_ID: "7d9a0f34-2c61-4b8e-8f15-6a3b9c2e1d70" }, /USER_ID/],
    [{ TOKENS: "anna=anna-0123456789abcdef", CALLER_KEYS: "on" }, /CALLER_KEYS/],
  ])("does not start where that cannot be", async (settings, why) => {
    const variables = toVariables({ API_KEY: "test-key", HTTP_CALLERS: "apart", ...settings });
    const { code, stderr } = await runBin(["serve", "--port", "0"], variables);
    expect(code).toBe(2);
    expect(stderr).toMatch(why);
  });
});
