import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serveSimulatedApi } from "../mocks/serve.js";

/** The bin as it is published. */
export const BIN = fileURLToPath(new URL("../dist/cli.js", import.meta.url));
const LIMIT_MS = 20_000;

/** A simulated API, and the environment in which the bin knows it and nothing else. */
export async function prepareProduct(settings: Record<string, string> = {}) {
  const api = await serveSimulatedApi({ paceMs: 20 });
  const folder = mkdtempSync(join(tmpdir(), "automagik-check-"));
  const values = { API_KEY: "test-key", BASE_URL: api.url, STATE_DIR: folder, ...settings };
  const variables = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`AUTOMAGIK_WORKFLOWS_${name}`, value]),
  );
  return {
    variables,
    env: { PATH: process.env.PATH, HOME: folder, ...variables } as NodeJS.ProcessEnv,
    async close() {
      await api.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Starts the bin with `serve`, on a free loopback port. @returns its origin, and how to end it */
export async function serveProduct(
  settings: Record<string, string>,
): Promise<{ url: string; close(): Promise<void> }> {
  const { env, close } = await prepareProduct(settings);
  const child = spawn(process.execPath, [BIN, "serve", "--port", "0"], {
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
    await close();
  };
  let stderr = "";
  try {
    const url = await new Promise<string>((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`The server does not serve: ${stderr}`)), LIMIT_MS);
      child.stderr.setEncoding("utf8").on("data", (text) => {
        stderr += text;
        const [, found] = /^Serving at (http:\S+)\/mcp/m.exec(stderr) ?? [];
        if (found) resolve(found);
        if (found) clearTimeout(limit);
      });
      void ended.then(() => reject(new Error(`The server has ended: ${stderr}`)));
    });
    return { url, close: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
