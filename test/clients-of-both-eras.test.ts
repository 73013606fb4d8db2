import type { ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ERA_CLIENTS, type EraClient, type EraStage, openEraStage } from "./support/era-clients.js";
import { until } from "./support/harness.js";
import type { Frame } from "./support/modern-frames.js";

// The same behaviour for the official clients of both eras, over stdio and HTTP. The tests of one client share its
// connection, and the clients of one transport the API: each test has sessions of its own.

const PLACE = { repository_url: "", git_branch: "" };
const TASK = { workflow_name: "architect", message: "Design the JWT login", ...PLACE };
const accept = (content: Record<string, string>): ElicitResult => ({ action: "accept", content });
const SECONDS = 60_000;

let sessions = 0;
const newName = () => `session-${++sessions}`;

describe.each(["stdio", "HTTP"] as const)("over %s", (transport) => {
  let stage: EraStage;
  beforeAll(async () => {
    stage = await openEraStage(transport);
  }, SECONDS);
  afterAll(() => stage.close());
  // What still goes on would be looked at by the servers of the tests behind it.
  afterEach(() => {
    for (const { runId, status } of stage.api.world.runs())
      if (status === "running" || status === "pending")
        stage.api.world.run(runId).complete({ result: "Done" });
  });

  const startsOf = (name: string) =>
    stage.api.posts("/run/").filter(({ body }) => (body as Frame).session_name === name);
  /** The run of that session, as soon as there is one. */
  async function runOf(name: string) {
    const find = () => stage.api.world.runs().find((run) => run.sessionName === name);
    await until(() => find() !== undefined, `the run of ${name}`);
    return stage.api.world.run(find()?.runId ?? "");
  }

  test("every client finds the same tools, resources and prompts", async () => {
    const found = [];
    for (const [, connect] of ERA_CLIENTS) {
      const { client, close } = await connect(stage.place);
      onTestFinished(close);
      const { tools } = await client.listTools();
      const { resources } = await client.listResources();
      const { contents } = await client.readResource({ uri: "automagik://workflows" });
      const { prompts } = await client.listPrompts();
      found.push({ tools, resources, contents, prompts });
    }
    const [first, ...others] = found;
    expect(first?.tools.map(({ name }) => name)).toEqual(["orchestrate_workflow"]);
    for (const other of others) expect(other).toEqual(first);
  });

  describe.each(ERA_CLIENTS)("%s", (_name, connect, version) => {
    let it: EraClient;
    beforeAll(async () => {
      it = await connect(stage.place);
    }, SECONDS);
    afterAll(() => it.close());

    /** Calls while forms are answered so, and gives the structured answer with the forms that were shown. */
    async function call(args: object, answer: ElicitResult = { action: "cancel" }) {
      const before = it.forms.length;
      it.answer = () => answer;
      const { structuredContent, isError } = await it.call(args);
      return { ...structuredContent, isError: isError === true, forms: it.forms.slice(before) } as Frame;
    }
    /** Starts a run of that session, and does not wait for it. */
    const start = (session_name: string) => call({ ...TASK, session_name, wait_seconds: 0 });

    test("agrees on its protocol", () => {
      expect(it.version).toBe(version);
    });

    test("an accepted form is one start, by the name that was put in", async () => {
      const name = newName();
      const answer = await call({ ...TASK, wait_seconds: 0 }, accept({ session_name: name }));
      expect(answer).toMatchObject({ outcome: "started", run: { session_name: name } });
      expect(answer.forms).toMatchObject([
        {
          message: expect.stringContaining("Design the JWT login"),
          requestedSchema: { properties: { session_name: {} } },
        },
      ]);
      expect(startsOf(name)).toHaveLength(1);
    });

    test.each([
      ["decline", "declined"],
      ["cancel", "cancelled"],
    ] as const)("a form that gets %s starts nothing", async (action, outcome) => {
      const before = stage.api.posts().length;
      expect(await call(TASK, { action })).toMatchObject({ outcome, forms: [{}] });
      expect(stage.api.posts()).toHaveLength(before);
    });

    test("without forms the model is told what is missing, and nothing starts", async () => {
      const before = stage.api.posts().length;
      const other = await connect(stage.place, { withoutForms: true });
      onTestFinished(other.close);
      const { structuredContent } = await other.call(TASK);
      expect(structuredContent).toMatchObject({
        outcome: "input_required",
        missing: [{ name: "session_name", required: true }],
        next_step: { arguments: { session_name: "design-jwt-login" } },
      });
      expect(stage.api.posts()).toHaveLength(before);
    });

    test("a call that waits is told each turn, and answered with the end", async () => {
      const session_name = newName();
      const told: string[] = [];
      const going = it.call({ ...TASK, session_name }, ({ message }) => told.push(message));
      const run = await runOf(session_name);
      run.turn("Designing database schema");
      // How the turn is counted depends on what earlier runs have taken.
      await until(
        () => told.some((message) => message.includes("Designing database schema")),
        "the progress",
      );
      run.complete({ result: "The design is in docs/auth.md" });
      const { structuredContent, content } = await going;
      expect(structuredContent).toMatchObject({
        outcome: "completed",
        run: { session_name, result: "The design is in docs/auth.md" },
      });
      expect(content[0].text).toContain("Outcome: completed");
    });

    test("a status that waits follows the run to its end", async () => {
      const session_name = newName();
      await start(session_name);
      const told: string[] = [];
      const status = { action: "status", session_name, wait_seconds: 60 };
      const following = it.call(status, ({ message }) => told.push(message));
      const run = await runOf(session_name);
      run.turn("Reading the code");
      await until(() => told.some((message) => message.includes("Reading the code")), "the progress");
      run.complete({ result: "Done" });
      expect((await following).structuredContent).toMatchObject({
        outcome: "completed",
        run: { result: "Done" },
      });
    });

    test("feedback reaches the run that goes on, once", async () => {
      const session_name = newName();
      await start(session_name);
      const feedback = { action: "feedback", session_name, message: "Use Postgres", wait_seconds: 0 };
      expect(await call(feedback)).toMatchObject({ outcome: "ok" });
      const { runId } = (await runOf(session_name)).state;
      expect(stage.api.posts(`/run/${runId}/add-message`)).toMatchObject([
        { body: { content: "Use Postgres" } },
      ]);
    });

    test("a question of the agent is a form, and its answer reaches the agent", async () => {
      const session_name = newName();
      await start(session_name);
      const { runId: run_id } = (await runOf(session_name)).state;
      const status = { method: "GET", path: `/run/${run_id}/status` };
      const question = { question_id: "q1", kind: "question", text: "Which hash?", choices: [] };
      const stopAsking = stage.api.fault(status, {
        body: { run_id, status: "running", questions: [question] },
      });
      onTestFinished(stopAsking);
      const answered = { method: "POST", path: `/run/${run_id}/questions/q1/answer` };
      onTestFinished(stage.api.fault(answered, { body: { success: true } }));
      void stage.api
        .waitFor(({ path }) => path === answered.path)
        .then(() => {
          stopAsking();
          stage.api.world.run(run_id).complete({ result: "Hashed" });
        });
      const following = await call(
        { action: "status", session_name, wait_seconds: 60 },
        accept({ own_answer: "argon2id" }),
      );
      expect(following).toMatchObject({ outcome: "completed", run: { result: "Hashed" } });
      expect(following.forms).toMatchObject([{ message: expect.stringContaining("Which hash?") }]);
      expect(stage.api.posts(answered.path)).toMatchObject([{ body: { answer: "argon2id" } }]);
    });

    test("a kill is confirmed by a form: with a no the run goes on, with a yes it ends", async () => {
      const session_name = newName();
      await start(session_name);
      const { runId } = (await runOf(session_name)).state;
      const kill = { action: "kill", session_name, confirm: true };
      const no = await call(kill, { action: "decline" });
      expect(no).toMatchObject({ outcome: "declined", forms: [{}] });
      expect(stage.api.posts(`/run/${runId}/kill`)).toEqual([]);
      const yes = await call(kill, accept({ confirm: "yes" }));
      expect(yes).toMatchObject({ outcome: "killed", forms: [{}] });
      expect(stage.api.posts(`/run/${runId}/kill`)).toHaveLength(1);
    });

    test("list_sessions has the sessions that were begun", async () => {
      const session_name = newName();
      await start(session_name);
      const { sessions: listed } = await call({ action: "list_sessions" });
      expect(listed.map((one: Frame) => one.session_name)).toContain(session_name);
    });

    test("a gate of a plan is a form, and with its yes the plan goes on to its end", async () => {
      const session_name = newName();
      const plan = {
        name: "login",
        steps: [
          { id: "design", run: "architect", task: "Design the login" },
          { id: "ok", gate: "Build this design?", needs: ["design"] },
        ],
      };
      const going = call({ action: "plan", plan, session_name, ...PLACE }, accept({ decision: "approve" }));
      const find = () => stage.api.world.runs().find((run) => run.sessionName?.startsWith(session_name));
      await until(() => find() !== undefined, "the run of the plan");
      stage.api.world.run(find()?.runId ?? "").complete({ result: "The design is in docs/auth.md" });
      const answer = await going;
      expect(answer).toMatchObject({ outcome: "completed", plan: { status: "completed" } });
      expect(answer.forms).toMatchObject([{ message: expect.stringContaining("Build this design?") }]);
    });

    test("a run is a resource, and one that is not there is an error of its own kind", async () => {
      const session_name = newName();
      await start(session_name);
      const uri = `automagik://runs/${(await runOf(session_name)).state.runId}`;
      const { resources } = await it.client.listResources();
      expect(resources.map((one) => one.uri)).toContain(uri);
      expect(JSON.stringify((await it.client.readResource({ uri })).contents)).toContain(session_name);
      await expect(it.client.readResource({ uri: "automagik://nowhere" })).rejects.toMatchObject({
        code: version === undefined ? -32_002 : -32_602,
      });
    });

    test("prompts are there and filled in, and their arguments completed", async () => {
      const { prompts } = await it.client.listPrompts();
      expect(prompts.map(({ name }) => name)).toContain("start_workflow");
      const { messages } = await it.client.getPrompt({
        name: "start_workflow",
        arguments: { task: "Design it" },
      });
      expect(JSON.stringify(messages)).toContain("Design it");
      const { completion } = await it.client.complete({
        ref: { type: "ref/prompt", name: "start_workflow" },
        argument: { name: "workflow_name", value: "arch" },
      });
      expect(completion.values).toEqual(["architect"]);
    });

    test.each([
      [
        "bad arguments are named, each with its rule",
        { max_turns: "many" },
        /`max_turns` "many": .*Nothing was sent/,
      ],
      [
        "an unknown workflow is answered with the nearest name",
        { workflow_name: "architekt" },
        /Nearest: architect/,
      ],
    ])("%s, and nothing starts", async (_what, args, told) => {
      const session_name = newName();
      const answer = await call({ ...TASK, session_name, ...args });
      expect(answer).toMatchObject({ isError: true, summary: expect.stringMatching(told), forms: [] });
      expect(startsOf(session_name)).toEqual([]);
    });

    test("the same call again by the same session name starts no second run unasked", async () => {
      const session_name = newName();
      expect((await start(session_name)).outcome).toBe("started");
      const again = await start(session_name);
      expect(again).toMatchObject({ outcome: "cancelled", forms: [{}] });
      expect(startsOf(session_name)).toHaveLength(1);
    });
  });
});
