import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client as NewClient, StreamableHTTPClientTransport as NewHttp } from "@modelcontextprotocol/client";
import { StdioClientTransport as NewStdio } from "@modelcontextprotocol/client/stdio";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ElicitRequestSchema, type ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import type { SimulatedApi } from "../../mocks/http.js";
import { serveSimulatedApi } from "../../mocks/serve.js";
import { BIN, toVariables } from "./bin.js";
import { WIDGETS } from "./harness.js";
import { startHttp } from "./http.js";
import type { Frame } from "./modern-frames.js";
import { endAll, processesWith } from "./one-machine.js";

// The official clients of both eras: the earlier one, the newer one that finds out, and that pinned to 2026-07-28.

const TOOL = "orchestrate_workflow";
const NEWER = "2026-07-28";

/** What the tests use of a client, whichever it is. */
export interface EraClient {
  /** What it has agreed on with the server; undefined of one that knows the earlier protocols only. */
  version: string | undefined;
  client: Pick<
    NewClient,
    "listTools" | "callTool" | "listResources" | "readResource" | "listPrompts" | "getPrompt" | "complete"
  >;
  /** Forms that were shown, oldest first. */
  forms: Frame[];
  /** How the next form is answered. */
  answer: (form: Frame) => ElicitResult;
  call(args: object, onprogress?: (progress: Frame) => void): Promise<Frame>;
  close(): Promise<void>;
}

/** Where a server is, or how it is started. */
export type EraPlace = { url: string } | { command: string; args: string[]; env: Record<string, string> };

interface ConnectOptions {
  withoutForms?: boolean;
  /** It shows widgets. */
  widgets?: boolean;
}

export type Connect = (place: EraPlace, options?: ConnectOptions) => Promise<EraClient>;

const info = { name: "test-client", version: "1.0.0" };
const capabilitiesOf = ({ withoutForms, widgets }: ConnectOptions) => ({
  ...(withoutForms ? {} : { elicitation: { form: {} } }),
  ...(widgets ? { extensions: WIDGETS } : {}),
});
const withProgress = (onprogress?: (progress: Frame) => void) => (onprogress ? { onprogress } : {});

/** What both have, and what a form is shown by. */
function begin() {
  const common = { forms: [] as Frame[], answer: (() => ({ action: "cancel" })) as EraClient["answer"] };
  const show = (form: Frame) => {
    common.forms.push(form);
    return common.answer(form);
  };
  return { common, show };
}

const earlier: Connect = async (place, options = {}) => {
  const client = new Client(info, { capabilities: capabilitiesOf(options) });
  const { common, show } = begin();
  if (!options.withoutForms) client.setRequestHandler(ElicitRequestSchema, ({ params }) => show(params));
  const transport =
    "url" in place
      ? new StreamableHTTPClientTransport(new URL(place.url))
      : new StdioClientTransport({ ...place, stderr: "ignore" });
  await client.connect(transport as Transport);
  return Object.assign(common, {
    version: undefined,
    client: client as unknown as EraClient["client"],
    call: (args: object, onprogress?: (progress: Frame) => void) =>
      client.callTool({ name: TOOL, arguments: { ...args } }, undefined, withProgress(onprogress)),
    close: () => client.close(),
  });
};

const newer =
  (mode: "auto" | { pin: string }): Connect =>
  async (place, options = {}) => {
    const client = new NewClient(info, {
      capabilities: capabilitiesOf(options),
      versionNegotiation: { mode },
    });
    const { common, show } = begin();
    if (!options.withoutForms)
      client.setRequestHandler("elicitation/create", async ({ params }) => show(params) as never);
    const transport =
      "url" in place ? new NewHttp(new URL(place.url)) : new NewStdio({ ...place, stderr: "ignore" });
    await client.connect(transport);
    return Object.assign(common, {
      version: client.getNegotiatedProtocolVersion(),
      client,
      call: (args: object, onprogress?: (progress: Frame) => void) =>
        client.callTool({ name: TOOL, arguments: { ...args } }, withProgress(onprogress)),
      close: () => client.close(),
    });
  };

/** The clients, by what they are called, and the version that each agrees on with our server. */
export const ERA_CLIENTS: [name: string, connect: Connect, version: string | undefined][] = [
  ["SDK v1", earlier, undefined],
  ["SDK v2, auto", newer("auto"), NEWER],
  ["SDK v2, pinned", newer({ pin: NEWER }), NEWER],
];

/** A server before an API whose agents do as they are told; each client over stdio starts the built bin. */
export interface EraStage {
  api: SimulatedApi;
  place: EraPlace;
  close(): Promise<void>;
}

/** @returns what is to be closed by the caller: it serves the tests of a whole block */
export async function openEraStage(transport: "stdio" | "HTTP"): Promise<EraStage> {
  const served = await serveSimulatedApi({
    apiKey: "test-key",
    paceMs: "manual",
  });
  const folder = mkdtempSync(join(tmpdir(), "both-eras-"));
  const closers: (() => unknown)[] = [];
  const settings = { ERA: "auto", POLLING_INTERVAL: "0.2", API_KEY: "test-key", BASE_URL: served.url };
  const close = async () => {
    for (const one of closers) await one();
    await endAll(processesWith(folder));
    await served.close();
    rmSync(folder, { recursive: true, force: true });
  };
  if (transport === "HTTP") {
    const http = await startHttp({ settings, plansFolder: folder, onEnd: (end) => closers.push(end) });
    return { api: served.api, place: { url: `${http.url}/mcp` }, close };
  }
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: folder,
    ...toVariables({ ...settings, STATE_DIR: folder, NOTIFY: "off" }),
  };
  return { api: served.api, place: { command: process.execPath, args: [BIN], env }, close };
}
