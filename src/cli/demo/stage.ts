import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { VERSION } from "../../shared/version.js";
import type { Answerer } from "./answer-form.js";
import type { Screen } from "./screen.js";

/** What every demo is played with. */
export interface Play {
  screen: Screen;
  answerer: Answerer;
  /** The built server's script. */
  serverScript: string;
  /** Ends the play. */
  signal: AbortSignal;
  onServerLog: (text: string) => void;
}

/** Where a demo is played: everything on it is gone afterwards. */
export interface Stage {
  /** An empty folder. */
  folder: string;
  /** To be done at the end, the latest first, whatever has happened. */
  onTakeDown(step: () => Promise<unknown>): void;
  /** A chat client, and what starts the server as its child and connects them. */
  createClient(env: Record<string, string>): { client: Client; connect: () => Promise<void> };
}

/** A killed process is gone well within this time, in ms; a spawn that failed may never report its end. */
const GONE_LIMIT_MS = 5_000;

/** Sets the stage, has the play played, and takes everything down in the opposite order. */
export async function onStage(play: Play, perform: (stage: Stage) => Promise<void>): Promise<void> {
  const takeDown: (() => Promise<unknown>)[] = [];
  const problems: unknown[] = [];
  try {
    const folder = await mkdtemp(join(tmpdir(), "automagik-workflows-demo-"));
    takeDown.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    await perform({
      folder,
      onTakeDown: (step) => void takeDown.push(step),
      createClient: (env) => createClient(play, folder, env, takeDown),
    });
  } finally {
    // A step that fails must not keep the others from being done.
    for (const step of takeDown.reverse()) await step().catch((error) => problems.push(error));
  }
  if (problems.length > 0) throw problems[0];
}

function createClient(
  { serverScript, signal, onServerLog }: Play,
  folder: string,
  env: Record<string, string>,
  takeDown: (() => Promise<unknown>)[],
): ReturnType<Stage["createClient"]> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [serverScript],
    stderr: "pipe",
    cwd: folder,
    // The SDK adds PATH, HOME and the like of the person's environment, and nothing else.
    env,
  });
  transport.stderr?.on("data", (chunk) => onServerLog(String(chunk)));
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
  return {
    client,
    async connect() {
      started = true;
      await client.connect(transport, { signal });
    },
  };
}
