import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildEnvironment } from "../environment.js";
import type { JsonRecord } from "../json.js";
import { CLAUDE_VARIABLES } from "./environment.js";

/** Whether the agent's own sandbox can be used on this machine, and with less where it has to be. */
export type Sandbox = { usable: true; weaker: boolean } | { usable: false; why: string };

/** A container is made in some ms; on a busy machine in seconds. */
const PROBE_MS = 10_000;
const CONTAINER = [
  "--unshare-user",
  "--unshare-pid",
  "--unshare-net",
  "--ro-bind",
  "/",
  "/",
  "--dev",
  "/dev",
];

/**
 * Looks for what Claude Code's sandbox needs, and tries it: a program that is there may not be allowed to work.
 * @param options.env what the programs' environment is made of: they are started with what agents get of it, less the
 * variables that settings pass to agents, which are credentials
 */
export async function findSandbox(options: {
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
}): Promise<Sandbox> {
  const { platform } = options;
  if (platform === "darwin") {
    if (existsSync("/usr/bin/sandbox-exec")) return { usable: true, weaker: false };
    return { usable: false, why: "this macOS has no sandbox-exec" };
  }
  if (platform !== "linux") return { usable: false, why: "Claude Code has none for this system" };
  const env = buildEnvironment(options.env, randomUUID().replaceAll("-", ""), [], CLAUDE_VARIABLES);
  const runs = (program: string, args: string[]) =>
    new Promise<"yes" | "no" | "missing">((resolve) => {
      execFile(program, args, { env, timeout: PROBE_MS, killSignal: "SIGKILL" }, (error) => {
        if (!error) resolve("yes");
        else resolve((error as NodeJS.ErrnoException).code === "ENOENT" ? "missing" : "no");
      });
    });
  const [whole, socat] = await Promise.all([
    runs("bwrap", [...CONTAINER, "--proc", "/proc", "true"]),
    runs("socat", ["-V"]),
  ]);
  const missing = [whole === "missing" && "bubblewrap", socat !== "yes" && "socat"].filter(Boolean);
  if (missing.length > 0) return { usable: false, why: `${missing.join(" and ")} not found` };
  if (whole === "yes") return { usable: true, weaker: false };
  // In a container of its own a machine may not let it have a view of the processes.
  if ((await runs("bwrap", [...CONTAINER, "true"])) === "yes") return { usable: true, weaker: true };
  return { usable: false, why: "this system does not let bubblewrap make a container" };
}

/**
 * The agent's settings for its sandbox. Commands write below the workspace only, cannot read what is private, reach no
 * service of this machine, and each host beyond it is asked. What is to run outside of it is asked as well.
 */
export function sandboxSettings(sandbox: { weaker: boolean }, privatePaths: readonly string[]): JsonRecord {
  return {
    enabled: true,
    // Without it the agent would go on without a sandbox and say so to nobody.
    failIfUnavailable: true,
    // What a command may do is decided as before; the sandbox is no reason to ask for less.
    autoAllowBashIfSandboxed: false,
    allowUnsandboxedCommands: true,
    ...(sandbox.weaker ? { enableWeakerNestedSandbox: true } : {}),
    filesystem: { denyRead: privatePaths, denyWrite: privatePaths },
    network: { deniedDomains: ["localhost", "*.localhost", "127.0.0.1"] },
  };
}

const BEGIN = "# Files that the sandbox of Claude Code shows where there are none";
/** A folder of that name is not meant. */
const SHOWN = [
  ".bash_profile",
  ".bashrc",
  ".gitconfig",
  ".gitmodules",
  ".idea",
  "!.idea/",
  ".mcp.json",
  ".profile",
  ".ripgreprc",
  ".vscode",
  "!.vscode/",
  ".zprofile",
  ".zshrc",
  ".claude/*",
  "!.claude/*/",
];

/**
 * In the sandbox some names stand in the workspace as devices, so that no command makes such a file: `git add .` would
 * fail over them, and `git status` show them. So they are excluded for git, where the workspace is a worktree; what the
 * repository has of these names is tracked, and stays so. Throws what the file system throws.
 */
export function hideSandboxFiles(workspace: string): void {
  const link = join(workspace, ".git");
  if (!existsSync(link)) return;
  const [, place] = /^gitdir: (.*\S)\s*$/.exec(readFileSync(link, "utf8")) ?? [];
  if (!place) return;
  // <clone>/worktrees/<name>
  const info = join(dirname(dirname(place)), "info");
  const file = join(info, "exclude");
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  if (text.includes(BEGIN)) return;
  mkdirSync(info, { recursive: true });
  const lines = SHOWN.map((name) => (name.startsWith("!") ? `!/${name.slice(1)}` : `/${name}`));
  appendFileSync(file, `${text && !text.endsWith("\n") ? "\n" : ""}${[BEGIN, ...lines].join("\n")}\n`);
}
