import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createStreamReader } from "../src/engine/agent/claude/stream-reader.js";
import { describeDetail, describeToolUse, describeWish } from "../src/engine/agent/describe-tool.js";
import type { AgentEvent } from "../src/engine/agent/events.js";
import type { JsonRecord } from "../src/engine/agent/json.js";
import { createAgentQuestions } from "../src/engine/agent/questions.js";
import { permissionKey, readRunPermission } from "../src/engine/agent/run-permissions.js";
import { createLineReader } from "../src/engine/agent/split-lines.js";
import { createHandClock } from "./support/hand-clock.js";

/** What Claude Code 2.1.332 wrote, recorded against a scripted model. */
function recorded(name: string): string[] {
  const text = readFileSync(new URL(`./fixtures/claude/${name}.jsonl`, import.meta.url), "utf8");
  return text.trim().split("\n");
}

function read(
  lines: string[],
  expected: Record<string, string> = {},
): { events: AgentEvent[]; control: JsonRecord[] } {
  const events: AgentEvent[] = [];
  const control: JsonRecord[] = [];
  const reader = createStreamReader({
    cwd: "/workspace",
    emit: (event) => events.push(event),
    onControl: (message) => control.push(message),
  });
  for (const [uuid, id] of Object.entries(expected)) reader.expect(uuid, id);
  for (const line of lines) reader.line(line);
  return { events, control };
}

const of = <T extends AgentEvent["type"]>(events: AgentEvent[], type: T) =>
  events.filter((event): event is Extract<AgentEvent, { type: T }> => event.type === type);

describe("recorded streams of the real agent", () => {
  test("give turns, actions, tools, phases, the message taken up, exact tokens and the cost", () => {
    const { events } = read(recorded("turns"), { "22222222-2222-4222-8222-222222222222": "m1" });
    expect(of(events, "init")[0]).toMatchObject({ model: "claude-opus-5-5" });
    expect(of(events, "init")[0]?.tools).toContain("Bash");
    expect(of(events, "turn").map(({ turn }) => turn)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(of(events, "action").map(({ text }) => text)).toEqual([
      "Designing the database schema",
      "TaskCreate: Analysis",
      "ToolSearch: select:TaskCreate,TaskUpdate",
      "TaskCreate: Analysis",
      "Testing",
      "Bash: echo one; sleep 0.6",
      "TaskUpdate",
      "Bash: echo two",
      "Finished.",
    ]);
    expect(of(events, "text")[0]?.text).toBe("Designing the database schema\nwith two tables");
    expect(of(events, "phase")).toEqual([{ type: "phase", name: "Analysis" }]);
    expect(of(events, "consumed")).toEqual([{ type: "consumed", messageId: "m1" }]);
    const order = events.map((event) => (event.type === "action" ? event.text : event.type));
    expect(order.indexOf("consumed")).toBeGreaterThan(order.indexOf("TaskUpdate"));
    expect(order.indexOf("consumed")).toBeLessThan(order.indexOf("Bash: echo two"));
    expect(of(events, "result")).toEqual([
      {
        type: "result",
        ok: true,
        subtype: "success",
        text: "Finished.",
        turns: 6,
        costUsd: 0.036,
        tokens: { input: 6000, output: 600 },
      },
    ]);
    expect(of(events, "problem")).toEqual([]);
  });

  test("give what a schema asked for behind the agent's words, where the program tells the JSON alone", () => {
    const line = (message: object) => JSON.stringify(message);
    const assistant = (id: string, content: object) =>
      line({ type: "assistant", message: { id, role: "assistant", model: "m", content: [content] } });
    const given = { parts: ["one", "two"] };
    const result = { type: "result", subtype: "success", is_error: false, result: JSON.stringify(given) };
    const call = { type: "tool_use", id: "t1", name: "StructuredOutput", input: given };
    const { events } = read([
      assistant("a1", { type: "text", text: "A design." }),
      assistant("a1", call),
      line({ ...result, structured_output: given }),
      // What was said before another result does not belong to it.
      assistant("a2", { ...call, id: "t2" }),
      line({ ...result, structured_output: given }),
      line({ ...result, structured_output: "text" }),
    ]);
    const block = `\`\`\`json\n${JSON.stringify(given, null, 2)}\n\`\`\``;
    expect(of(events, "result").map(({ text }) => text)).toEqual([
      `A design.\n\n${block}`,
      block,
      JSON.stringify(given),
    ]);
    expect(of(events, "action").at(-1)?.text).toBe("Giving its output");
  });

  describe("keep what the agent says of itself on one line, and not at any length:", () => {
    const long = `one\n\u001b[2Jtwo ${"x".repeat(2_000_000)}`;
    const line = (message: object) => JSON.stringify(message);
    const init = { type: "system", subtype: "init", session_id: "s", model: "m", tools: [] };

    test("its model and its tools", () => {
      const { events } = read([line({ ...init, model: long, tools: [long] })]);
      const [begun] = of(events, "init");
      expect(begun?.model).toMatch(/^one two x{100,112}…$/);
      expect(begun?.tools).toEqual([expect.stringMatching(/^one two x{140,152}…$/)]);
    });

    test.each(["i".repeat(201), "one\ntwo", "\u001b[2Jid"])("no id that cannot be kept: %j", (session_id) => {
      const { events } = read([line({ ...init, session_id })]);
      expect(of(events, "init")[0]?.sessionId).toBe("");
      expect(of(events, "problem")[0]?.text).toMatch(/^The agent gave its .* kept: [^\n\u001b]{2,60}$/);
    });

    test("the tools that it calls, also in its requests for permission", () => {
      const content = [{ type: "tool_use", id: "t", name: long, input: {} }];
      const { events } = read([line({ type: "assistant", message: { id: "a", model: "m", content } })]);
      const short = expect.stringMatching(/^one two x{140,152}…$/);
      expect(of(events, "tool")).toEqual([{ type: "tool", name: short }]);
      expect(of(events, "action")).toEqual([{ type: "action", text: short, toolName: short }]);
      const asked: AgentEvent[] = [];
      createAgentQuestions({
        ...{ cwd: "/workspace", clock: createHandClock(), who: "Test" },
        emit: (event) => asked.push(event),
        respond() {},
      }).ask("r1", { subtype: "can_use_tool", tool_name: long, input: {} });
      expect(of(asked, "question")[0]?.question).toMatchObject({ toolName: short });
    });

    test("how and why a turn has ended, and what it says", () => {
      const says = { id: "a", model: "<synthetic>", content: [{ type: "text", text: long }] };
      const { events } = read([
        line({ type: "assistant", message: says, error: long }),
        line({ type: "result", subtype: long, is_error: true, result: long }),
      ]);
      const short = expect.stringMatching(/^one two x{40,52}…$/);
      const text = expect.stringMatching(/^one\ntwo x+…$/);
      expect(of(events, "result")).toMatchObject([{ ok: false, subtype: short, cause: short, text }]);
      const texts = [...of(events, "text"), ...of(events, "result")].map((event) => event.text?.length);
      const unseen = "\u001b[2J".length;
      expect(texts).toEqual([1024 * 1024 - unseen, 1024 * 1024 - unseen]);
    });
  });

  test("count a message's tokens once, however many blocks it comes in", () => {
    const { events } = read(recorded("turns"));
    const inputs = of(events, "tokens").map(({ input }) => input);
    expect(inputs).toEqual([1000, 2000, 3000, 4000, 5000, 6000, 6000]);
  });

  test("show what a sub-agent does, without counting its turns, and with what it cost", () => {
    const { events } = read(recorded("sub-agent"));
    expect(of(events, "turn")).toHaveLength(2);
    expect(of(events, "action").map(({ text }) => text)).toEqual([
      "Agent: Look around",
      "Look around: Bash: echo sub",
      "Finished.",
    ]);
    expect(of(events, "tool").map(({ name }) => name)).toEqual(["Agent", "Bash"]);
    expect(of(events, "result")[0]).toMatchObject({ tokens: { input: 4000, output: 400 }, costUsd: 0.024 });
  });

  test("leave the past of a continued conversation out of the cost", () => {
    expect(of(read(recorded("continued")).events, "result")[0]).toMatchObject({
      costUsd: 0.006,
      tokens: { input: 1000, output: 100 },
    });
  });

  test.each([
    ["interrupted", { ok: false, subtype: "error_during_execution", turns: 1 }],
    [
      "max-turns",
      { ok: false, subtype: "error_max_turns", turns: 2, errors: ["Reached maximum number of turns (2)"] },
    ],
    [
      "unknown-session",
      {
        ok: false,
        turns: 0,
        errors: ["No conversation found with session ID: 5845befb-2abc-45b7-947a-679ead904181"],
      },
    ],
    [
      "api-failure",
      { ok: false, subtype: "success", turns: 0, costUsd: 0, text: "Credit balance is too low" },
    ],
  ])("%s ends as what it is", (name, result) => {
    const { events } = read(recorded(name));
    expect(of(events, "result")).toMatchObject([result]);
    expect(JSON.stringify(events)).not.toContain("ede_diagnostic");
  });

  test("bring the person's questions with everything that is needed to decide", () => {
    const { control } = read(recorded("questions"));
    const events: AgentEvent[] = [];
    const questions = createAgentQuestions({
      cwd: "/workspace",
      clock: createHandClock(),
      who: "implement",
      emit: (event) => events.push(event),
      respond() {},
    });
    for (const message of control)
      if (message.type === "control_request")
        questions.ask(String(message.request_id), message.request as JsonRecord);
    const asked = of(events, "question").map(({ question }) => question);
    expect(asked.map(({ kind, text }) => `${kind}: ${text}`)).toEqual([
      "permission: implement wants to run `npm publish`",
      "permission: implement wants to run `git push origin main`",
      "permission: implement wants to write the file /elsewhere/outside.txt",
      "question: Which database should I use?",
      "question: Which features?",
    ]);
    expect(asked[0]?.choices.map(({ title }) => title)).toEqual([
      "Allow once",
      "Allow for this run: this same command",
      "Deny",
    ]);
    expect(asked[2]?.choices[1]?.title).toBe("Allow for this run: changes to this file");
    expect(asked[2]?.detail).toContain("content: hi");
    expect(asked[3]?.choices).toEqual([
      { value: "Postgres", title: "Postgres", description: "A server" },
      { value: "SQLite", title: "SQLite", description: "A file" },
    ]);
    expect(asked[4]?.multiSelect).toBe(true);
    expect(new Set(asked.map(({ questionId }) => questionId)).size).toBe(5);
  });
});

describe("requests that are open at once", () => {
  const rules = [{ toolName: "WebFetch", ruleContent: "domain:example.org" }];
  const view = (page: string, more: JsonRecord = {}): JsonRecord => ({
    subtype: "can_use_tool",
    tool_name: "WebFetch",
    input: { url: `https://example.org/${page}` },
    permission_suggestions: [{ type: "addRules", rules, behavior: "allow", destination: "localSettings" }],
    decision_reason: "This command requires approval",
    ...more,
  });

  function ask(requests: Record<string, JsonRecord>) {
    const events: AgentEvent[] = [];
    const responses: Record<string, unknown> = {};
    const questions = createAgentQuestions({
      cwd: "/workspace",
      clock: createHandClock(),
      who: "implement",
      emit: (event) => events.push(event),
      respond: (requestId, response) => {
        responses[requestId] = response.behavior;
      },
    });
    for (const [requestId, request] of Object.entries(requests)) questions.ask(requestId, request);
    return { events, responses, questions };
  }

  test("for the same permission are all settled by one leave for the run", () => {
    const burst = Object.fromEntries(Array.from({ length: 14 }, (_, n) => [`r${n}`, view(`p${n}`)]));
    const { events, responses, questions } = ask({
      ...burst,
      same: view("p3"),
      other: view("p4/a", { permission_suggestions: [] }),
      warned: view("p1", { decision_reason: "It holds a substitution" }),
    });
    questions.answer("r3", { text: "allow_run" });
    const settled = of(events, "question_settled");
    expect(settled.map(({ questionId }) => questionId)).toEqual([
      ...Object.keys(burst).filter((id) => id !== "r3"),
      "same",
    ]);
    expect(new Set(settled.map(({ answer }) => answer))).toEqual(new Set(["allow_run"]));
    expect(Object.values(responses)).toEqual(Array.from({ length: 15 }, () => "allow"));
    expect(questions.open()).toBe(2);
  });

  test.each(["allow_once", "deny", "Not now"])(
    "are each asked for themselves when one is answered %s",
    (text) => {
      const { events, questions } = ask({ a: view("x"), b: view("x") });
      questions.answer("a", { text });
      expect(of(events, "question_settled")).toEqual([]);
      expect(questions.open()).toBe(1);
    },
  );
});

describe("the agent's own questions", () => {
  function ask(...asked: object[]) {
    const events: AgentEvent[] = [];
    const responses: JsonRecord[] = [];
    const questions = createAgentQuestions({
      cwd: "/workspace",
      clock: createHandClock(),
      who: "implement",
      emit: (event) => events.push(event),
      respond: (_requestId, response) => responses.push(response),
    });
    questions.ask("r", {
      subtype: "can_use_tool",
      tool_name: "AskUserQuestion",
      input: { questions: asked },
    });
    return { shown: of(events, "question").map(({ question }) => question), responses, questions };
  }
  const answersOf = (response: JsonRecord | undefined) =>
    (response?.updatedInput as { answers?: JsonRecord } | undefined)?.answers;
  const LONG = "a kind of thing, or another, ".repeat(100_000);

  test("keep a bounded part of each choice, and the agent gets the whole of what was chosen", () => {
    const labels = [`${LONG}1`, `${LONG}2`, "\u001b[1mbold", "x, y", "x"];
    const options = labels.map((label) => ({ label, description: LONG }));
    const part = { question: "Which?", options };
    const { shown, responses, questions } = ask(part, {
      ...part,
      question: "Which ones?",
      multiSelect: true,
    });
    const [one, several] = shown;
    expect(JSON.stringify(shown).length).toBeLessThan(5_000);
    const values = one?.choices.map(({ value }) => value) ?? [];
    expect(new Set(values).size).toBe(5);
    expect(one?.choices.map(({ title }) => title)).toEqual(values);
    questions.answer(one?.questionId ?? "", { text: values[1] ?? "" });
    questions.answer(several?.questionId ?? "", { text: values.slice(1, 4).join(", ") });
    expect(answersOf(responses[0])).toEqual({
      "Which?": labels[1],
      "Which ones?": labels.slice(1, 4).join(", "),
    });
  });

  test("with more choices than a person reads say so, and own words can name another", () => {
    const options = Array.from({ length: 5_000 }, (_, at) => ({ label: `Kind ${at + 1}` }));
    const { shown, responses, questions } = ask({ question: `Which? ${LONG}`, options });
    expect(shown[0]?.choices.map(({ value }) => value)).toEqual(
      options.slice(0, 20).map(({ label }) => label),
    );
    expect(shown[0]?.text).toMatch(/^Which\? .*… \(20 of 5000 choices are shown\. In your own words .*\)$/);
    expect(shown[0]?.text.length).toBeLessThanOrEqual(1_000);
    questions.answer("r", { text: "Kind 4321" });
    expect(Object.values(answersOf(responses[0]) ?? {})).toEqual(["Kind 4321"]);
  });

  test("that are more than a person is asked at once are refused, and the agent is told how to ask", () => {
    const { shown, responses, questions } = ask(
      ...Array.from({ length: 5_000 }, (_, at) => ({ question: `Question ${at}?` })),
    );
    expect(shown).toEqual([]);
    expect(questions.open()).toBe(0);
    expect(responses).toEqual([
      {
        behavior: "deny",
        message: expect.stringMatching(/^These are 5000 questions, .* at most 20 at once/),
      },
    ]);
  });
});

describe("a stream that is not as expected", () => {
  const RESULT = { type: "result", subtype: "success", is_error: false, result: 'It says {"a": "}"}' };
  const TURN = {
    type: "assistant",
    message: { id: "m1", model: "m", content: [{ type: "text", text: "Hi" }] },
  };
  const result = JSON.stringify(RESULT);

  test.each<[string, string]>([
    ["a terminal's title", `\u001b]0;claude\u0007${result}`],
    ["a text", `Update available! ${result}`],
    ["a text with braces", `Warning {x} {"y": 1} and {"type": "result", ${result}`],
    ["a text that stands behind it", `${result}\u001b[0m done`],
  ])("is read where %s is glued to a message", (_what, line) => {
    const { events } = read([line]);
    expect(of(events, "result")).toMatchObject([{ ok: true, text: RESULT.result }]);
    expect(of(events, "problem")).toEqual([]);
  });

  test("is read where two messages stand in one line", () => {
    const { events } = read([`${JSON.stringify(TURN)}${result}`]);
    expect(of(events, "turn")).toHaveLength(1);
    expect(of(events, "result")).toHaveLength(1);
  });

  test("has its result told although the line is damaged", () => {
    const { events } = read([
      `{"type":"result","subtype":"success","is_error":false,"result":"All \\"done\\"","usage":{"input_tok`,
    ]);
    expect(of(events, "result")).toMatchObject([{ ok: true, text: 'All "done"' }]);
    expect(of(events, "problem")).toHaveLength(1);
    expect(of(read(['{"type":"result","subtype":"error_du']).events, "result")).toMatchObject([
      { ok: false },
    ]);
  });

  test("is not taken for a message where a message is quoted in another one", () => {
    const quoted = { type: "user", message: { content: [{ type: "tool_result", content: result }] } };
    expect(of(read([JSON.stringify(quoted)]).events, "result")).toEqual([]);
    expect(of(read([JSON.stringify({ note: RESULT })]).events, "result")).toEqual([]);
  });

  test("of braces without end is given up soon", () => {
    const { events } = read(["{".repeat(2_000_000)]);
    expect(of(events, "problem")).toHaveLength(1);
  });

  test("is passed over where it is unknown, and a line that is no JSON is told", () => {
    const { events } = read([
      '{"type":"something_new","x":1}',
      "[1,2]",
      "null",
      '{"type":"assistant"}',
      '{"type":"assistant","message":{"id":"a","content":[{"type":"hologram"},{"type":"text","text":7}]}}',
      "Warning: \u001b[31mred\u001b[0m",
      '{"type":"result"}',
    ]);
    expect(events.map(({ type }) => type)).toEqual(["turn", "problem", "tokens", "result"]);
    expect(of(events, "problem")[0]?.text).toBe("The agent wrote a line that is not JSON: Warning: red");
  });

  test("waiting for the model's API is an action", () => {
    const { events } = read([
      '{"type":"system","subtype":"api_retry","attempt":3,"max_retries":10,"error_status":529,"error":"overloaded"}',
    ]);
    expect(of(events, "action")[0]?.text).toBe("Waiting for the model's API (overloaded, attempt 3 of 10)");
  });

  test("finished to-dos are told once, and only when the call succeeded", () => {
    const call = (id: string, todos: object[]) =>
      JSON.stringify({
        type: "assistant",
        message: { id, content: [{ type: "tool_use", id, name: "TodoWrite", input: { todos } }] },
      });
    const answer = (id: string, is_error: boolean) =>
      JSON.stringify({
        type: "user",
        message: { content: [{ type: "tool_result", tool_use_id: id, is_error }] },
      });
    const analysis = { content: "Analysis", status: "completed" };
    const design = { content: "Design", status: "in_progress" };
    const { events } = read([
      call("t1", [analysis]),
      answer("t1", true),
      call("t2", [analysis, design]),
      answer("t2", false),
      call("t3", [analysis, { ...design, status: "completed" }]),
      answer("t3", false),
    ]);
    expect(of(events, "phase").map(({ name }) => name)).toEqual(["Analysis", "Design"]);
  });

  test("older versions without usage per result: sub-agents count too, and the cost is the difference", () => {
    const answer = (id: string, parent: string | null) =>
      JSON.stringify({
        type: "assistant",
        parent_tool_use_id: parent,
        message: { id, usage: { input_tokens: 100, output_tokens: 10 } },
      });
    const result = (cost: number) =>
      JSON.stringify({
        type: "result",
        subtype: "success",
        total_cost_usd: cost,
        usage: { input_tokens: 100, output_tokens: 50 },
      });
    const { events } = read([
      answer("a", null),
      answer("b", "t"),
      result(0.2),
      answer("c", null),
      result(0.5),
    ]);
    expect(of(events, "result").map(({ tokens, costUsd }) => ({ tokens, costUsd }))).toEqual([
      { tokens: { input: 200, output: 50 }, costUsd: 0.2 },
      { tokens: { input: 300, output: 100 }, costUsd: 0.5 },
    ]);
  });
});

describe("lines", () => {
  function collect(limitBytes?: number) {
    const lines: string[] = [];
    let tooLong = 0;
    const reader = createLineReader({
      onLine: (line) => lines.push(line),
      onTooLong: () => tooLong++,
      ...(limitBytes ? { limitBytes } : {}),
    });
    return { lines, reader, tooLong: () => tooLong };
  }

  test("are put together from any pieces, also from within a character", () => {
    const { lines, reader } = collect();
    for (const byte of Buffer.from("é😀 one\r\n\n{}\nlast")) reader.push(Buffer.from([byte]));
    reader.end();
    expect(lines).toEqual(["é😀 one", "{}", "last"]);
  });

  test("beyond the limit are thrown away, told once, and the next one is whole again", () => {
    const { lines, reader, tooLong } = collect(10);
    reader.push(Buffer.from("123456"));
    reader.push(Buffer.from("789012345678"));
    reader.push(Buffer.from("x\nnext\n"));
    expect(lines).toEqual(["next"]);
    expect(tooLong()).toBe(1);
  });
});

describe("leave for the whole run", () => {
  const suggest = (...rules: object[]) => [
    { type: "addRules", behavior: "allow", destination: "localSettings", rules },
    { type: "addRules", behavior: "deny", rules },
    { type: "setMode", mode: "bypassPermissions", destination: "session" },
    { type: "addDirectories", directories: ["/"], destination: "session" },
  ];

  test("takes only the host of a page from what the agent suggests, and only for this process", () => {
    const host = { toolName: "WebFetch", ruleContent: "domain:example.org" };
    const others = [{ toolName: "Write", ruleContent: "**" }, { toolName: "WebFetch" }];
    expect(readRunPermission("WebFetch", { url: "https://example.org/" }, suggest(host, ...others))).toEqual({
      scope: "`domain:example.org`",
      updatedPermissions: [{ type: "addRules", rules: [host], behavior: "allow", destination: "session" }],
    });
  });

  test.each([
    ["Bash", "git log *", "this same command"],
    ["Bash", "npm publish *", "this same command"],
    ["Bash", "find:*", "this same command"],
    ["Read", "//home/ada/**", "exactly this call"],
    ["WebFetch", "domain:*", "exactly this call"],
  ])("offers no pattern: %s(%s)", (toolName, ruleContent, scope) => {
    const leave = readRunPermission(toolName, { command: "x" }, suggest({ toolName, ruleContent }));
    expect(leave).toEqual({ scope, updatedPermissions: [] });
  });

  test.each([
    [
      "the same command described otherwise",
      "Bash",
      { command: "a", description: "x" },
      "Bash",
      { command: "a" },
      true,
    ],
    ["another command", "Bash", { command: "a" }, "Bash", { command: "a b" }, false],
    [
      "the same command outside of the sandbox",
      "Bash",
      { command: "a" },
      "Bash",
      { command: "a", dangerouslyDisableSandbox: true },
      false,
    ],
    [
      "another edit of the same file",
      "Write",
      { file_path: "/a", content: "1" },
      "Edit",
      { file_path: "/a" },
      true,
    ],
    ["another file", "Write", { file_path: "/a" }, "Write", { file_path: "/b" }, false],
    ["the same input in another order", "mcp__x__y", { a: 1, b: 2 }, "mcp__x__y", { b: 2, a: 1 }, true],
    ["another input", "mcp__x__y", { a: 1 }, "mcp__x__y", { a: 2 }, false],
    ["reading a file that may be written", "Write", { file_path: "/a" }, "Read", { file_path: "/a" }, false],
  ])("%s", (_what, toolA, inputA, toolB, inputB, same) => {
    expect(permissionKey(toolA, inputA) === permissionKey(toolB, inputB)).toBe(same);
  });
});

test.each([
  ["Bash", { command: "npm test" }, "Bash: npm test"],
  ["Edit", { file_path: "/workspace/src/auth.ts" }, "Edit src/auth.ts"],
  ["Read", { file_path: "/etc/hosts" }, "Read /etc/hosts"],
  ["Grep", { pattern: "TODO\n\u001b[31mx" }, "Grep: TODO x"],
  ["mcp__github__list_issues", {}, "list_issues of github"],
  ["AskUserQuestion", { questions: [{ question: "Which?" }] }, "Asking: Which?"],
  ["Sleep", "odd", "Sleep"],
])("the action of %s with %j is %j", (name, input, action) => {
  expect(describeToolUse(name, input, "/workspace")).toBe(action);
});

test.each([
  ["Edit", { file_path: "/workspace/a.ts" }, "wants to change the file a.ts"],
  ["NotebookEdit", { notebook_path: "/x/b.ipynb" }, "wants to change the file /x/b.ipynb"],
  ["Read", { file_path: "/etc/passwd" }, "wants to read /etc/passwd"],
  ["WebFetch", { url: "https://example.com" }, "wants to open https://example.com"],
  ["WebSearch", { query: "hono sse" }, 'wants to search the web for "hono sse"'],
  ["ExitPlanMode", { plan: "1. Do it" }, "has a plan and wants to begin with it"],
  ["mcp__github__merge", { query: "x" }, "wants to use merge of github: x"],
])("leave for %s with %j is asked as %j", (name, input, wish) => {
  expect(describeWish(name, input, "/workspace")).toBe(wish);
});

test("a command that is too long to be shown has its beginning, its end and how much is missing", () => {
  const { text, cut } = describeDetail("Bash", { command: `echo ${"a".repeat(9_000)}; rm -rf ~` });
  expect(cut).toBe(true);
  expect(text).toMatch(/^echo a+\n\(… (\d+) characters are not shown here …\)\na+; rm -rf ~$/);
  const missing = Number(/… (\d+) characters/.exec(text)?.[1]);
  expect(text.replace(/\n\(….*…\)\n/, "").length + missing).toBe(9_000 + "echo ; rm -rf ~".length);
});

test("a call is shown with all its values, also those beside a command", () => {
  expect(describeDetail("Edit", { file_path: "/a", old_string: "x", replace_all: true })).toEqual({
    text: "file_path: /a\nold_string: x\nreplace_all: true",
    cut: false,
  });
  const outside = { command: "npm ci", description: "Install", dangerouslyDisableSandbox: true };
  expect(describeDetail("Bash", outside).text).toBe("npm ci\n\ndangerouslyDisableSandbox: true");
});

test.each([
  ["a mark that turns text around", "echo \u202egnp.exe", "echo <U+202E>gnp.exe"],
  ["characters without width", "npm\u200b te\u2060st", "npm<U+200B> te<U+2060>st"],
  ["tags and fillers", "a\u{e0041}\u3164\u2800b", "a<U+E0041><U+3164><U+2800>b"],
  ["other blanks", "rm\u00a0-rf", "rm<U+00A0>-rf"],
  ["escape sequences", "echo \u001b[8mhidden", "echo <U+001B>[8mhidden"],
  ["a carriage return", "echo a\rrm b", "echo a<U+000D>rm b"],
  ["blanks that push the rest out of sight", `echo a;${" ".repeat(5_000)}rm b`, "echo a; <5000 blanks> rm b"],
  ["empty lines that do", `echo a${"\n".repeat(600)}rm b`, "echo a\n<599 empty lines>\nrm b"],
])("%s in a command is made visible", (_what, command, shown) => {
  expect(describeDetail("Bash", { command })).toEqual({ text: shown, cut: false });
});
