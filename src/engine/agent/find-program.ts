import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, readFile, stat } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { programFolders } from "../../shared/program-path.js";

/** A cold start from a slow disk takes seconds; a longer one counts as hanging. In ms. */
const PROBE_TIMEOUT_MS = 15_000;

/** The absolute path of a program, looked up as a shell would; undefined when there is none. */
export async function findProgram(
  command: string,
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform,
): Promise<string | undefined> {
  const endings = platform === "win32" ? [".exe", ".cmd", ""] : [""];
  const isPath = isAbsolute(command) || /[/\\]/.test(command);
  const bases = isPath ? [command] : programFolders(env).map((folder) => join(folder, command));
  for (const base of bases.filter(isAbsolute)) {
    for (const ending of endings) {
      const path = base + ending;
      if (!(await isProgram(path, platform))) continue;
      const target = /\.cmd$/i.test(path) ? await readShim(path) : path;
      if (target) return target;
    }
  }
  return undefined;
}

async function isProgram(path: string, platform: NodeJS.Platform): Promise<boolean> {
  try {
    if (!(await stat(path)).isFile()) return false;
    const isScript = /\.[cm]?js$/.test(path);
    await access(path, platform === "win32" || isScript ? constants.R_OK : constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What npm's `.cmd` file starts: Node starts no batch files without a shell, and a shell would read the arguments. */
async function readShim(path: string): Promise<string | undefined> {
  const text = await readFile(path, "utf8").catch(() => "");
  const target = /"%(?:~dp0|dp0%)\\?([^"%]+\.(?:exe|[cm]?js))"/i.exec(text)?.[1];
  return target && join(dirname(path), ...target.split("\\").filter(Boolean));
}

/** Runs a program to its end, and gives what it wrote. Never throws. */
export function probe(
  path: string,
  args: string[],
  env: NodeJS.ProcessEnv,
): Promise<{ ok: boolean; stdout: string; stderr: string }> {
  const isScript = /\.[cm]?js$/.test(path);
  const [command, all] = isScript ? [process.execPath, [path, ...args]] : [path, args];
  return new Promise((resolve) => {
    execFile(
      command,
      all,
      { env, timeout: PROBE_TIMEOUT_MS, killSignal: "SIGKILL", windowsHide: true },
      (error, stdout, stderr) => {
        resolve({ ok: error === null, stdout, stderr: stderr || (error?.message ?? "") });
      },
    ).stdin?.end();
  });
}
