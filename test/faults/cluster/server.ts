import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { SUPER_TOOL } from "../../../src/server/tools/registry.js";
import type { Body } from "./calls.js";
import type { Machine } from "./machines.js";
import { type ClusterProgram, createProgram } from "./program.js";

/** The token of all clients of the servers. */
export const TOKEN = "a-token-of-the-whole-team";
/** Calls take longer only of a server that is frozen, or that waits for its database or API; in ms. */
const PATIENCE_MS = 25_000;

/** What a client of a server knows after a call. */
export type Told =
  | { kind: "done"; text: string; data: Body }
  | { kind: "refused"; text: string }
  | { kind: "lost"; why: string };

/**
 * A server of the built bin, on its machine, which carries plans out.
 * @param options.api the address of the workers
 * @param options.folder in which its home is made
 */
export function createClusterServer(options: {
  index: number;
  machine: Machine;
  folder: string;
  database: string;
  api: string;
}): ClusterProgram {
  const { index, machine, folder, database, api } = options;
  return createProgram({
    ...{ index, machine, folder, name: `${machine.name}-server`, args: ["serve"] },
    listens: /^Serving at (http:\S+)\/mcp/m,
    settings: { DATABASE: database, BASE_URL: api, TOKENS: `team=${TOKEN}`, POLLING_INTERVAL: "0.5" },
  });
}

/** Calls the tool of a server once, as a client that shows no forms. Never rejects. */
export async function callServer(server: ClusterProgram, args: Record<string, unknown>): Promise<Told> {
  const transport = new StreamableHTTPClientTransport(new URL("/mcp", server.url()), {
    requestInit: { headers: { authorization: `Bearer ${TOKEN}` } },
    reconnectionOptions: {
      ...{ initialReconnectionDelay: 100, maxReconnectionDelay: 1_000, reconnectionDelayGrowFactor: 1 },
      maxRetries: 3,
    },
  });
  const client = new Client({ name: "faults", version: "1.0.0" });
  const signal = AbortSignal.timeout(PATIENCE_MS);
  try {
    await client.connect(transport as Transport, { signal });
    const { content, isError, structuredContent } = await client.callTool(
      { name: SUPER_TOOL, arguments: args },
      undefined,
      { signal },
    );
    const [block] = content as { text: string }[];
    const text = block?.text ?? "";
    return isError ? { kind: "refused", text } : { kind: "done", text, data: structuredContent };
  } catch (error) {
    return { kind: "lost", why: (error as Error).message };
  } finally {
    void client.close().catch(() => {});
  }
}
