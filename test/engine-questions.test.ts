import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ElicitResult, ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { type ContractClient, createContractClient } from "./contract/upstream.js";
import {
  COMPLETE,
  connectInMemory,
  type FormAnswerer,
  type InMemoryOptions,
  until,
} from "./support/harness.js";
import { ENGINE_KEY, engineFolder, QUESTION, startLocalEngine, withScript } from "./support/local-engine.js";
import { createSkippingClock } from "./support/skipping-clock.js";
import { serveWatchedProxy } from "./support/watched-proxy.js";

const ASKS = {
  ...COMPLETE,
  message: withScript("Design it", { steps: [{ ask: [QUESTION] }, { text: "Settled" }] }),
};

let place: ReturnType<typeof engineFolder>;
let engine: LocalEngine;
let direct: ContractClient;

beforeAll(async () => {
  place = engineFolder();
  engine = await startLocalEngine(place.folder);
  direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
});
afterAll(async () => {
  await engine.close();
  place.remove();
});

/** That of all servers: a person takes no time. */
const clock = createSkippingClock();

/** A chat client of a server that works with the engine. */
async function connect({
  url = engine.url,
  pushes = true,
  ...options
}: InMemoryOptions & { url?: string; pushes?: boolean } = {}) {
  const proxy = await serveWatchedProxy(url);
  proxy.refuseStreams = !pushes;
  const mcp = await connectInMemory({
    clock,
    ...options,
    settings: { API_KEY: ENGINE_KEY, BASE_URL: proxy.url },
  });
  await until(() => proxy.streams() === 1 || !pushes, "the stream");
  return { ...mcp, proxy };
}

const accept = (content: Record<string, string | string[]>) => (): ElicitResult => ({
  action: "accept",
  content,
});
/** The requests that bring an answer to the agent. */
const ANSWERS = /questions\/[^/]+\/answer$/;
/** As long as a person needs at least, in ms: what is quicker is taken for the client's own doing. */
const PERSON_MS = 400;
const close: FormAnswerer = async () => {
  clock.skip(PERSON_MS);
  return { action: "cancel" };
};

/** A form that stays open until it is taken back; then nobody wants to know the answer any more. */
function openForm() {
  let takeBack = () => {};
  const takenBack = new Promise<void>((resolve) => {
    takeBack = resolve;
  });
  const onForm: FormAnswerer = (_form, signal) =>
    new Promise(() => {
      if (signal.aborted) takeBack();
      signal.addEventListener("abort", takeBack);
    });
  return { onForm, takenBack };
}

/** What the agent has read as its last tool's result. */
function readByAgent(sessionId: string): string {
  return JSON.parse(readFileSync(join(place.folder, ".scripted-agent", `${sessionId}.json`), "utf8"))
    .lastToolResult;
}

/** A run that asks permission for each of the commands, and carries out what it may. */
function asksLeave(...commands: string[]) {
  const steps = commands.map((command) => ({ tools: [{ name: "Bash", input: { command }, run: true }] }));
  return { ...COMPLETE, workflow_name: "implement", message: withScript("Publish it", { steps }) };
}

async function waitsForPerson(runId: string) {
  const { questions } = await direct.until(runId, (status) => status.waiting_for === "question");
  return questions;
}

describe("what the agent wants to know", () => {
  it.each([
    ["a choice", { answer: "SQLite" }, "SQLite"],
    [
      "an own answer, which counts more",
      { answer: "SQLite", own_answer: "A graph database" },
      "A graph database",
    ],
  ])("is asked by a form, and the call goes on with %s", async (_what, content, answer) => {
    const { call, forms } = await connect({ onForm: accept(content) });
    const { data } = await call(ASKS, { onprogress: () => {} });
    expect(forms).toHaveLength(1);
    expect(forms[0]?.message).toBe("architect (auth-system-project) asks: Which database should I use?");
    const { properties, required } = forms[0]?.schema ?? {};
    expect(required).toBeUndefined();
    expect(properties).toMatchObject({
      answer: {
        type: "string",
        oneOf: [
          { const: "PostgreSQL", title: "PostgreSQL: With JSON" },
          { const: "SQLite", title: "SQLite: One file" },
        ],
      },
      own_answer: { type: "string", title: "Or your own answer" },
    });
    // The form says it above its fields already.
    expect(properties?.answer).not.toHaveProperty("description");
    expect(data).toMatchObject({ outcome: "completed", run: { result: "Settled" } });
    expect(readByAgent(data.run.session_id)).toContain(`"${QUESTION.question}"="${answer}"`);
  });

  it("may have several answers, and several questions come one after the other", async () => {
    const asked = [
      { ...QUESTION, multiSelect: true },
      { ...QUESTION, question: "And which cache?", options: [] },
    ];
    const { call, forms } = await connect({
      onForm: ({ schema }) => ({
        action: "accept",
        content: schema.properties.answer ? { answer: ["PostgreSQL", "SQLite"] } : { own_answer: "None" },
      }),
    });
    const message = withScript("Design it", { steps: [{ ask: asked }] });
    const { data } = await call({ ...COMPLETE, message }, { onprogress: () => {} });
    expect(forms[0]?.schema.properties.answer).toMatchObject({ type: "array" });
    expect(forms[1]?.schema.required).toEqual(["own_answer"]);
    expect(data.outcome).toBe("completed");
    expect(readByAgent(data.run.session_id)).toMatch(/="PostgreSQL, SQLite", "And which cache\?"="None"/);
  });

  it("is left open when the form is only closed; status shows it and answer answers it", async () => {
    const { call, forms, client, proxy } = await connect({ onForm: close });
    const { data, text } = await call({ ...ASKS, wait_seconds: 2 }, { onprogress: () => {} });
    expect(forms).toHaveLength(1);
    expect(data).toMatchObject({ outcome: "running", run: { questions: [{ text: QUESTION.question }] } });
    expect(text).toMatch(
      /database should I use\? It waits for an answer: Which database should I use\? \(PostgreSQL, SQLite\), since 20\S+, question_id /,
    );
    const { run_id } = data.run;
    const updates: string[] = [];
    client.setNotificationHandler(
      ResourceUpdatedNotificationSchema,
      ({ params }) => void updates.push(params.uri),
    );
    const uri = `automagik://runs/${run_id}`;
    await client.subscribeResource({ uri });
    const status = await call({ action: "status", run_id, wait_seconds: 0 });
    expect(status.data).toMatchObject({
      outcome: "running",
      run: { questions: [{ kind: "question", choices: [{ value: "PostgreSQL" }, { value: "SQLite" }] }] },
      next_step: { arguments: { action: "answer", run_id } },
    });
    expect(status.text).toContain("Open questions of the agent:");
    const before = updates.length;
    const answered = await call({ ...status.data.next_step.arguments, answer: "postgresql" });
    expect(answered.data).toMatchObject({ outcome: "ok" });
    expect(answered.data.run.questions).toBeUndefined();
    await until(() => updates.length > before, "an update of the run");
    expect(updates).toContain(uri);
    const end = await call({ action: "status", run_id, wait_seconds: 20 });
    expect(end.data).toMatchObject({ outcome: "completed", run: { result: "Settled" } });
    expect(readByAgent(end.data.run.session_id)).toContain('="PostgreSQL"');
    expect(proxy.count(ANSWERS)).toBe(1);
    const again = await call({ ...status.data.next_step.arguments, answer: "SQLite" });
    expect(again).toMatchObject({
      isError: true,
      text: expect.stringMatching(/has no open question.*Nothing was sent/s),
    });
  });

  it("is asked once more when its form comes back empty; after that it is left open, and that is told", async () => {
    const { call, forms } = await connect({ onForm: accept({}) });
    const { run_id } = await direct.start(ASKS);
    await waitsForPerson(run_id);
    const { text, data } = await call({ action: "status", run_id });
    expect(forms.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^implement .*asks: Which database/),
      expect.stringMatching(
        /^Nothing was chosen or written\. Choose an answer, or write your own\. implement .*asks: Which database/,
      ),
    ]);
    expect(data.run.questions).toMatchObject([{ text: QUESTION.question }]);
    expect(text).toContain(
      'The form for "Which database should I use?" came back without an answer, so it was not answered.',
    );
    await direct.post(`/run/${run_id}/kill`, undefined, { force: "true" });
  });

  it("counts when it is answered as its form is shown once more", async () => {
    const answers: ElicitResult[] = [{ action: "accept", content: {} }];
    const sqlite: ElicitResult = { action: "accept", content: { answer: "SQLite" } };
    const { call, forms } = await connect({ onForm: () => answers.shift() ?? sqlite });
    const { data } = await call(ASKS, { onprogress: () => {} });
    expect(forms).toHaveLength(2);
    expect(data.outcome).toBe("completed");
    expect(readByAgent(data.run.session_id)).toContain('="SQLite"');
  });

  it("comes to subscribers as an update of the run", async () => {
    const { client } = await connect();
    const updates: string[] = [];
    client.setNotificationHandler(
      ResourceUpdatedNotificationSchema,
      ({ params }) => void updates.push(params.uri),
    );
    const { run_id } = await direct.start({
      message: withScript("Wait", { steps: [{ wait: 700 }, { ask: [QUESTION] }] }),
    });
    const uri = `automagik://runs/${run_id}`;
    await client.subscribeResource({ uri });
    await waitsForPerson(run_id);
    await until(() => updates.includes(uri), "an update");
    await expect
      .poll(async () => JSON.stringify((await client.readResource({ uri })).contents))
      .toContain(QUESTION.question);
    await direct.post(`/run/${run_id}/kill`, undefined, { force: "true" });
  });

  it("shows that the run waits, for what and since when, after its form was closed", async () => {
    const { call } = await connect({ onForm: close });
    const shown: string[] = [];
    const { run_id } = await direct.start(asksLeave("touch a"));
    const [question] = await waitsForPerson(run_id);
    await call(
      { action: "status", run_id, wait_seconds: 2 },
      { onprogress: ({ message = "" }) => shown.push(message) },
    );
    const time = question.asked_at.slice(11, 19);
    expect(shown.at(-1)).toMatch(
      new RegExp(
        `Waiting for permission since ${time} UTC \\(ask how it is, to answer\\): implement wants to run \`touch a\`$`,
      ),
    );
    const status = await call({ action: "status", run_id, wait_seconds: 0 });
    expect(status.text).toContain(question.text);
    expect(status.data.run.questions).toMatchObject([{ asked_at: question.asked_at }]);
    // A server that has seen nothing of the run shows it as well.
    const another = await connect();
    for (const list of [
      await call({ action: "list_sessions" }),
      await another.call({ action: "list_sessions" }),
    ]) {
      expect(list.data.summary).toContain("waits for the person's answer");
      const session = list.data.sessions.find((one: { run_id: string }) => one.run_id === run_id);
      expect(session).toMatchObject({ waits_for: question.text, waits_since: question.asked_at });
      expect(list.data.next_step.arguments).toMatchObject({ action: "status" });
    }
    const { contents } = await another.client.readResource({ uri: "automagik://sessions" });
    const [json] = contents.map((one) => ("text" in one ? one.text : ""));
    expect(JSON.parse(json ?? "").sessions).toContainEqual(
      expect.objectContaining({ run_id, waits_for: question.text, waits_since: question.asked_at }),
    );
    await call({ action: "answer", run_id, answer: "deny" });
    await direct.ended(run_id);
    const { data: after } = await call({ action: "list_sessions", active_only: false });
    expect(after.sessions.find((one: { run_id: string }) => one.run_id === run_id)).not.toHaveProperty(
      "waits_for",
    );
  });

  it.each<[string, object]>([
    ["that looks at it", { action: "status" }],
    ["that follows it", { action: "status", wait_seconds: 20 }],
    ["that gives it feedback", { action: "feedback", message: "Be quick", wait_seconds: 1 }],
  ])("is offered again in the next call on the run %s", async (_what, args) => {
    let answer: ElicitResult = { action: "cancel" };
    const { call, forms } = await connect({
      async onForm() {
        clock.skip(PERSON_MS);
        return answer;
      },
    });
    const { run_id } = await direct.start(asksLeave("touch a"));
    await waitsForPerson(run_id);
    const { data } = await call({ action: "status", run_id, wait_seconds: 2 }, { onprogress: () => {} });
    expect(data).toMatchObject({ outcome: "running", run: { questions: [{ kind: "permission" }] } });
    expect(forms).toHaveLength(1);
    answer = { action: "accept", content: { answer: "allow_once" } };
    const { data: after } = await call({ ...args, run_id });
    expect(forms).toHaveLength(2);
    expect(forms[1]).toEqual(forms[0]);
    // What the run does is read right after, and may be the question still.
    if (JSON.stringify(args) === '{"action":"status"}')
      expect(after.summary).toMatch(/ The person has answered: ".*`touch a`.*" was allowed once\.$/);
    expect((await direct.ended(run_id)).result.files_changed).toEqual(["a"]);
  });

  it("is not offered again by a call that is to be answered at once", async () => {
    const { call, forms } = await connect({ onForm: close });
    const { run_id } = await direct.start(ASKS);
    await waitsForPerson(run_id);
    await call({ action: "status", run_id, wait_seconds: 2 });
    await call({ action: "status", run_id, wait_seconds: 0 });
    await call({ action: "feedback", run_id, message: "Be quick", wait_seconds: 0 });
    expect(forms).toHaveLength(1);
    await direct.post(`/run/${run_id}/kill`, undefined, { force: "true" });
  });

  it("is asked once, however many calls follow the run", async () => {
    let answerIt: (result: ElicitResult) => void = () => {};
    const { call, forms } = await connect({
      onForm: () =>
        new Promise((resolve) => {
          answerIt = resolve;
        }),
    });
    const { run_id } = await direct.start({
      message: withScript("Wait", { steps: [{ text: "At work" }, { wait: 500 }, { ask: [QUESTION] }] }),
    });
    const follow = () => call({ action: "status", run_id, wait_seconds: 20 }, { onprogress: () => {} });
    const calls = [follow(), follow()];
    await until(() => forms.length > 0, "the form");
    calls.push(follow());
    await direct.until(run_id, (status) => status.current_turn === 2);
    answerIt({ action: "accept", content: { answer: "SQLite" } });
    for (const { data } of await Promise.all(calls)) expect(data.outcome).toBe("completed");
    expect(forms).toHaveLength(1);
  });

  it("takes its form back when it is answered elsewhere", async () => {
    const { onForm, takenBack } = openForm();
    const { call, forms } = await connect({ onForm });
    const running = call(ASKS, { onprogress: () => {} });
    await until(() => forms.length > 0, "the form");
    const [run] = (await direct.get("/runs", { status: "running" })).body.runs;
    const [question] = await waitsForPerson(run.run_id);
    await direct.post(`/run/${run.run_id}/questions/${question.question_id}/answer`, { answer: "SQLite" });
    await takenBack;
    expect((await running).data).toMatchObject({ outcome: "completed", run: { result: "Settled" } });
  });

  it("is not claimed to be answered when the answer came too late", async () => {
    const { call, proxy } = await connect({
      async onForm() {
        const [run] = (await direct.get("/runs", { status: "running" })).body.runs;
        const [question] = await waitsForPerson(run.run_id);
        proxy.silenceStreams();
        await direct.post(`/run/${run.run_id}/questions/${question.question_id}/answer`, {
          answer: "SQLite",
        });
        proxy.refuseStreams = true;
        return { action: "accept", content: { answer: "PostgreSQL" } };
      },
    });
    const running = call({ ...ASKS, wait_seconds: 5 }, { onprogress: () => {} });
    await until(() => proxy.count(/\/answer$/) === 1, "the late answer");
    proxy.breakStreams();
    const { text, data } = await running;
    expect(data.outcome).toBe("completed");
    expect(text).toMatch(/answer to "Which database should I use\?" did not count: .*answered already/);
    expect(readByAgent(data.run.session_id)).toContain('="SQLite"');
  });
});

describe("a permission", () => {
  it("is allowed once or for the run, denied, or denied by a declined form; what is denied is never done", async () => {
    const { call, forms } = await connect({
      async onForm({ message }) {
        const [, file = ""] = /`touch (\w+)`/.exec(message) ?? [];
        if (file === "declined") {
          clock.skip(PERSON_MS);
          return { action: "decline" };
        }
        return { action: "accept", content: { answer: file.startsWith("run") ? "allow_run" : file } };
      },
    });
    const touch = (file: string) => `touch ${file}`;
    const files = ["allow_once", "run", "run", "deny", "declined"];
    const { data } = await call(asksLeave(...files.map(touch)), { onprogress: () => {} });
    expect(forms.map(({ message }) => message.split("\n")[0])).toEqual(
      ["allow_once", "run", "deny", "declined"].map(
        (file) => `implement (auth-system-project) wants to run \`touch ${file}\``,
      ),
    );
    expect(forms[0]?.schema.properties.answer).not.toHaveProperty("description");
    expect(forms[0]?.schema).toMatchObject({
      required: ["answer"],
      properties: {
        answer: {
          oneOf: [
            // First, because some clients have the first one chosen beforehand.
            { const: "deny", title: "Deny" },
            { const: "allow_once", title: "Allow once" },
            { const: "allow_run", title: expect.stringMatching(/^Allow for this run: /) },
          ],
        },
      },
    });
    expect(data.outcome).toBe("completed");
    const status = await call({ action: "status", run_id: data.run.run_id, detailed: true });
    expect(status.data.run.files_changed).toEqual(["allow_once", "run"]);
  });

  it("that is too long to be shown in full shows both ends, and can be allowed by nobody", async () => {
    const { call, forms } = await connect({ onForm: () => ({ action: "decline" }) });
    const command = `touch beginning; : ${"x".repeat(9_000)}; touch end`;
    const { data } = await call({ ...asksLeave(command), wait_seconds: 20 }, { onprogress: () => {} });
    expect(forms[0]?.message).toMatch(
      /touch beginning; : x+\n\(… \d+ characters are not shown here …\)\nx+; touch end\n\nIt is too long/,
    );
    expect(forms[0]?.schema.properties.answer).toMatchObject({ oneOf: [{ const: "deny", title: "Deny" }] });
    const { run_id } = data.run;
    const [question] = await waitsForPerson(run_id);
    for (const answer of ["allow_once", "allow_run"]) {
      const path = `/run/${run_id}/questions/${question.question_id}/answer`;
      expect((await direct.post(path, { answer })).status).toBe(422);
      const asked = await call({ action: "answer", run_id, answer, confirm: true });
      expect(asked.text).toContain("too long to be shown in full");
    }
    expect(await waitsForPerson(run_id)).toHaveLength(1);
    await call({ action: "answer", run_id, answer: "deny" });
    await direct.ended(run_id);
    expect(readByAgent(data.run.session_id)).toContain("Make it shorter");
  });

  it("is neither denied nor given in a client that turns forms down by itself: it stays open", async () => {
    const { call, proxy } = await connect({ onForm: () => ({ action: "decline" }) });
    const { data } = await call({ ...asksLeave("touch a"), wait_seconds: 20 }, { onprogress: () => {} });
    expect(data.outcome).toBe("input_required");
    expect(data.run.questions).toMatchObject([{ kind: "permission", tool_name: "Bash" }]);
    const { run_id } = data.run;
    const answered = await call({ action: "answer", run_id, answer: "allow_once", confirm: true });
    expect(answered.data.outcome).toBe("declined");
    expect(answered.text).toMatch(
      /The client (declined|closed) the form automatically; nobody saw it\..*Nothing was sent/,
    );
    expect(proxy.count(ANSWERS)).toBe(0);
    await call({ action: "answer", run_id, answer: "deny" });
    expect((await direct.ended(run_id)).result.files_changed).toEqual([]);
  });

  it("is denied by words that are none of the choices", async () => {
    const { call } = await connect();
    const { data } = await call({ ...asksLeave("touch a") });
    const { run_id } = data.run;
    const refused = await call({ action: "answer", run_id, answer: "yes, go on" });
    expect(refused.text).toContain("`touch a` → not allowed, because it is not one of the choices");
    expect((await direct.ended(run_id)).result.files_changed).toEqual([]);
  });
});

describe("an answer that permits something", () => {
  /** The answer to the form that confirms it, after as long as a person needs. */
  const word = (answer: ElicitResult): FormAnswerer => {
    return async () => {
      clock.skip(PERSON_MS);
      return answer;
    };
  };

  it.each([
    ["allow_once", "Allow once"],
    ["allow_run", "Allow for this run"],
  ])("is %s only when the person agrees in a form that shows all of it", async (answer, title) => {
    const { call, forms, proxy } = await connect({
      onForm: word({ action: "accept", content: { confirm: "yes" } }),
    });
    const { run_id } = await direct.start(asksLeave("touch a && echo and the rest"));
    const [question] = await waitsForPerson(run_id);
    const given = await call({ action: "answer", run_id, answer, confirm: true });
    expect(forms).toHaveLength(1);
    expect(forms[0]?.message).toContain(title);
    expect(forms[0]?.message).toContain(question.text);
    expect(forms[0]?.message).toContain("touch a && echo and the rest");
    expect(forms[0]?.schema.properties.confirm.oneOf[0]).toEqual({ const: "no", title: "No" });
    expect(given.data.outcome).toBe("ok");
    expect(proxy.count(ANSWERS)).toBe(1);
    expect((await direct.ended(run_id)).result.files_changed).toEqual(["a"]);
  });

  it.each<[string, ElicitResult, string]>([
    ["says no", { action: "accept", content: { confirm: "no" } }, "declined"],
    ["declines the form", { action: "decline" }, "declined"],
    ["closes the form", { action: "cancel" }, "cancelled"],
    ["sends it back empty", { action: "accept", content: {} }, "input_required"],
  ])("sends nothing when the person %s, and the question stays open", async (_what, answer, outcome) => {
    const { call, forms, proxy } = await connect({ onForm: word(answer) });
    const { run_id } = await direct.start(asksLeave("touch a"));
    await waitsForPerson(run_id);
    for (const text of ["allow_once", "ALLOW_RUN", "Allow once", "allow", "allow_always"]) {
      const { data } = await call({ action: "answer", run_id, answer: text, confirm: true });
      expect(data).toMatchObject({ outcome, run: { questions: [{ kind: "permission" }] } });
    }
    expect(forms).toHaveLength(5);
    expect(proxy.count(ANSWERS)).toBe(0);
    // A denial is given at once.
    await call({ action: "answer", run_id, answer: "deny" });
    expect(forms).toHaveLength(5);
    expect((await direct.ended(run_id)).result.files_changed).toEqual([]);
  });

  it("needs confirm: true where there are no forms", async () => {
    const { call, proxy } = await connect();
    const { data } = await call(asksLeave("touch a"));
    expect(data.next_step.reason).toContain("confirm: true once they have agreed");
    const { run_id } = data.run;
    const unasked = await call({ action: "answer", run_id, answer: "allow_once" });
    expect(unasked.data).toMatchObject({
      outcome: "input_required",
      missing: [{ name: "confirm" }],
      next_step: { arguments: { action: "answer", run_id, answer: "allow_once", confirm: true } },
    });
    expect(proxy.count(ANSWERS)).toBe(0);
    const given = await call(unasked.data.next_step.arguments);
    expect(given.text).toContain("`touch a` → Allow once");
    expect((await direct.ended(run_id)).result.files_changed).toEqual(["a"]);
  });

  it("takes its form back when the question is answered elsewhere", async () => {
    const { onForm, takenBack } = openForm();
    const { call, forms } = await connect({ onForm });
    const { run_id } = await direct.start(asksLeave("touch a"));
    const [question] = await waitsForPerson(run_id);
    const answering = call({ action: "answer", run_id, answer: "allow_once" });
    await until(() => forms.length > 0, "the form");
    await direct.post(`/run/${run_id}/questions/${question.question_id}/answer`, { answer: "deny" });
    await takenBack;
    const { data, text } = await answering;
    expect(data.outcome).toBe("cancelled");
    expect(text).toMatch(/answered elsewhere meanwhile.*Nothing was sent/);
  });
});

describe("a client without forms", () => {
  it("gets the question as an answer, and hands on what the person says", async () => {
    const { call } = await connect();
    const asked = await call(ASKS);
    expect(asked.data).toMatchObject({
      outcome: "input_required",
      run: { status: "running", questions: [{ text: QUESTION.question }] },
      next_step: { tool: "orchestrate_workflow", arguments: { action: "answer" } },
    });
    const answered = await call({ ...asked.data.next_step.arguments, answer: "SQLite" });
    expect(answered.data.next_step.arguments).toMatchObject({ action: "status" });
    const { data } = await call(answered.data.next_step.arguments);
    expect(data).toMatchObject({ outcome: "completed", run: { result: "Settled" } });
    expect(readByAgent(data.run.session_id)).toContain('="SQLite"');
  });

  it("names the question that it answers when several are open", async () => {
    const { call } = await connect();
    const asked = [QUESTION, { ...QUESTION, question: "Which cache?" }];
    const message = withScript("Design it", { steps: [{ ask: asked }] });
    const { data } = await call({ ...COMPLETE, message });
    const { run_id } = data.run;
    const [first, second] = await direct
      .until(run_id, (status) => status.questions.length === 2)
      .then(({ questions }) => questions.map((one: { question_id: string }) => one.question_id));
    const answer = (args: object) => call({ action: "answer", run_id, answer: "SQLite", ...args });
    for (const args of [{}, { question_id: "q9" }]) {
      const refused = await answer(args);
      expect(refused.isError).toBe(true);
      expect(refused.text).toMatch(
        new RegExp(
          `Say which open question this answers, with \`question_id\`.*${first}.*${second}.*Nothing was sent`,
          "s",
        ),
      );
    }
    expect((await answer({ question_id: second })).isError).toBe(false);
    const twice = await answer({ question_id: second });
    expect(twice).toMatchObject({ isError: true, text: expect.stringContaining(first) });
    expect((await answer({})).isError).toBe(false);
    await direct.ended(run_id);
    const late = await answer({ question_id: first });
    expect(late).toMatchObject({ isError: true, text: expect.stringContaining(`no open question ${first}`) });
  });
});

describe("a person who does not answer", () => {
  it("is waited for, and the run is not called stalled, not even just after the answer", async () => {
    // Polled, because then every look could call it stalled.
    const { call } = await connect({ stallAfterMs: 1_500, onForm: close, pushes: false });
    const script = { steps: [{ ask: [QUESTION] }, { wait: 900 }, { text: "Settled" }] };
    const { data } = await call(
      { ...COMPLETE, message: withScript("Ask", script), wait_seconds: 3 },
      { onprogress: () => {} },
    );
    expect(data).toMatchObject({ outcome: "running", run: { status: "running" } });
    const { run_id } = data.run;
    const following = call({ action: "status", run_id, wait_seconds: 20 }, { onprogress: () => {} });
    await call({ action: "answer", run_id, answer: "SQLite" });
    expect((await following).data.outcome).toBe("completed");
  });

  it("is not waited for beyond the stated time: the agent is told, and goes on", async () => {
    const own = engineFolder();
    const hasty = await startLocalEngine(own.folder, { engineQuestionTimeoutS: 1 });
    try {
      const { onForm, takenBack } = openForm();
      const { call, forms } = await connect({ url: hasty.url, onForm });
      const { data } = await call(ASKS, { onprogress: () => {} });
      await takenBack;
      expect(forms).toHaveLength(1);
      expect(data).toMatchObject({ outcome: "completed", run: { result: "Settled" } });
      const file = join(own.folder, ".scripted-agent", `${data.run.session_id}.json`);
      expect(JSON.parse(readFileSync(file, "utf8")).lastToolResult).toMatch(
        /^Nobody answered within .*Go on without it/,
      );
    } finally {
      await hasty.close();
      own.remove();
    }
  });
});
