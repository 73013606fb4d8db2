import { randomUUID } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import type { ContractAccess } from "./contract.js";
import { type CallOptions, createContractClient, recordedAnswer } from "./upstream.js";

const NOBODY = "00000000-0000-4000-8000-000000000000";
const START = { message: "Add rate limiting", input_format: "stream-json" };

/** What is asked wrongly: a method and path, what is sent, and the `detail` of the answer. */
type Case = [what: string, request: [string, string, CallOptions?], status: number, detail: unknown];

const bounds = (name: string, kind: "ge" | "le", bound: number, input: number) => ({
  type: kind === "ge" ? "greater_than_equal" : "less_than_equal",
  loc: ["body", name],
  msg: `Input should be ${kind === "ge" ? "greater" : "less"} than or equal to ${bound}`,
  input,
  ctx: { [kind]: bound },
});
const start = (fields: object, query?: Record<string, string>): [string, string, CallOptions] => [
  "POST",
  "/run/implement",
  { body: { ...START, ...fields }, ...(query ? { query } : {}) },
];

const INVALID: Case[] = [
  [
    "no body",
    ["POST", "/run/implement"],
    422,
    [{ type: "missing", loc: ["body"], msg: "Field required", input: null }],
  ],
  [
    "null for a body",
    ["POST", "/run/implement", { body: "null" }],
    422,
    [{ type: "missing", loc: ["body"], msg: "Field required", input: null }],
  ],
  [
    "a list for a body",
    ["POST", "/run/implement", { body: [] }],
    422,
    [
      {
        type: "model_attributes_type",
        loc: ["body"],
        msg: "Input should be a valid dictionary or object to extract fields from",
        input: [],
      },
    ],
  ],
  [
    "a body that is not JSON",
    ["POST", "/run/implement", { body: '{"message": ' }],
    422,
    recordedAnswer("run-invalid-json-422").detail,
  ],
  [
    "an empty body of fields",
    ["POST", "/run/implement", { body: {} }],
    422,
    [
      { type: "missing", loc: ["body", "message"], msg: "Field required", input: {} },
      { type: "missing", loc: ["body", "input_format"], msg: "Field required", input: {} },
    ],
  ],
  [
    "a blank message",
    start({ message: " \n" }),
    422,
    [
      {
        type: "value_error",
        loc: ["body", "message"],
        msg: "Value error, Message cannot be empty",
        input: " \n",
        ctx: { error: {} },
      },
    ],
  ],
  [
    "another input format",
    start({ input_format: "text" }),
    422,
    [
      {
        type: "literal_error",
        loc: ["body", "input_format"],
        msg: "Input should be 'stream-json'",
        input: "text",
        ctx: { expected: "'stream-json'" },
      },
    ],
  ],
  ["too many turns", start({ max_turns: 201 }), 422, [bounds("max_turns", "le", 200, 201)]],
  ["far too many turns", start({ max_turns: 1e300 }), 422, [bounds("max_turns", "le", 200, 1e300)]],
  ["no turns", start({ max_turns: 0 }), 422, [bounds("max_turns", "ge", 1, 0)]],
  ["too little time", start({ timeout: 59 }), 422, [bounds("timeout", "ge", 60, 59)]],
  ["too much time", start({ timeout: 14_401 }), 422, [bounds("timeout", "le", 14_400, 14_401)]],
  [
    "null for a time",
    start({ timeout: null }),
    422,
    [{ type: "int_type", loc: ["body", "timeout"], msg: "Input should be a valid integer", input: null }],
  ],
  [
    "half a turn",
    start({ max_turns: 0.5 }),
    422,
    [
      {
        type: "int_from_float",
        loc: ["body", "max_turns"],
        msg: "Input should be a valid integer, got a number with a fractional part",
        input: 0.5,
      },
    ],
  ],
  [
    "several faults at once, those of the query first",
    start({ message: 5, max_turns: "many", git_branch: {} }, { persistent: "perhaps" }),
    422,
    [
      {
        type: "bool_parsing",
        loc: ["query", "persistent"],
        msg: "Input should be a valid boolean, unable to interpret input",
        input: "perhaps",
      },
      { type: "string_type", loc: ["body", "message"], msg: "Input should be a valid string", input: 5 },
      {
        type: "int_parsing",
        loc: ["body", "max_turns"],
        msg: "Input should be a valid integer, unable to parse string as an integer",
        input: "many",
      },
      { type: "string_type", loc: ["body", "git_branch"], msg: "Input should be a valid string", input: {} },
    ],
  ],
  [
    "a temporary workspace with a repository",
    start(
      { repository_url: "https://example.org/a/b.git", git_branch: "main" },
      { temp_workspace: "true", auto_merge: "yes" },
    ),
    400,
    recordedAnswer("run-temp-workspace-conflict-400").detail,
  ],
  [
    "a page before the first",
    ["GET", "/runs", { query: { page: "0" } }],
    400,
    recordedAnswer("runs-page-zero-400").detail,
  ],
  [
    "too large a page",
    ["GET", "/runs", { query: { page_size: "101" } }],
    400,
    recordedAnswer("runs-page-size-400").detail,
  ],
  [
    "a page that is no number",
    ["GET", "/runs", { query: { page: "two" } }],
    422,
    [
      {
        type: "int_parsing",
        loc: ["query", "page"],
        msg: "Input should be a valid integer, unable to parse string as an integer",
        input: "two",
      },
    ],
  ],
  ["an unknown status", ["GET", "/runs", { query: { status: "lost" } }], 400, "Invalid status filter"],
  ["an unknown order", ["GET", "/runs", { query: { sort_by: "toString" } }], 400, "Invalid sort_by field"],
  [
    "an unknown direction",
    ["GET", "/runs", { query: { sort_order: "up" } }],
    400,
    "Sort order must be 'asc' or 'desc'",
  ],
  [
    "a debug flag that is none",
    ["GET", `/run/${NOBODY}/status`, { query: { debug: "perhaps" } }],
    422,
    [
      {
        type: "bool_parsing",
        loc: ["query", "debug"],
        msg: "Input should be a valid boolean, unable to interpret input",
        input: "perhaps",
      },
    ],
  ],
  [
    "a message without its fields",
    ["POST", `/run/${NOBODY}/add-message`, { body: {} }],
    422,
    [
      { type: "missing", loc: ["body", "message_type"], msg: "Field required", input: null },
      { type: "missing", loc: ["body", "content"], msg: "Field required", input: null },
    ],
  ],
  [
    "a message of another kind",
    ["POST", `/run/${NOBODY}/add-message`, { body: { message_type: "assistant", content: "" } }],
    400,
    recordedAnswer("add-message-bad-type-400").detail,
  ],
  [
    "an empty message",
    ["POST", `/run/${NOBODY}/add-message`, { body: { message_type: "user", content: "  " } }],
    400,
    recordedAnswer("add-message-empty-400").detail,
  ],
];

const UNKNOWN: Case[] = [
  ["status", ["GET", `/run/${NOBODY}/status`], 404, `Run ${NOBODY} not found`],
  ["kill", ["POST", `/run/${NOBODY}/kill`], 404, `Run ${NOBODY} not found`],
  ["cleanup", ["POST", `/run/${NOBODY}/cleanup`], 404, `Workflow run not found: ${NOBODY}`],
  ["queue", ["GET", `/run/${NOBODY}/message-queue`], 404, `Workflow run ${NOBODY} not found`],
  [
    "message",
    ["POST", `/run/${NOBODY}/add-message`, { body: { message_type: "user", content: "Hello" } }],
    404,
    `Workflow run ${NOBODY} not found`,
  ],
];

/** What is refused, and in which words. */
export function describeRefusals({ server, client }: ContractAccess): void {
  describe("a refusal", () => {
    it("of a start that cannot be carried out states that nothing was started, and is believed", async () => {
      const unable = await server().unable();
      onTestFinished(() => unable.close());
      const { post, get, product } = createContractClient(unable);
      const { status, body } = await post("/run/implement", START);
      expect({ status, body }).toEqual({
        status: 503,
        body: { detail: expect.stringContaining("not found"), started: false },
      });
      const failure = await product
        .startRun({ workflowName: "implement", message: "Go", inputFormat: "stream-json" })
        .catch((error) => error);
      expect(failure).toMatchObject({ kind: "refused", mayHaveActed: false, reason: body.detail });
      expect((await get("/runs")).body.total_count).toBe(0);
    });

    it.each(INVALID)("answers %s", async (_what, request, status, detail) => {
      const { body, ...answer } = await client().call(...request);
      expect({ status: answer.status, body }).toEqual({ status, body: { detail } });
    });

    it.each(UNKNOWN)("knows no run: %s", async (_what, request, status, detail) => {
      const { body, ...answer } = await client().call(...request);
      expect({ status: answer.status, body }).toEqual({ status, body: { detail } });
    });

    it("names the workflows there are when one is unknown, and starts nothing", async () => {
      const { post, get } = client();
      const user_id = randomUUID();
      const names: string[] = (await get("/manage")).body.map((workflow: { name: string }) => workflow.name);
      const { status, body } = await post("/run/nonsense", { ...START, user_id });
      expect(status).toBe(404);
      expect(body.detail).toBe(
        `Workflow 'nonsense' not found. Available: [${names.map((name) => `'${name}'`).join(", ")}]`,
      );
      expect((await get("/runs", { user_id })).body.total_count).toBe(0);
    });

    it("takes numbers and flags as texts, and ignores fields that it does not know", async () => {
      const { start: begin, get, ended } = client();
      const { run_id } = await begin({ max_turns: "12", colour: "blue", persistent: false }, "fix", {
        persistent: "on",
        unknown: "1",
      });
      expect((await get(`/run/${run_id}/status`, { debug: "YES" })).body).toMatchObject({
        max_turns: 12,
        debug: {},
      });
      await ended(run_id);
    });

    it("meets a message for a run that has ended", async () => {
      const { start: begin, ended, post, product } = client();
      const { run_id } = await begin();
      await ended(run_id);
      const message = { message_type: "user", content: "Too late" };
      expect(await post(`/run/${run_id}/add-message`, message)).toMatchObject({
        status: 400,
        body: { detail: "Cannot add messages to workflow in completed state" },
      });
      expect((await product.getQueue(run_id))?.added).toBe(0);
    });

    it("meets a body of more than 1 MiB", async () => {
      const { status, body } = await client().post("/run/implement", {
        ...START,
        message: "x".repeat(2 ** 20),
      });
      expect({ status, body }).toEqual({ status: 413, body: { detail: "Request body too large" } });
    });
  });
}
