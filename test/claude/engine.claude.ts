import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { type ModelRequest, type ModelStep, serveScriptedAnthropic } from "../../mocks/scripted-anthropic.js";
import { createLocalEngine } from "../../src/engine/create-local-engine.js";
import { readSettings } from "../../src/settings/settings.js";
import { systemClock } from "../../src/shared/clock.js";
import { createLog } from "../../src/shared/log.js";
import { createContractClient } from "../contract/upstream.js";

/** An engine whose agents are the real Claude Code; CLAUDE_CLI names the program. */
async function openEngine(handler: (request: ModelRequest) => ModelStep | undefined) {
  const api = await serveScriptedAnthropic({ handler });
  const folder = mkdtempSync(join(tmpdir(), "claude-engine-"));
  mkdirSync(join(folder, "engine"));
  const engine = await createLocalEngine({
    apiKey: "claude-engine-key",
    host: "127.0.0.1",
    port: 0,
    stateFolder: folder,
    folder: join(folder, "engine"),
    privateFolder: join(folder, "private"),
    settings: { ...readSettings(), claudePath: process.env.CLAUDE_CLI ?? "claude", engineConcurrency: 1 },
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      ANTHROPIC_BASE_URL: api.url,
      ANTHROPIC_API_KEY: "sk-ant-test",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      CLAUDE_CODE_MAX_RETRIES: "0",
    },
    home: folder,
    platform: process.platform,
    clock: systemClock,
    log: createLog({ level: "warn", stderr: process.stderr }),
    version: "1.2.3",
  });
  onTestFinished(async () => {
    await engine.close();
    await api.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const client = createContractClient({ url: engine.url, apiKey: "claude-engine-key" });
  async function run(fields: Record<string, unknown> = {}) {
    const { run_id } = await client.start(fields);
    return vi.waitFor(
      async () => {
        const { body } = await client.get(`/run/${run_id}/status`);
        if (!["completed", "failed"].includes(body.status)) throw new Error(JSON.stringify(body));
        return body;
      },
      { timeout: 60_000, interval: 50 },
    );
  }
  return { api, run };
}

test.each([
  ["no_credit", { status: 400, type: "invalid_request_error", message: "Your credit balance is too low" }],
  ["not_logged_in", { status: 401, type: "authentication_error", message: "invalid x-api-key" }],
  ["overloaded", { status: 529, type: "overloaded_error", message: "Overloaded" }],
])("a session whose first run failed before its first turn is continued: %s", async (code, failure) => {
  let fails = true;
  const { api, run } = await openEngine(() => (fails ? { failure } : undefined));
  const first = await run();
  expect(first).toMatchObject({ status: "failed", current_turn: 0, error_code: code });
  fails = false;
  const second = await run({ session_id: first.session_id, message: "Go on, please" });
  expect(second).toMatchObject({ status: "completed", session_id: first.session_id });
  const said = api.requests.at(-1)?.userTexts.map((text) => text.trim());
  expect(said).toEqual(["Add rate limiting", "Go on, please"]);
});

test("a conversation that is full is said to be so", async () => {
  const failure = {
    status: 400,
    type: "invalid_request_error",
    message: "prompt is too long: 250000 tokens > 200000 maximum",
  };
  const { run } = await openEngine(() => ({ failure }));
  expect(await run()).toMatchObject({ status: "failed", error_code: "context_full" });
});

test("a run with an output schema gives its words and the fields, and its session goes on without one", async () => {
  const given = { parts: ["one", "two"] };
  const { run, api } = await openEngine(({ tools }) =>
    tools.includes("StructuredOutput")
      ? { text: "A design of two parts.", tools: [{ name: "StructuredOutput", input: given }] }
      : { text: "Words alone." },
  );
  const properties = { parts: { type: "array", items: { type: "string" } } };
  const output_schema = { type: "object", properties, required: ["parts"], additionalProperties: false };
  const first = await run({ output_schema });
  expect(first).toMatchObject({ status: "completed", questions: [] });
  expect(first.result.final_output).toBe(
    `A design of two parts.\n\n\`\`\`json\n${JSON.stringify(given, null, 2)}\n\`\`\``,
  );
  const plain = await run({ session_id: first.session_id });
  expect(plain.result.final_output).toBe("Words alone.");
  const again = await run({ session_id: first.session_id, output_schema });
  expect(again.result.final_output).toContain('"parts"');
  expect(api.requests).toHaveLength(3);
});
