import { execFileSync } from "node:child_process";
import { mkdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Workspaces } from "../../src/engine/workspaces/workspaces.js";
import { createWorkspaces } from "../../src/engine/workspaces/workspaces.js";
import { systemClock } from "../../src/shared/clock.js";
import { engineFolder } from "./local-engine.js";

/** A folder with one local repository `source` on `main` and a place for workspaces beside it. */
export interface GitPlace {
  folder: string;
  source: string;
  env: NodeJS.ProcessEnv;
  git(folder: string, ...args: string[]): string;
  /** Writes the files and commits them with git as it is set up in `source`. */
  commit(folder: string, files: Record<string, string>): string;
  write(folder: string, path: string, text: string): void;
  /** Workspaces that may use `source`. */
  workspaces(options?: { env?: NodeJS.ProcessEnv; pushAllowed?: boolean }): Workspaces;
  /** What a run of the session asks for. */
  request(sessionKey?: string, gitBranch?: string): Parameters<Workspaces["prepare"]>[0];
  remove(): void;
}

/** Makes it; whoever does removes it. */
export function makeGitPlace(): GitPlace {
  const made = engineFolder();
  const folder = realpathSync(made.folder);
  const source = join(folder, "source");
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
  };
  let runs = 0;

  function git(at: string, ...args: string[]): string {
    const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
    const stdio: ["ignore", "pipe", "ignore"] = ["ignore", "pipe", "ignore"];
    return execFileSync("git", ["-C", at, ...identity, ...args], { env, encoding: "utf8", stdio }).trim();
  }
  function write(at: string, path: string, text: string): void {
    mkdirSync(dirname(join(at, path)), { recursive: true });
    writeFileSync(join(at, path), text);
  }
  function commit(at: string, files: Record<string, string>): string {
    for (const [path, text] of Object.entries(files)) write(at, path, text);
    git(at, "add", "--all");
    git(at, "commit", "--quiet", "--message", `Write ${Object.keys(files).join(" and ")}`);
    return git(at, "rev-parse", "HEAD");
  }

  mkdirSync(source);
  git(source, "init", "--quiet", "--initial-branch", "main");
  commit(source, { "readme.md": "hello\n" });
  return {
    folder,
    source,
    env,
    git,
    commit,
    write,
    workspaces: (options = {}) =>
      createWorkspaces({
        folder: join(folder, "workspaces"),
        allowedFolders: [folder],
        pushAllowed: false,
        sessionInUse: () => false,
        clock: systemClock,
        env,
        ...options,
      }),
    request: (sessionKey = "session", gitBranch) => ({
      sessionKey,
      runId: `run-${++runs}`,
      repositoryUrl: source,
      tempWorkspace: false,
      ...(gitBranch && { gitBranch }),
    }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
