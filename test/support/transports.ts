import { onTestFinished } from "vitest";
import { serveSimulatedApi } from "../../mocks/serve.js";
import type { World } from "../../mocks/world.js";
import { startBin, temporaryFolder } from "./bin.js";
import { type ClientOptions, connectInMemory, type TestClient } from "./harness.js";
import { startHttp } from "./http.js";

export interface Stage {
  /** The simulated API behind the server. */
  api: Awaited<ReturnType<typeof serveSimulatedApi>>["api"];
  world: World;
  /** Another client; over stdio it has a process of its own, with the same sessions. */
  connect(options?: ClientOptions): Promise<TestClient>;
}

const SERVERS: Record<string, (url: string) => (options: ClientOptions) => Promise<TestClient>> = {
  "in memory": (url) => {
    const first = connectInMemory({ settings: { BASE_URL: url }, name: "first" });
    return async (options) => (await first).connect(options);
  },
  stdio: (url) => {
    const stateFolder = temporaryFolder();
    return (options) => startBin({ ...options, url, stateFolder });
  },
  HTTP: (url) => {
    const http = startHttp({ settings: { BASE_URL: url } });
    return async (options) => (await http).connect(options);
  },
  "HTTP without a standalone stream": (url) => {
    const http = startHttp({ settings: { BASE_URL: url } });
    return async (options) => (await http).connect({ ...options, withoutStream: true });
  },
};

/** Every way in which a client can be connected. */
export const TRANSPORTS = Object.keys(SERVERS);

/** A simulated API at a port of its own whose agents do as they are told, and a server before it. */
export async function setUp(transport: string): Promise<Stage> {
  const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual" });
  onTestFinished(() => served.close());
  const connect = SERVERS[transport]?.(served.url);
  if (!connect) throw new Error(`There is no transport ${transport}.`);
  return { api: served.api, world: served.api.world, connect: (options = {}) => connect(options) };
}
