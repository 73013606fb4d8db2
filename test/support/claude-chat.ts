import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, vi } from "vitest";
import {
  type ModelRequest,
  type ScriptedAnthropic,
  serveScriptedAnthropic,
} from "../../mocks/scripted-anthropic.js";
import { runBin, temporaryFolder, toVariables } from "./bin.js";
import { type ClaudeWindow, openWindow, PATIENCE, settleClaude } from "./claude-window.js";
import { endAll, processesWith } from "./one-machine.js";
import { recordHttp } from "./record-http.js";

/** The program that CLAUDE_CLI names. */
export const CLAUDE = process.env.CLAUDE_CLI ?? "claude";
export const TOOL = "mcp__automagik__orchestrate_workflow";
const KEY = "sk-ant-test-0123456789abcdefghij";
const RELAY = fileURLToPath(new URL("recording-relay.mjs", import.meta.url));

/** A person's home with the real Claude Code as the chat client of our server, and a scripted model behind it. */
export interface ClaudeChat {
  home: string;
  env: Record<string, string>;
  model: ScriptedAnthropic;
  /** Opens a window, and waits until the server's lists are there. */
  open(...args: string[]): Promise<ClaudeWindow>;
  /** Says one thing to `claude -p`, and waits for its end. */
  print(text: string): Promise<{ stdout: string }>;
  /** What the client has sent to the server, of that method; oldest first. */
  sent(method: string): Frame[];
  /** Waits until so many of them were sent; gives them. */
  sends(method: string, times?: number): Promise<Frame[]>;
  /** Waits until the model has read a text that matches in the newest message of a request; gives that request. */
  modelReads(what: RegExp): Promise<ModelRequest>;
  /** What the model has read last of all tools, as it came. */
  toolResult(): string;
}

export interface Frame {
  method: string;
  // biome-ignore lint/suspicious/noExplicitAny: looked at field by field
  params: any;
}

export interface ChatOptions {
  /** What the model calls the tool with, by what the person has said. */
  calls: Record<string, object>;
  /** Settings that `install` writes into the client's entry, without their common prefix. */
  settings?: Record<string, string>;
  /** Further variables of the server's entry, under their whole names. */
  serverEnv?: Record<string, string>;
  /** Further variables of Claude Code. */
  env?: Record<string, string>;
  /** An HTTP server's origin in place of one over stdio, and the token for it. */
  http?: { url: string; token: string };
}

export async function settleChat(options: ChatOptions): Promise<ClaudeChat> {
  const model = await serveScriptedAnthropic({ handler: (request) => answer(request, options.calls) });
  onTestFinished(() => model.close());
  const home = temporaryFolder();
  onTestFinished(() => endAll(processesWith(home)));
  settleClaude(home, KEY);
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: home,
    LANG: "C.UTF-8",
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: KEY,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
    ...toVariables({ API_KEY: "test-key" }),
    ...options.env,
  };
  const record = join(home, "frames");
  await addServer(home, env, record, options);

  const frames = (mark: ">" | "<"): Frame[] =>
    (existsSync(record) ? readFileSync(record, "utf8") : "")
      .split("\n")
      .filter((line) => line.startsWith(mark) && line.endsWith("}"))
      .map((line) => JSON.parse(line.slice(1)));
  const sent = (method: string) => frames(">").filter((frame) => frame.method === method);
  return {
    home,
    env,
    model,
    sent,
    async open(...args) {
      const before = frames("<").length;
      const window = await openWindow({
        program: CLAUDE,
        args: ["--allowedTools", TOOL, ...args],
        env,
        folder: home,
      });
      await window.shows(/^❯/m);
      const hasLists = () => {
        const answers = JSON.stringify(frames("<").slice(before));
        return ['"tools":[', '"resources":[', '"prompts":['].every((list) => answers.includes(list));
      };
      await vi.waitFor(() => expect(hasLists(), window.screen()).toBe(true), PATIENCE);
      return window;
    },
    print(text) {
      const printing = promisify(execFile)(CLAUDE, ["-p", "--allowedTools", TOOL, "--", text], {
        env,
        cwd: home,
      });
      printing.child.stdin?.end();
      return printing;
    },
    sends: (method, times = 1) =>
      vi.waitFor(() => {
        const found = sent(method);
        if (found.length < times) throw new Error(`${method} was sent ${found.length} times.`);
        return found;
      }, PATIENCE),
    modelReads: (what) =>
      vi.waitFor(() => {
        const found = model.requests.find(({ body }) => what.test(newestOf(body)));
        if (!found)
          throw new Error(`The model has not read ${what}: ${newestOf(model.requests.at(-1)?.body)}`);
        return found;
      }, PATIENCE),
    toolResult: () => model.requests.at(-1)?.toolResults.at(-1)?.text ?? "",
  };
}

/** The newest message that is not the model's own. */
export function newestOf(body: Record<string, unknown> | undefined): string {
  return JSON.stringify((body?.messages as object[] | undefined)?.at(-1) ?? "");
}

/** By `install`, as a person does it; what passes between the two is recorded then. */
async function addServer(
  home: string,
  env: Record<string, string>,
  record: string,
  options: ChatOptions,
): Promise<void> {
  const file = join(home, ".claude.json");
  const change = (edit: (config: { mcpServers: Record<string, object> }) => void) => {
    const config = JSON.parse(readFileSync(file, "utf8"));
    edit(config);
    writeFileSync(file, JSON.stringify(config));
  };
  const { http } = options;
  if (http) {
    const url = await recordHttp(http.url, record);
    const headers = { Authorization: `Bearer ${http.token}` };
    change((config) => {
      config.mcpServers = { automagik: { type: "http", url: `${url}/mcp`, headers } };
    });
    return;
  }
  const written = toVariables({
    STATE_DIR: home,
    POLLING_INTERVAL: "0.2",
    NOTIFY: "off",
    ...options.settings,
  });
  const installed = await runBin(["install", "claude-code", "--yes"], { ...env, ...written });
  expect(installed).toMatchObject({ code: 0 });
  change(({ mcpServers }) => {
    const entry = mcpServers.automagik as { command: string; args: string[]; env: object };
    entry.args = [RELAY, record, entry.command, ...entry.args];
    entry.env = { ...entry.env, ...options.serverEnv };
  });
}

/** Calls the tool once for each thing that the person has said, and has it loaded first where that is needed. */
function answer(request: ModelRequest, calls: Record<string, object>) {
  const said = request.userTexts.filter((text) => calls[text.trim()]);
  const id = `call-${said.length}`;
  if (said.length === 0 || JSON.stringify(request.body.messages).includes(`"${id}"`)) return undefined;
  if (!request.tools.includes(TOOL))
    return { tools: [{ name: "ToolSearch", input: { query: `select:${TOOL}`, max_results: 1 } }] };
  return { tools: [{ id, name: TOOL, input: calls[said.at(-1)?.trim() ?? ""] }] };
}
