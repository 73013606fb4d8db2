import { readFileSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import { type ServedApi, type ServeOptions, serveSimulatedApi } from "../mocks/serve.js";
import { createHandClock } from "./support/hand-clock.js";
import {
  COMPLETE,
  connectInMemory,
  type InMemoryOptions,
  type TestClient,
  until,
} from "./support/harness.js";
import { asLongAs } from "./support/patient.js";

const DESCRIPTION = "root:/api/v1/openapi.json";
const KILL = "/run/{run_id}/kill";
const RECORDED = readFileSync(new URL("fixtures/upstream/openapi.json", import.meta.url), "utf8");
const ROUTER = "/api/v1/workflows/claude-code";

// biome-ignore lint/suspicious/noExplicitAny: descriptions are taken apart and put together freely
type Document = any;

async function serve(options: ServeOptions = {}): Promise<ServedApi> {
  const served = await serveSimulatedApi({ paceMs: 5, describe: true, ...options });
  onTestFinished(() => served.close());
  return served;
}

function connect({ url }: ServedApi, { settings, ...options }: InMemoryOptions = {}) {
  return connectInMemory({ ...options, settings: { BASE_URL: url, ...settings } });
}

/** Has the API describe itself otherwise than it does. */
async function redescribe({ url, api }: ServedApi, change: (document: Document) => unknown): Promise<void> {
  const document: Document = await (await fetch(`${url}/api/v1/openapi.json`)).json();
  const body = (change(document) ?? document) as object | string;
  api.fault({ path: DESCRIPTION }, { status: 200, body });
}

const startOf = (document: Document) => document.components.schemas.Start;
const read = ({ api }: ServedApi) => api.requests.filter(({ path }) => path === DESCRIPTION).length;
const actsOn = ({ api }: ServedApi) => api.requests.filter(({ method }) => method === "POST");

/** The actions that a client finds, by their names in the one tool or as tools of their own. */
async function offered({ client }: TestClient): Promise<string[]> {
  const { tools } = await client.listTools();
  // biome-ignore lint/suspicious/noExplicitAny: the schema is looked into
  const schema = tools[0]?.inputSchema as any;
  return schema.properties.action?.enum ?? tools.map((tool) => tool.name);
}

const NAMES = {
  super: { kill: "kill", cleanup: "cleanup", feedback: "feedback", answer: "answer" },
  named: { kill: "kill_run", cleanup: "cleanup_run", feedback: "send_feedback", answer: "answer_question" },
};
const ALL = 16;
/** What only our engine has: a whole description of another API lacks it. */
const OURS = 4;

describe.each(["super", "named"] as const)(
  "toolset %s: an action that the API has no endpoint for",
  (toolset) => {
    const settings = { TOOLSET: toolset };
    const name = NAMES[toolset];

    it("is not published, and nothing else goes with it", async () => {
      const served = await serve({ without: [KILL, "/run/{run_id}/add-message"] });
      const connected = await connect(served, { settings });
      const names = await offered(connected);
      expect(names).not.toContain(name.kill);
      expect(names).not.toContain(name.feedback);
      expect(names).toContain(name.cleanup);
      expect(names).toHaveLength(ALL - OURS - 2);
      const text = JSON.stringify(
        (await connected.client.listTools()).tools.map(({ description, inputSchema }) => [
          description,
          inputSchema.properties,
        ]),
      );
      expect(text).not.toMatch(/give a message to a run|feedback, sessions/);
    });

    it("says so when it is called all the same, and sends nothing", async () => {
      const served = await serve({ without: [KILL] });
      const { client } = await connect(served, { settings });
      const tool = toolset === "super" ? "orchestrate_workflow" : name.kill;
      const args = { run_id: "some-run", confirm: true, ...(toolset === "super" ? { action: "kill" } : {}) };
      const result = await client.callTool({ name: tool, arguments: args });
      expect(result.isError).toBe(true);
      const text = JSON.stringify(result.content);
      expect(text).toContain(`The API at ${served.url} offers no endpoint for kill (POST /run/{run_id}/kill`);
      expect(text).toContain("nothing was sent");
      expect(result.structuredContent).toMatchObject({
        outcome: "failed",
        next_step: { arguments: { detailed: true } },
      });
      expect(actsOn(served)).toEqual([]);
      expect(served.api.requests.some(({ path }) => path.includes("some-run"))).toBe(false);
    });

    it("comes back by one notification when the API has it, and goes again likewise", async () => {
      const served = await serve();
      const clock = createHandClock();
      const connected = await connect(served, { clock, settings });
      expect(await offered(connected)).toContain(name.kill);
      const whole = await (await fetch(`${served.url}/api/v1/openapi.json`)).text();
      const without = JSON.parse(whole);
      delete without.paths[ROUTER + KILL];
      const heal = served.api.fault({ path: DESCRIPTION }, { status: 200, body: without });
      clock.advance(60_000);
      await until(() => connected.listChanges() === 1, "the notification that it has gone");
      expect(await offered(connected)).not.toContain(name.kill);
      heal();
      clock.advance(10_000);
      await callAction(connected.call, toolset, "list_workflows", { detailed: true });
      await until(() => connected.listChanges() === 2, "the notification that it is there");
      expect(await offered(connected)).toContain(name.kill);
    });

    it("is carried out when it has come since it was last looked for", async () => {
      const served = await serve();
      const clock = createHandClock();
      const heal = served.api.fault(
        { path: DESCRIPTION },
        { status: 200, body: await lacking(served, KILL) },
      );
      const { call, ...connected } = await connect(served, { clock, settings });
      expect(await offered({ ...connected, call })).not.toContain(name.kill);
      heal();
      const { text } = await callAction(call, toolset, "kill", { run_id: "no-such-run", confirm: true });
      expect(text).not.toContain("offers no endpoint");
      expect(text).toContain("no-such-run");
    });

    it("is not what an answer proposes to do next", async () => {
      const served = await serve({ without: ["/run/{run_id}/message-queue"], paceMs: "manual" });
      const { call } = await connect(served, { settings });
      const { data } = await callAction(call, toolset, "run", { ...COMPLETE, wait_seconds: 0 });
      const { run_id } = data.run;
      const feedback = await callAction(call, toolset, "feedback", {
        run_id,
        message: "Use JWT",
        wait_seconds: 0,
      });
      expect(feedback.isError).toBe(false);
      expect(JSON.stringify(feedback.data)).not.toMatch(/get_message_queue|"action":"message_queue"/);
    });
  },
);

async function lacking({ url }: ServedApi, path: string): Promise<object> {
  const document: Document = await (await fetch(`${url}/api/v1/openapi.json`)).json();
  delete document.paths[ROUTER + path];
  return document;
}

async function callAction(
  call: TestClient["call"],
  toolset: "super" | "named",
  action: string,
  args: Record<string, unknown>,
) {
  if (toolset === "super") return call({ action, ...args }, { tool: "orchestrate_workflow" });
  const { actions } = await import("../src/actions/index.js");
  return call(args, { tool: actions.find((one) => one.name === action)?.toolName ?? "" });
}

describe("a description that says nothing for certain changes nothing", () => {
  const cases: [string, (document: Document) => unknown][] = [
    ["no JSON", () => "<!doctype html><title>Welcome</title>"],
    ["no object", () => "[1, 2]"],
    ["no paths", () => ({ openapi: "3.1.0", info: { title: "Other" } })],
    ["paths that are a list", () => ({ paths: [ROUTER + KILL] })],
    ["nothing in it", () => ({ paths: {} })],
    ["another API", () => ({ paths: { "/pets": { get: {} }, "/pets/{id}/kill": { post: {} } } })],
    [
      "a part: the start without the status",
      (document) => {
        for (const path of Object.keys(document.paths))
          if (!path.endsWith("/run/{workflow_name}")) delete document.paths[path];
      },
    ],
    [
      "a part: no start",
      (document) => {
        delete document.paths[`${ROUTER}/run/{workflow_name}`];
        delete document.paths[ROUTER + KILL];
      },
    ],
    [
      "more paths than anybody has",
      (document) => {
        delete document.paths[ROUTER + KILL];
        for (let one = 0; one < 5_000; one++) document.paths[`/path/${one}`] = { get: {} };
      },
    ],
    ["more than is ever read", () => `{"paths":{${JSON.stringify("x".repeat(17 * 1024 * 1024))}:{}}}`],
  ];

  it.each(cases)("%s", async (_what, change) => {
    const served = await serve();
    await redescribe(served, change);
    const connected = await connect(served);
    expect(read(served)).toBeGreaterThan(0);
    expect(await offered(connected)).toHaveLength(ALL);
    expect((await connected.call(COMPLETE)).data.outcome).toBe("completed");
  });

  it.each([
    ["is not there", { status: 404 }],
    ["is refused", { status: 401, body: { detail: "Invalid API Key: test-key" } }],
    ["fails", { status: 500 }],
    ["redirects", { status: 302, headers: { location: "https://elsewhere.example/" } }],
    ["breaks off", { drop: "before" as const }],
  ])("one that %s", async (_what, fault) => {
    const served = await serve({ without: [KILL] });
    served.api.fault({ path: DESCRIPTION }, fault);
    const connected = await connect(served);
    expect(await offered(connected)).toHaveLength(ALL);
    const { data, text } = await connected.call({ action: "list_workflows", detailed: true });
    expect(data).toMatchObject({ outcome: "ok", api: { description: { read: false } } });
    expect(data.api.description.problem).toContain("Could not read the API's description");
    expect(text + JSON.stringify(data)).not.toContain("test-key");
  });

  it("one that fails for a while leaves what was known, one that is gone does not", async () => {
    const served = await serve({ without: [KILL] });
    const clock = createHandClock();
    const connected = await connect(served, { clock });
    expect(await offered(connected)).not.toContain("kill");
    served.api.fault({ path: DESCRIPTION }, { status: 503 });
    await connected.call({ action: "kill", run_id: "x", confirm: true });
    expect(await offered(connected)).not.toContain("kill");
    served.api.fault({ path: DESCRIPTION }, { status: 404 });
    clock.advance(60_000);
    await until(() => connected.listChanges() === 1, "the notification");
    expect(await offered(connected)).toContain("kill");
  });
});

it("a path that is told twice, with its methods apart, is there with all of them", async () => {
  const served = await serve();
  await redescribe(served, (document) => {
    document.paths[`${ROUTER}/run/{other_name}`] = { get: {} };
    document.paths[`${ROUTER}/run/{other_id}/kill`] = { get: {} };
  });
  expect(await offered(await connect(served))).toContain("kill");
});

it("an API that comes to describe a stream is asked for it at the next look", async () => {
  const served = await serve();
  const clock = createHandClock();
  await connect(served, { clock });
  await redescribe(served, (document) => {
    document.paths[`${ROUTER}/events`] = { get: {} };
  });
  clock.advance(60_000);
  await served.api.waitFor(({ path }) => path === "/events");
});

it("an agent's question is not put to the person where no answer could be given", async () => {
  const served = await serve({ paceMs: "manual" });
  const { call, forms } = await connect(served, { onForm: () => ({ action: "cancel" }) });
  const { run_id } = (await call({ ...COMPLETE, wait_seconds: 0 })).data.run;
  const headers = { "x-api-key": "test-key" };
  const status: Document = await (
    await fetch(`${served.url}${ROUTER}/run/${run_id}/status?debug=true`, { headers })
  ).json();
  const question = {
    question_id: "q1",
    kind: "question",
    text: "Which database?",
    choices: [],
    status: "open",
  };
  served.api.fault({ path: `/run/${run_id}/status` }, { body: { ...status, questions: [question] } });
  const { data, text } = await call({ action: "status", run_id, wait_seconds: 1 });
  expect(text).toContain("Which database?");
  expect(forms).toEqual([]);
  expect(data.next_step?.arguments.action).not.toBe("answer");
});

describe("the start of the server", () => {
  it("waits for a description that comes later than the workflows", async () => {
    const served = await serve({ without: [KILL] });
    served.api.fault({ path: DESCRIPTION }, { delayMs: 400 });
    const connected = await connect(served);
    expect(await offered(connected)).not.toContain("kill");
    expect(connected.listChanges()).toBe(0);
  });

  it("waits for the description no longer than for the workflows", async () => {
    const served = await serve({ without: [KILL] });
    served.api.fault({ path: DESCRIPTION }, { hang: true });
    const startedAt = performance.now();
    const connected = await connect(served, { discoveryBudgetMs: 100 });
    const { tools } = await connected.client.listTools();
    expect(performance.now() - startedAt).toBeLessThan(await asLongAs(4_000));
    expect(JSON.stringify(tools)).toContain("architect");
    expect(await offered(connected)).toHaveLength(ALL);
  });

  it("reads it once, for the tools and for the events", async () => {
    const served = await serve();
    await connect(served);
    expect(read(served)).toBe(1);
  });
});

describe("bounds of a start that the API describes", () => {
  const tighter = (document: Document) => {
    startOf(document).properties.max_turns.anyOf[0].maximum = 30;
    Object.assign(startOf(document).properties.timeout, { minimum: 600, exclusiveMaximum: 3601 });
  };

  it("stand in the schema, and what is out of them is refused before anything is asked or sent", async () => {
    const served = await serve();
    await redescribe(served, tighter);
    const { client, call, forms } = await connect(served, { onForm: () => ({ action: "cancel" }) });
    // biome-ignore lint/suspicious/noExplicitAny: the schema is looked into
    const properties = (await client.listTools()).tools[0]?.inputSchema.properties as any;
    expect(properties.max_turns).toMatchObject({ minimum: 1, maximum: 30 });
    expect(properties.timeout).toMatchObject({ minimum: 600, maximum: 3600 });
    const given = await call({ message: "Design it", max_turns: 31, timeout: 900 });
    expect(given.isError).toBe(true);
    expect(given.text).toContain(
      `\`max_turns\` 31: the API at ${served.url} accepts 1 to 30, according to its description.`,
    );
    expect(given.data.next_step.arguments).toMatchObject({
      message: "Design it",
      max_turns: 30,
      timeout: 900,
    });
    const fromSettings = await call({ message: "Design it", max_turns: 30 });
    expect(fromSettings.text).toContain("`timeout` 7200 (the setting AUTOMAGIK_WORKFLOWS_TIMEOUT)");
    expect(forms).toEqual([]);
    expect(actsOn(served)).toEqual([]);
    const fitting = await call({ ...COMPLETE, max_turns: 30, timeout: 3600 });
    expect(fitting.data.outcome).toBe("completed");
    expect(actsOn(served)).toHaveLength(1);
  });

  it.each<[string, (document: Document) => void]>([
    [
      "wider than ours",
      (document) => void Object.assign(startOf(document).properties.timeout, { maximum: 1e9, minimum: 1 }),
    ],
    [
      "of another unit",
      (document) =>
        void Object.assign(startOf(document).properties.timeout, { minimum: 60_000, maximum: 14_400_000 }),
    ],
    [
      "that leave nothing",
      (document) => void Object.assign(startOf(document).properties.timeout, { minimum: 600, maximum: 60 }),
    ],
    [
      "that are no numbers",
      (document) =>
        void Object.assign(startOf(document).properties.timeout, { minimum: "9000", maximum: null }),
    ],
    [
      "behind a reference to itself",
      (document) => {
        document.components.schemas.Loop = { $ref: "#/components/schemas/Loop" };
        startOf(document).properties.timeout = { anyOf: [{ $ref: "#/components/schemas/Loop" }] };
      },
    ],
  ])("%s change nothing", async (_what, change) => {
    const served = await serve();
    await redescribe(served, change);
    const { call } = await connect(served);
    expect((await call(COMPLETE)).data.outcome).toBe("completed");
  });
});

describe("fields of a start that the API does not take", () => {
  it.each([
    ["repository_url", { repository_url: "https://host.example/app.git" }, "somewhere else"],
    ["git_branch", { git_branch: "dev" }, "another branch"],
    ["session_id", { session_id: "0f3a" }, "conversation"],
  ])("%s: what needs it is refused and not sent without it", async (field, args, words) => {
    const served = await serve();
    await redescribe(served, (document) => void delete startOf(document).properties[field]);
    const { call } = await connect(served);
    const answer = await call({ ...COMPLETE, ...args });
    expect(answer.isError).toBe(true);
    expect(answer.text).toContain(`does not accept \`${field}\``);
    expect(answer.text).toContain(words);
    expect(actsOn(served)).toEqual([]);
    expect((await call(COMPLETE)).data.outcome).toBe("completed");
  });

  it("are not sent for a session that goes on either", async () => {
    const served = await serve();
    const { call } = await connect(served);
    await call({ ...COMPLETE, repository_url: "https://host.example/app.git" });
    await redescribe(served, (document) => void delete startOf(document).properties.repository_url);
    // A name that is not known has the workflows read again, and the description beside them.
    await call({ ...COMPLETE, workflow_name: "implment" });
    await until(async () => {
      const { data } = await call({ action: "list_workflows", detailed: true });
      return data.api.description.not_taken;
    }, "the new description");
    const answer = await call({
      workflow_name: "implement",
      message: "Build it",
      continue_session: COMPLETE.session_name,
    });
    expect(answer.text).toContain("does not accept `repository_url`");
    expect(actsOn(served)).toHaveLength(1);
  });

  it("are not asked of the person", async () => {
    const served = await serve();
    await redescribe(served, (document) => {
      for (const field of ["repository_url", "git_branch", "input_format"])
        delete startOf(document).properties[field];
    });
    const { call, forms } = await connect(served, {
      onForm: () => ({ action: "accept", content: { session_name: "auth" } }),
    });
    const answer = await call({ workflow_name: "architect", message: "Design it" });
    expect(answer.data.outcome).toBe("completed");
    expect(Object.keys(forms[0]?.schema.properties)).toEqual(["session_name"]);
    // Some servers want the format of the input and do not describe it.
    expect(actsOn(served)[0]?.body).toMatchObject({ session_name: "auth", input_format: "stream-json" });
  });

  it("are not sent where they would be refused", async () => {
    const served = await serve({ profile: "automagik-0.6" });
    await redescribe(served, (document) => {
      delete startOf(document).properties.input_format;
      startOf(document).additionalProperties = false;
    });
    const { call } = await connect(served);
    await call({ ...COMPLETE, workflow_name: "builder", wait_seconds: 0 });
    expect(actsOn(served)).toHaveLength(1);
    expect(actsOn(served)[0]?.body).not.toHaveProperty("input_format");
  });

  it("cannot be told by a description of the message alone", async () => {
    const served = await serve();
    await redescribe(served, (document) => {
      startOf(document).properties = { message: { type: "string" } };
    });
    const { call } = await connect(served);
    const answer = await call({ ...COMPLETE, repository_url: "https://host.example/app.git" });
    expect(answer.data.outcome).toBe("completed");
  });

  it("are all taken where others are welcome", async () => {
    const served = await serve();
    await redescribe(served, (document) => {
      delete startOf(document).properties.git_branch;
      startOf(document).additionalProperties = true;
    });
    const { call } = await connect(served);
    const answer = await call({
      ...COMPLETE,
      repository_url: "https://host.example/app.git",
      git_branch: "dev",
    });
    expect(answer.data.outcome).toBe("completed");
    expect(actsOn(served)[0]?.body).toMatchObject({ git_branch: "dev" });
  });
});

describe("list_workflows with details", () => {
  it("tells in text and structure what the description says", async () => {
    const served = await serve({ without: [KILL] });
    const { call } = await connect(served);
    const { data, text } = await call({ action: "list_workflows", detailed: true });
    expect(data.api.description).toMatchObject({
      read: true,
      title: "Simulated workflows API",
      version: "1.0.0",
      endpoints: expect.arrayContaining(["POST /run/{workflow_name}", "GET /manage"]),
      missing: [
        "POST /run/{run_id}/kill",
        "GET /events",
        "GET /run/{run_id}/diff",
        "GET /run/{run_id}/work",
        "POST /run/{run_id}/take",
        "GET /run/{run_id}/pull-request",
        "POST /run/{run_id}/pull-request",
        "POST /run/{run_id}/discard",
        "POST /run/{run_id}/questions/{question_id}/answer",
      ],
      pushed_events: false,
      questions: false,
      max_turns: "1 to 200",
      timeout: "60 to 14400",
    });
    expect(text).toContain("title: Simulated workflows API");
    expect(text).toContain("POST /run/{run_id}/kill");
    expect(text).toContain("pushed_events: false");
    expect((await call({ action: "list_workflows" })).data).not.toHaveProperty("api");
  });

  it("shows an API's own words cleaned, cut, and without the key", async () => {
    const served = await serve();
    await redescribe(served, (document) => {
      document.info = { title: `\u001b[31mAPI of test-key\n${"x".repeat(500)}`, version: 7 };
    });
    const { call } = await connect(served);
    const { data, text } = await call({ action: "list_workflows", detailed: true });
    expect(data.api.description.title).toMatch(/^API of <key> x+…$/);
    expect(data.api.description.title.length).toBe(80);
    expect(data.api.description).not.toHaveProperty("version");
    expect(text).not.toContain("test-key");
  });
});

describe("the public server's own description", () => {
  it("keeps every action that it has; answers stay for plans, though its agents cannot ask", async () => {
    const served = await serve({ profile: "automagik-0.6" });
    served.api.fault({ path: DESCRIPTION }, { status: 200, body: RECORDED });
    const connected = await connect(served);
    expect(await offered(connected)).toEqual([
      "run",
      "status",
      "feedback",
      "answer",
      "list_sessions",
      "list_workflows",
      "message_queue",
      "kill",
      "cleanup",
      "plan",
      "list_plans",
      "history",
    ]);
    const { data } = await connected.call({ action: "list_workflows", detailed: true });
    expect(data.api.description).toMatchObject({
      read: true,
      title: "Automagik API",
      version: "0.6.19",
      missing: [
        "GET /events",
        "GET /run/{run_id}/diff",
        "GET /run/{run_id}/work",
        "POST /run/{run_id}/take",
        "GET /run/{run_id}/pull-request",
        "POST /run/{run_id}/pull-request",
        "POST /run/{run_id}/discard",
        "POST /run/{run_id}/questions/{question_id}/answer",
      ],
      max_turns: "1 to 200",
      timeout: "60 to 14400",
    });
    expect(data.api.description).not.toHaveProperty("not_taken");
    const answer = await connected.call({
      ...COMPLETE,
      workflow_name: "builder",
      wait_seconds: 0,
      repository_url: "https://host.example/app.git",
      git_branch: "dev",
    });
    expect(answer.data.run).toMatchObject({ workflow_name: "builder" });
  });
});
