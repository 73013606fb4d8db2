import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { serveSimulatedApi } from "../../mocks/serve.js";
import { VERSION } from "../version.js";
import { type Answerer, createAutomaticAnswerer, createKeyboardAnswerer } from "./answer-form.js";
import { createScreen, type Screen } from "./screen.js";
import { createScript } from "./script.js";
import { tellStory } from "./story.js";

export interface DemoOptions {
  /** With `output` a terminal too, the form is answered here. Default stdin. */
  input?: NodeJS.ReadStream;
  /** Default stdout: the demo serves nobody, so it is free. */
  output?: NodeJS.WriteStream;
  /** Where it is said that the demo failed. Default stderr. */
  errors?: NodeJS.WritableStream;
  /** How long a turn of the simulated run takes, in ms. Default 1000. */
  paceMs?: number;
  /** The built server's script. Default: the one beside this file. */
  serverScript?: string;
}

const API_KEY = "demo-key";
/** Exit codes of an ended program by convention: 128 and the signal's number. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
/** A process that was killed is gone well within this; a spawn that failed may never say so. */
const GONE_LIMIT_MS = 5_000;
/** What is shown of the server's own log after a failure, in characters. */
const LOG_LIMIT = 2_000;

/**
 * Shows the main job from end to end: a chat client, the built server as its child, and a simulated API, all on
 * this machine. Leaves nothing behind, however it ends. Never throws: a failure is told in plain words and sets the
 * process's exit code.
 */
export async function runDemo(options: DemoOptions = {}): Promise<void> {
  const { input = process.stdin, output = process.stdout, errors = process.stderr } = options;
  const stopping = new AbortController();
  let exitCode = 0;
  const stop = (code: number) => {
    exitCode ||= code;
    stopping.abort(new Error("The demo was stopped."));
  };
  const handlers = Object.entries(SIGNALS).map(([signal, code]) => [signal, () => stop(code)] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  // The reader has gone, as with `| head`: there is nobody to show anything to.
  const onOutputError = () => stop(1);
  output.on("error", onOutputError);

  const screen = createScreen(output, process.env);
  const keyboard = Boolean(input.isTTY && output.isTTY);
  const serverLog: string[] = [];
  try {
    await playOnStage({
      screen,
      answerer: keyboard
        ? createKeyboardAnswerer({ input, output, screen, interrupt: () => stop(SIGNALS.SIGINT) })
        : createAutomaticAnswerer(screen),
      paceMs: options.paceMs ?? 1000,
      serverScript: options.serverScript ?? fileURLToPath(new URL("../cli.js", import.meta.url)),
      signal: stopping.signal,
      onServerLog: (text) => serverLog.push(text),
    });
  } catch (error) {
    screen.endBar();
    if (!stopping.signal.aborted) {
      exitCode = 1;
      errors.write(`The demo failed: ${(error as Error).message}\n`);
      const log = serverLog.join("").trim();
      if (log) errors.write(`The server's log:\n${log.slice(-LOG_LIMIT)}\n`);
    } else if (exitCode !== 1) errors.write("The demo was stopped.\n");
  } finally {
    for (const [signal, handler] of handlers) process.off(signal, handler);
    if (exitCode === 0) output.off("error", onOutputError);
    else process.exitCode = exitCode;
  }
}

/** Sets everything up, has the story told, and takes everything down in the opposite order. */
async function playOnStage(options: {
  screen: Screen;
  answerer: Answerer;
  paceMs: number;
  serverScript: string;
  signal: AbortSignal;
  onServerLog: (text: string) => void;
}): Promise<void> {
  const { screen, signal, serverScript } = options;
  if (!existsSync(serverScript)) throw new Error("The server is not built yet: npm run build");
  const takeDown: (() => Promise<unknown>)[] = [];
  const problems: unknown[] = [];
  try {
    const folder = await mkdtemp(join(tmpdir(), "automagik-workflows-demo-"));
    takeDown.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    const served = await serveSimulatedApi({ apiKey: API_KEY, script: createScript(options.paceMs) });
    takeDown.push(() => served.close());

    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [serverScript],
      stderr: "pipe",
      cwd: folder,
      // The SDK adds PATH, HOME and the like of the person's environment, and nothing else.
      env: {
        AUTOMAGIK_WORKFLOWS_BASE_URL: served.url,
        AUTOMAGIK_WORKFLOWS_API_KEY: API_KEY,
        AUTOMAGIK_WORKFLOWS_POLLING_INTERVAL: "0.2",
        AUTOMAGIK_WORKFLOWS_STATE_DIR: folder,
      },
    });
    transport.stderr?.on("data", (chunk) => options.onServerLog(String(chunk)));
    const client = new Client(
      { name: "automagik-workflows-demo", version: VERSION },
      { capabilities: { elicitation: { form: {} } } },
    );
    let setGone = () => {};
    const gone = new Promise<void>((resolve) => {
      setGone = resolve;
      client.onclose = resolve;
    });
    let started = false;
    takeDown.push(async () => {
      await client.close();
      if (!started) return;
      // Closing gives up waiting after a kill; the folder must not go before its writer.
      const timer = setTimeout(setGone, GONE_LIMIT_MS);
      await gone;
      clearTimeout(timer);
    });
    async function connect(): Promise<void> {
      started = true;
      await client.connect(transport, { signal });
    }

    screen.line("A chat client, this server and a simulated workflows API, all on this machine.", "dim");
    await tellStory({ ...options, client, connect });
    screen.heading("The API was simulated: nothing was sent anywhere and nothing was paid.");
    screen.line(
      "With a real API, let your chat client start `automagik-workflows-mcp` with\n" +
        "AUTOMAGIK_WORKFLOWS_BASE_URL and AUTOMAGIK_WORKFLOWS_API_KEY set; see --help.",
    );
  } finally {
    // One that fails must not keep the others from being done.
    for (const step of takeDown.reverse()) await step().catch((error) => problems.push(error));
  }
  if (problems.length > 0) throw problems[0];
}
