import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { type Bin, type BinOptions, runBin, startBin, temporaryFolder, toVariables } from "./bin.js";

/** A person's machine: a home with nothing in it but what is made here, a repository, and one engine for all windows. */
export interface OneMachine {
  home: string;
  /** A real repository with one commit on `main`, in a folder that the engine may take repositories from. */
  repository: string;
  /** Opens a chat window: the published bin with `--engine local`, and a client. */
  openWindow(options?: Partial<BinOptions>): Promise<Bin>;
  /** `engine status`, `engine stop`. */
  engine(command: "status" | "stop"): ReturnType<typeof runBin>;
  /** The engine's process. */
  enginePid(): number;
  /** Everything that works in this home: servers, the engine, its agents and what these have started. */
  processes(): number[];
}

/** @param options.claudePath the agent's program; `env` goes to the windows, and through them to engine and agents */
export function createMachine(options: { claudePath: string; env?: Record<string, string> }): OneMachine {
  const home = temporaryFolder();
  const repository = temporaryFolder();
  writeFileSync(join(home, ".gitconfig"), "[user]\n\tname = Agent\n\temail = agent@host.example\n");
  writeFileSync(join(repository, "README.md"), "# Auth\n");
  git(repository, "init", "--quiet", "--initial-branch=main");
  git(repository, "add", ".");
  git(repository, "-c", "user.name=A", "-c", "user.email=a@host.example", "commit", "--quiet", "-m", "Begin");
  const processes = () => processesWith(home);
  onTestFinished(() => {
    endAll(processes());
  });
  return {
    home,
    repository,
    processes,
    openWindow: (own = {}) =>
      startBin({
        args: ["--engine", "local"],
        stateFolder: home,
        ...own,
        settings: { API_KEY: "", CLAUDE_PATH: options.claudePath, ENGINE_ALLOWED_FOLDERS: repository },
        ...(options.env ? { env: options.env } : {}),
      }),
    engine: (command) => runBin(["engine", command], { HOME: home, ...toVariables({ STATE_DIR: home }) }),
    enginePid: () => JSON.parse(readFileSync(join(home, "engine", "engine.json"), "utf8")).pid,
  };
}

/** Kills these processes at once; one that has just ended by itself will do as well. */
export function endAll(pids: readonly number[]): void {
  for (const pid of pids)
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
}

/** Closes a window as a chat client does; the server must end by itself. */
export async function closeWindow(bin: Bin): Promise<void> {
  await bin.client.close();
  expect(await bin.ended()).toBe(0);
}

export function git(folder: string, ...args: string[]): string {
  return execFileSync("git", ["-C", folder, ...args], { encoding: "utf8" }).trim();
}

/** Pids of processes that have the text in their environment. */
export function processesWith(text: string): number[] {
  if (!existsSync("/proc/self/environ")) {
    const rows = execFileSync("ps", ["-A", "-E", "-o", "pid=,command="], { encoding: "utf8" }).split("\n");
    return rows.filter((row) => row.includes(text)).map((row) => Number.parseInt(row, 10));
  }
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").includes(text);
      } catch {
        return false;
      }
    })
    .map(Number);
}
