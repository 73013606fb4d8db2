import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import {
  type ElicitRequest,
  ElicitRequestSchema,
  type ElicitResult,
  ListRootsRequestSchema,
  type Progress,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { onTestFinished } from "vitest";
import { createServer, type ServerOptions, type WorkflowsServer } from "../../src/server/server.js";
import { SUPER_TOOL } from "../../src/server/tools/registry.js";
import { readSettings } from "../../src/settings/settings.js";
import type { Log } from "../../src/shared/log.js";
import { compiledSchemas } from "./compiled-schemas.js";

/** What a tool gave back, as the tests look at it. */
export interface ToolAnswer {
  text: string;
  isError: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: answers are checked field by field
  data: any;
}

/** A form as the client got it. */
export interface ShownForm {
  message: string;
  // biome-ignore lint/suspicious/noExplicitAny: the schema is checked field by field
  schema: any;
}

export type FormAnswerer = (form: ShownForm, signal: AbortSignal) => ElicitResult | Promise<ElicitResult>;

export interface ClientOptions {
  name?: string;
  /** How forms are answered; without it the client has no forms at all. */
  onForm?: FormAnswerer;
  /** Folder addresses that the client calls its roots. */
  roots?: string[];
  /** It says that it shows widgets. */
  widgets?: true;
}

export interface TestClient {
  client: Client;
  forms: ShownForm[];
  /** Resolves when the tool list has changed so many times since the client was made. */
  listChanges(): number;
  call(args: Record<string, unknown>, options?: CallOptions): Promise<ToolAnswer>;
}

export interface CallOptions {
  /** The tool to call; when left out, the one for all actions. */
  tool?: string;
  onprogress?: (progress: Progress) => void;
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** What a client says that shows widgets. */
export const WIDGETS = { "io.modelcontextprotocol/ui": { mimeTypes: ["text/html;profile=mcp-app"] } };

/** A client of the SDK that answers forms as told and keeps what it was shown. */
export function createTestClient(options: ClientOptions = {}): TestClient {
  const { onForm, roots, widgets } = options;
  const client = new Client(
    { name: options.name ?? "test-client", version: "1.0.0" },
    {
      capabilities: {
        ...(onForm ? { elicitation: { form: {} } } : {}),
        ...(roots ? { roots: {} } : {}),
        ...(widgets ? { extensions: WIDGETS } : {}),
      },
      jsonSchemaValidator: compiledSchemas,
    },
  );
  const forms: ShownForm[] = [];
  let changes = 0;
  if (onForm) {
    client.setRequestHandler(ElicitRequestSchema, (request: ElicitRequest, extra) => {
      const params = request.params as { message: string; requestedSchema: unknown };
      const form = { message: params.message, schema: params.requestedSchema };
      forms.push(form);
      return onForm(form, extra.signal);
    });
  }
  if (roots) {
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: roots.map((uri) => ({ uri })) }));
  }
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
    changes++;
  });
  return {
    client,
    forms,
    listChanges: () => changes,
    async call(args, call = {}) {
      const asked = { name: call.tool ?? SUPER_TOOL, arguments: args };
      const result = await client.callTool(asked, undefined, {
        timeout: call.timeoutMs ?? 60_000,
        ...(call.onprogress ? { onprogress: call.onprogress, resetTimeoutOnProgress: true } : {}),
        ...(call.signal ? { signal: call.signal } : {}),
      });
      const [block] = result.content as { type: string; text: string }[];
      return { text: block?.text ?? "", isError: result.isError === true, data: result.structuredContent };
    },
  };
}

export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
} as unknown as Log;

export interface InMemoryOptions extends ClientOptions, Omit<Partial<ServerOptions>, "settings"> {
  /** Variables without their common prefix. */
  settings?: Record<string, string>;
}

export interface InMemory extends TestClient {
  server: WorkflowsServer;
  /** Another client of the same server. */
  connect(options?: ClientOptions): Promise<TestClient>;
}

/** Fast polling, the simulated API's key and nothing else. */
export function testSettings(overrides: Record<string, string> = {}) {
  const values = {
    API_KEY: "test-key",
    POLLING_INTERVAL: "0.2",
    MAX_RETRIES: "0",
    // Whoever runs the tests may be logged in with gh.
    GITHUB: "off",
    ...overrides,
  };
  return readSettings(
    Object.fromEntries(Object.entries(values).map(([name, value]) => [`AUTOMAGIK_WORKFLOWS_${name}`, value])),
  );
}

/** The server and a client in one process. Both are closed when the test ends. */
export async function connectInMemory(options: InMemoryOptions = {}): Promise<InMemory> {
  const { name, onForm, roots, widgets, settings, ...server } = options;
  const made = createServer({
    sharesMachine: true,
    env: { PATH: process.env.PATH },
    log: silentLog,
    ...server,
    settings: testSettings(settings),
  });
  async function connect(clientOptions: ClientOptions = {}): Promise<TestClient> {
    const test = createTestClient(clientOptions);
    const [clientSide, serverSide] = InMemoryTransport.createLinkedPair();
    await Promise.all([made.connect(serverSide), test.client.connect(clientSide)]);
    onTestFinished(() => test.client.close());
    return test;
  }
  onTestFinished(() => made.close(0));
  const first = await connect({
    ...(name ? { name } : {}),
    ...(onForm ? { onForm } : {}),
    ...(roots ? { roots } : {}),
    ...(widgets ? { widgets } : {}),
  });
  return { ...first, server: made, connect };
}

/** Everything that a run asks for, given beforehand, so that no form is needed. */
export const COMPLETE = {
  workflow_name: "architect",
  message: "Design the JWT login for my app",
  session_name: "auth-system-project",
  repository_url: "",
  git_branch: "",
} as const;

/** Waits until the condition holds, and gives what it has found; for things that give no event. */
export async function until<T>(
  condition: () => T | Promise<T>,
  what = "the condition",
  timeoutMs = 60_000,
): Promise<Exclude<T, false | null | undefined>> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await condition();
    if (found) return found as Exclude<T, false | null | undefined>;
    if (Date.now() > end) throw new Error(`Timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
