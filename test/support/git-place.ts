import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { OwnWorkspaces, Workspaces, WorkspacesOptions } from "../../src/engine/workspaces/workspaces.js";
import { createWorkspaces } from "../../src/engine/workspaces/workspaces.js";
import { systemClock } from "../../src/shared/clock.js";
import { engineFolder } from "./local-engine.js";

/** What keeps the person's own git settings out, and git from starting anything in the background. */
const PLAIN = [
  ...["-c", "user.name=Test", "-c", "user.email=test@example.com"],
  ...["-c", "gc.auto=0", "-c", "maintenance.auto=false"],
];

/** Runs git as a person would, and gives what it wrote. @throws when it fails */
export function runGit(env: NodeJS.ProcessEnv, at: string, ...args: string[]): string {
  const stdio: ["ignore", "pipe", "ignore"] = ["ignore", "pipe", "ignore"];
  return execFileSync("git", ["-C", at, ...PLAIN, ...args], { env, encoding: "utf8", stdio }).trim();
}

/**
 * Commits all there is, in one start of a shell: each start from here costs more than git itself takes.
 * @returns the commit
 */
export function commitAll(env: NodeJS.ProcessEnv, at: string, message: string): string {
  const steps =
    'message=$1; shift; git "$@" add --all && git "$@" commit -q -m "$message" && git rev-parse HEAD';
  const stdio: ["ignore", "pipe", "ignore"] = ["ignore", "pipe", "ignore"];
  const options = { cwd: at, env, encoding: "utf8", stdio } as const;
  return execFileSync("/bin/sh", ["-c", steps, "sh", message, ...PLAIN], options).trim();
}

let template: string | undefined;

/** Puts a repository with one commit, of `readme.md` on `main`, into a folder that is not there yet. */
export function copyRepository(folder: string): void {
  if (template === undefined) {
    const made = mkdtempSync(join(tmpdir(), "automagik-template-"));
    process.once("exit", () => rmSync(made, { recursive: true, force: true }));
    const env = { PATH: process.env.PATH, GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" };
    runGit(env, made, "init", "--quiet", "--initial-branch", "main");
    writeFileSync(join(made, "readme.md"), "hello\n");
    commitAll(env, made, "Write readme.md");
    template = made;
  }
  cpSync(template, folder, { recursive: true });
}

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
  workspaces(options?: Partial<WorkspacesOptions>): OwnWorkspaces;
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

  const git = (at: string, ...args: string[]) => runGit(env, at, ...args);
  function write(at: string, path: string, text: string): void {
    mkdirSync(dirname(join(at, path)), { recursive: true });
    writeFileSync(join(at, path), text);
  }
  function commit(at: string, files: Record<string, string>): string {
    for (const [path, text] of Object.entries(files)) write(at, path, text);
    return commitAll(env, at, `Write ${Object.keys(files).join(" and ")}`);
  }

  copyRepository(source);
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
