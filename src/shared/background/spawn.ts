import { spawn } from "node:child_process";
import type { Writable } from "node:stream";
import { type BackgroundLog, type LogPaths, openBackgroundLog } from "./log-file.js";

/** A process right after its start. */
export interface StartedProcess {
  pid: number;
  /** The exit code once it has ended, or the signal's name. */
  ended: Promise<number | string>;
  /** What it has written last, in one line; "" for nothing. */
  lastWords(): string;
}

/**
 * Starts a process in the background: in a session of its own, so that no terminal and no chat window takes it along
 * when it closes; its output goes to its log. Rejects when that cannot be done.
 * @param options.args the program's own, a script first where it is one
 * @param options.env the whole environment; see {@link backgroundEnvironment}
 * @param options.cwd a folder that stays; not the chat window's
 * @param options.log in a folder that exists
 * @param options.input what it gets on its stdin, which is closed then; nothing when left out
 */
export async function spawnInBackground(options: {
  program: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd: string;
  log: LogPaths;
  input?: string;
}): Promise<StartedProcess> {
  const { program, args, env, cwd, input } = options;
  const open = () => openBackgroundLog(options.log, "The log");
  const log = open();
  const sizeBefore = log.size();
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: [input === undefined ? "ignore" : "pipe", log.fd, log.fd],
      env,
      cwd,
      windowsHide: true,
    });
    const ended = new Promise<number | string>((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? signal ?? 1));
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    child.unref();
    if (child.stdin && input !== undefined) handOver(child.stdin, input);
    return { pid: child.pid as number, ended, lastWords: () => readLastLine(open, sizeBefore) };
  } finally {
    log.close();
  }
}

/** One that has ended before it has read it says so by its exit code. */
function handOver(stdin: Writable, input: string): void {
  stdin.on("error", () => {});
  stdin.end(input);
}

function readLastLine(open: () => BackgroundLog, behind: number): string {
  try {
    const log = open();
    try {
      return log.lastLine(behind);
    } finally {
      log.close();
    }
  } catch {
    return "";
  }
}

/**
 * Variables that belong to the process that starts another one and not to the person: they would tie that one, or an
 * agent of its, to a chat window, a debugger or a package manager's script that is long gone.
 */
const OF_THE_STARTER = [
  // With these an agent takes itself for a part of the one that has started us.
  "CLAUDECODE",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_SSE_PORT",
  "INIT_CWD",
  "NODE_CHANNEL_FD",
  "NODE_CHANNEL_SERIALIZATION_MODE",
  "NODE_UNIQUE_ID",
  "NODE_V8_COVERAGE",
  "OLDPWD",
  "PWD",
  "VSCODE_INSPECTOR_OPTIONS",
];

/** What npm and npx add for the script they run. The person's own `npm_config_…` stay. */
const OF_NPM =
  /^npm_(lifecycle|package|command|execpath|node_execpath|config_(local_prefix|user_agent|npm_version))/;

/**
 * The environment of a process in the background: the person's, without this product's own variables (the key of
 * another server is among them) and without what belongs to the starter only; then the given ones.
 * @param variables whole names
 */
export function backgroundEnvironment(
  env: NodeJS.ProcessEnv,
  variables: Record<string, string>,
): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) =>
      !name.startsWith("AUTOMAGIK_WORKFLOWS_") && !OF_NPM.test(name) && !OF_THE_STARTER.includes(name),
  );
  const result: NodeJS.ProcessEnv = { ...Object.fromEntries(kept), ...variables };
  // A debugger's port is the starter's; all other options may be needed (certificates, memory).
  const options = result.NODE_OPTIONS?.split(/\s+/).filter((option) => !option.startsWith("--inspect"));
  if (options) result.NODE_OPTIONS = options.join(" ");
  return result;
}
