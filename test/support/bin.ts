import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ReadBuffer, serializeMessage } from "@modelcontextprotocol/sdk/shared/stdio.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { onTestFinished } from "vitest";
import { type ClientOptions, createTestClient, type TestClient } from "./harness.js";

/** The bin as it is published; the test command builds it first. */
export const BIN = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

export interface Bin extends TestClient {
  child: ChildProcess;
  /** Everything the process has written to stdout and stderr. */
  stdout(): string;
  stderr(): string;
  stateFolder: string;
  /** The exit code, or the signal's name; waits until the process is gone and its output is read. */
  ended(): Promise<number | string>;
}

export interface BinOptions extends ClientOptions {
  /** The API's address; without it only `settings` and `env` say where it is. */
  url?: string;
  /** Variables without their common prefix; an empty text is as good as none. */
  settings?: Record<string, string>;
  /** Further variables under their whole names. */
  env?: Record<string, string>;
  args?: string[];
  stateFolder?: string;
}

/** A folder that is gone after the test. */
export function temporaryFolder(name = "automagik-test-"): string {
  const folder = mkdtempSync(join(tmpdir(), name));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Settings as variables under their whole names. */
export function toVariables(settings: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`AUTOMAGIK_WORKFLOWS_${name}`, value]),
  );
}

/** Starts the bin as a chat client does and connects a client of the SDK to it. */
export async function startBin(options: BinOptions): Promise<Bin> {
  const stateFolder = options.stateFolder ?? temporaryFolder();
  const variables = toVariables({
    API_KEY: "test-key",
    POLLING_INTERVAL: "0.2",
    STATE_DIR: stateFolder,
    ...(options.url ? { BASE_URL: options.url } : {}),
    ...options.settings,
  });
  const { child, stdout, stderr, ended } = spawnBin(options.args ?? [], {
    HOME: stateFolder,
    ...variables,
    ...options.env,
  });
  const test = createTestClient(options);
  onTestFinished(() => test.client.close().catch(() => {}));
  try {
    await test.client.connect(overChild(child));
  } catch (error) {
    throw new Error(`The process ended with ${await ended()}: ${stderr()}`, { cause: error });
  }
  return { ...test, child, stdout, stderr, stateFolder, ended };
}

/** Runs the bin to its end, without a client and with nothing to read. */
export async function runBin(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number | string; stdout: string; stderr: string }> {
  const { child, stdout, stderr, ended } = spawnBin(args, { HOME: temporaryFolder(), ...env });
  child.stdin?.end();
  return { code: await ended(), stdout: stdout(), stderr: stderr() };
}

/** Starts the bin and keeps what it writes; it is killed when the test ends. */
export function spawnBin(args: string[], env: Record<string, string>, cwd?: string) {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd,
    // Nobody who runs the tests is told on their desktop.
    env: { PATH: process.env.PATH, AUTOMAGIK_WORKFLOWS_NOTIFY: "off", ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  // The process may be gone before everything is written to it.
  child.stdin.on("error", () => {});
  const gone = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await gone;
  });
  return { child, stdout: () => stdout, stderr: () => stderr, ended: () => gone };
}

/** The SDK's own stdio transport hides the process; this one leaves it to the test. */
function overChild(child: ChildProcess): Transport {
  const buffer = new ReadBuffer();
  const transport: Transport = {
    async start() {
      child.stdout?.on("data", (text: string) => {
        buffer.append(Buffer.from(text));
        for (let message = buffer.readMessage(); message; message = buffer.readMessage()) {
          transport.onmessage?.(message);
        }
      });
      child.stdout?.on("end", () => transport.onclose?.());
    },
    async send(message) {
      child.stdin?.write(serializeMessage(message));
    },
    async close() {
      child.stdin?.end();
      transport.onclose?.();
    },
  };
  return transport;
}
