import { spawn } from "node:child_process";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { engineFiles } from "./engine-files.js";
import { openEngineLog } from "./engine-log-file.js";

/** An engine's process right after its start. */
export interface StartedProcess {
  pid: number;
  /** The exit code once it has ended, or the signal's name. */
  ended: Promise<number | string>;
  /** What it has written last, in one line; "" for nothing. */
  lastWords(): string;
}

/** Starts an engine for the state folder as a process of its own. Rejects when that cannot be done. */
export type SpawnEngine = () => Promise<StartedProcess>;

/**
 * What starts engines in the background: in a session of their own, so that no terminal and no chat window takes
 * them along when it closes; their output goes to the engine's log.
 * @param options.args the program's own, a script first where it is one
 * @param options.env the whole environment; see {@link engineEnvironment}
 * @param options.cwd a folder that stays; not the chat window's
 */
export function createSpawnEngine(options: {
  program: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd: string;
  stateFolder: string;
}): SpawnEngine {
  const { program, args, env, cwd, stateFolder } = options;
  return async () => {
    await ensurePrivateFolder(engineFiles(stateFolder).folder);
    const log = openEngineLog(stateFolder);
    const sizeBefore = log.size();
    try {
      const child = spawn(program, args, {
        detached: true,
        stdio: ["ignore", log.fd, log.fd],
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
      return { pid: child.pid as number, ended, lastWords: () => readLastLine(stateFolder, sizeBefore) };
    } finally {
      log.close();
    }
  };
}

function readLastLine(stateFolder: string, behind: number): string {
  try {
    const log = openEngineLog(stateFolder);
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
 * Variables that belong to the process that starts the engine and not to the person: they would tie the engine, or an
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
 * The environment of an engine in the background: the person's, without this product's own variables (the key of
 * another server is among them) and without what belongs to the starter only; then the given ones.
 * @param variables whole names
 */
export function engineEnvironment(
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
