import { Client as NewClient, StreamableHTTPClientTransport as NewHttp } from "@modelcontextprotocol/client";
import { StdioClientTransport as NewStdio } from "@modelcontextprotocol/client/stdio";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ElicitRequestSchema, type ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, onTestFinished, test } from "vitest";
import { type ServedApi, serveSimulatedApi } from "../mocks/serve.js";
import { BIN, temporaryFolder, toVariables } from "./support/bin.js";
import { COMPLETE, until } from "./support/harness.js";
import { startHttp } from "./support/http.js";
import type { Frame } from "./support/modern-frames.js";

// The same for the official clients of both eras: the earlier one, the newer one that finds out, and that pinned.

const TOOL = "orchestrate_workflow";
const { session_name: _, ...UNNAMED } = COMPLETE;
const ERA = { ERA: "auto", POLLING_INTERVAL: "0.2", API_KEY: "test-key" };

/** What the tests use of a client, whichever it is. */
interface Connected {
  version: string | undefined;
  client: Pick<NewClient, "listTools" | "listResources" | "readResource" | "listPrompts" | "getPrompt">;
  forms: Frame[];
  call(args: object, onprogress?: (progress: Frame) => void): Promise<Frame>;
}

type Place = { url: string } | { command: string; args: string[]; env: Record<string, string> };
type Connect = (place: Place, answer: () => ElicitResult) => Promise<Connected>;

const info = { name: "test-client", version: "1.0.0" };
const capabilities = { elicitation: { form: {} } };
const options = (onprogress?: (progress: Frame) => void) => (onprogress ? { onprogress } : {});

const earlier: Connect = async (place, answer) => {
  const client = new Client(info, { capabilities });
  const forms: Frame[] = [];
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    forms.push(params);
    return answer();
  });
  const transport =
    "url" in place
      ? new StreamableHTTPClientTransport(new URL(place.url))
      : new StdioClientTransport({ ...place, stderr: "ignore" });
  await client.connect(transport as Transport);
  onTestFinished(() => client.close());
  return {
    version: undefined,
    client: client as unknown as Connected["client"],
    forms,
    call: (args, onprogress) =>
      client.callTool({ name: TOOL, arguments: { ...args } }, undefined, options(onprogress)),
  };
};

const newer =
  (mode: "auto" | { pin: string }): Connect =>
  async (place, answer) => {
    const client = new NewClient(info, { capabilities, versionNegotiation: { mode } });
    const forms: Frame[] = [];
    client.setRequestHandler("elicitation/create", async ({ params }) => {
      forms.push(params);
      return answer() as never;
    });
    const transport =
      "url" in place ? new NewHttp(new URL(place.url)) : new NewStdio({ ...place, stderr: "ignore" });
    await client.connect(transport);
    onTestFinished(() => client.close());
    return {
      version: client.getNegotiatedProtocolVersion(),
      client,
      forms,
      call: (args, onprogress) =>
        client.callTool({ name: TOOL, arguments: { ...args } }, options(onprogress)),
    };
  };

const CLIENTS: [name: string, connect: Connect, version: string | undefined][] = [
  ["SDK v1", earlier, undefined],
  ["SDK v2, auto", newer("auto"), "2026-07-28"],
  ["SDK v2, pinned", newer({ pin: "2026-07-28" }), "2026-07-28"],
];

const PLACES: [name: string, open: (url: string) => Promise<Place>][] = [
  [
    "stdio",
    async (url) => {
      const folder = temporaryFolder();
      const variables = toVariables({ ...ERA, BASE_URL: url, STATE_DIR: folder, NOTIFY: "off" });
      const env = { PATH: process.env.PATH ?? "", HOME: folder, ...variables };
      return { command: process.execPath, args: [BIN], env };
    },
  ],
  ["HTTP", async (url) => ({ url: `${(await startHttp({ settings: { ...ERA, BASE_URL: url } })).url}/mcp` })],
];

async function serveApi(): Promise<ServedApi> {
  const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual" });
  onTestFinished(() => served.close());
  return served;
}

describe.each(PLACES)("over %s", (_place, open) => {
  test("every client finds the same tools, resources and prompts", async () => {
    const { url } = await serveApi();
    const place = await open(url);
    const found = [];
    for (const [name, connect, version] of CLIENTS) {
      const { client, ...connected } = await connect(place, () => ({ action: "cancel" }));
      expect(connected.version, name).toBe(version);
      const { tools } = await client.listTools();
      const { resources } = await client.listResources();
      const { contents } = await client.readResource({ uri: "automagik://workflows" });
      const { prompts } = await client.listPrompts();
      const { messages } = await client.getPrompt({
        name: "start_workflow",
        arguments: { task: "Design it" },
      });
      found.push({ tools, resources, contents, prompts, messages });
    }
    const [first, ...others] = found;
    expect(first?.tools.map(({ name }) => name)).toEqual([TOOL]);
    for (const other of others) expect(other).toEqual(first);
  });

  test.each(CLIENTS)("%s: form, run, progress, end; and a no sends nothing", async (_name, connect) => {
    const { url, api } = await serveApi();
    let answer: ElicitResult = { action: "accept", content: { session_name: "jwt-login" } };
    const { call, forms } = await connect(await open(url), () => answer);
    const told: string[] = [];
    const going = call(UNNAMED, ({ message }) => told.push(message));
    await until(() => api.world.runs().length > 0, "the run");
    const run = api.world.run(api.world.runs()[0]?.runId ?? "");
    run.turn("Designing database schema");
    await until(() => told.includes("Turn 1/50: Designing database schema"), "the progress");
    run.complete({ result: "The design is in docs/auth.md" });
    const { structuredContent, content } = await going;
    expect(structuredContent).toMatchObject({
      outcome: "completed",
      run: { session_name: "jwt-login", result: "The design is in docs/auth.md" },
    });
    expect(content[0].text).toContain("Outcome: completed");
    expect(forms).toMatchObject([{ requestedSchema: { properties: { session_name: {} } } }]);
    answer = { action: "decline" };
    expect((await call(UNNAMED)).structuredContent.outcome).toBe("declined");
    expect(api.posts("/run/")).toHaveLength(1);
  });
});
