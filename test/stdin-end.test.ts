import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { type ServedApi, type ServeOptions, serveSimulatedApi } from "../mocks/serve.js";
import { spawnBin, temporaryFolder, toVariables } from "./support/bin.js";
import { COMPLETE, until } from "./support/harness.js";
import { HELLO } from "./support/http.js";

interface Answer {
  id?: unknown;
  result?: { content?: { text: string }[]; structuredContent?: Record<string, unknown>; tools?: unknown[] };
  error?: { code: number };
}

const call = (id: number, args: object) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name: "orchestrate_workflow", arguments: args },
});
const LIST = { jsonrpc: "2.0", id: 2, method: "tools/list" };

async function serveApi(options: ServeOptions = {}): Promise<ServedApi> {
  const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual", ...options });
  onTestFinished(() => served.close());
  return served;
}

/** The bin with something to read. */
function startPiped(url: string) {
  const folder = temporaryFolder();
  const bin = spawnBin([], {
    HOME: folder,
    ...toVariables({ API_KEY: "test-key", BASE_URL: url, STATE_DIR: folder, POLLING_INTERVAL: "0.2" }),
  });
  const answers = () =>
    bin
      .stdout()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Answer & { method?: string })
      .filter((message) => message.method === undefined);
  return { ...bin, answer: (id: number) => answers().find((answer) => answer.id === id) };
}

const toLines = (messages: object[]) => messages.map((message) => JSON.stringify(message)).join("\n");

describe("what was read before the end of stdin", () => {
  test.each([
    ["ends with a line break", "\n"],
    ["does not end with a line break", ""],
  ])("is answered, all of it, when its last line %s", async (_what, end) => {
    const { url } = await serveApi();
    const bin = startPiped(url);
    const messages = [HELLO, LIST, call(3, { action: "list_workflows" }), { ...LIST, id: 4, method: "ping" }];
    bin.child.stdin?.end(toLines(messages) + end);
    expect(await bin.ended()).toBe(0);
    expect(bin.answer(1)?.result).toBeDefined();
    expect(bin.answer(2)?.result?.tools).toHaveLength(1);
    expect(bin.answer(3)?.result?.content?.[0]?.text).toContain("architect");
    expect(bin.answer(4)?.result).toEqual({});
    expect(bin.stdout().endsWith("\n")).toBe(true);
  });

  test("is answered when the API takes its time", async () => {
    const { url, api } = await serveApi();
    api.fault({}, { delayMs: 500 });
    const bin = startPiped(url);
    bin.child.stdin?.end(toLines([HELLO, LIST, call(3, { action: "list_workflows" })]));
    expect(await bin.ended()).toBe(0);
    expect(bin.answer(2)?.result?.tools).toHaveLength(1);
    expect(bin.answer(3)?.result?.content?.[0]?.text).toBeDefined();
  });

  test("is answered with the id of the run that was started, which goes on", async () => {
    const { url, api } = await serveApi();
    const bin = startPiped(url);
    bin.child.stdin?.write(`${toLines([HELLO, call(2, { ...COMPLETE, wait_seconds: 600 })])}\n`);
    await api.waitFor(({ method }) => method === "POST");
    bin.child.stdin?.end();
    expect(await bin.ended()).toBe(0);
    const [run] = api.world.runs();
    expect(run?.status).toBe("running");
    const { text } = bin.answer(2)?.result?.content?.[0] ?? { text: "" };
    expect(text).toContain(`the run continues as ${run?.runId}`);
  });

  test("is answered with the run's id also when its start is still under way then", async () => {
    const { url, api } = await serveApi();
    api.fault({ method: "POST" }, { delayMs: 300 });
    const bin = startPiped(url);
    bin.child.stdin?.write(`${toLines([HELLO, call(2, { ...COMPLETE, wait_seconds: 600 })])}\n`);
    await api.waitFor(({ method }) => method === "POST");
    bin.child.stdin?.end();
    expect(await bin.ended()).toBe(0);
    const { text } = bin.answer(2)?.result?.content?.[0] ?? { text: "" };
    expect(text).toContain(api.world.runs()[0]?.runId ?? "?");
  });

  test("is answered whole to a reader that is slow", async () => {
    const workflows = Array.from({ length: 100 }, (_, index) => ({
      name: `workflow-${index}`,
      description: "Does one thing and does it well. ".repeat(20),
    }));
    const { url } = await serveApi({ workflows });
    const bin = startPiped(url);
    bin.child.stdout.pause();
    const ids = Array.from({ length: 20 }, (_, index) => index + 2);
    bin.child.stdin?.end(toLines([HELLO, ...ids.map((id) => call(id, { action: "list_workflows" }))]));
    // A little at a time, and longer than any grace for calls: with pauses in between all of it takes some 10 s.
    let isWhole = false;
    bin.child.stdout.once("end", () => {
      isWhole = true;
    });
    while (!isWhole) {
      bin.child.stdout.resume();
      await Promise.race([once(bin.child.stdout, "data"), once(bin.child.stdout, "end")]);
      bin.child.stdout.pause();
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect(await bin.ended()).toBe(0);
    expect(bin.stdout().length).toBeGreaterThan(1_000_000);
    for (const id of ids) expect(bin.answer(id)?.result?.content?.[0]?.text).toContain("Outcome: ok");
  }, 60_000);

  test("does not keep the process when nobody reads any more", async () => {
    const { url } = await serveApi();
    const bin = startPiped(url);
    bin.child.stdin?.write(`${toLines([HELLO, call(2, { ...COMPLETE, wait_seconds: 600 })])}\n`);
    await until(() => bin.answer(1) !== undefined, "the greeting");
    bin.child.stdout.destroy();
    bin.child.stdin?.end();
    expect(await bin.ended()).toBe(0);
  });
});
