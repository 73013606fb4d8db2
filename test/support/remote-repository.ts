import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./bin.js";
import { copyRepository, runGit } from "./git-place.js";

const env = { PATH: process.env.PATH, GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" };

/** Git without anybody's settings. */
export const plainGit = (at: string, ...args: string[]): string => runGit(env, at, ...args);

/** A repository on a host that machines reach by ssh; they share nothing else. */
export interface RemoteRepository {
  bare: string;
  address: string;
  /** The home of another machine that reaches it. */
  makeHome(): string;
}

/** Makes one with one commit on `main`. */
export function makeRemoteRepository(): RemoteRepository {
  const folder = temporaryFolder("automagik-remote-");
  const bare = join(folder, "shop.git");
  copyRepository(join(folder, "made"));
  plainGit(folder, "clone", "--quiet", "--bare", join(folder, "made"), bare);
  // What ssh would do on the other machine, done here: the last argument is the command to run.
  const ssh = join(folder, "ssh");
  writeFileSync(ssh, '#!/bin/sh\nfor last; do :; done\neval "exec $last"\n', { mode: 0o755 });
  const settings = `[core]\n\tsshCommand = ${ssh}\n[user]\n\tname = Agent\n\temail = agent@host.example\n`;
  return {
    bare,
    address: `ssh://git@host.example${bare}`,
    makeHome() {
      const home = temporaryFolder("automagik-worker-");
      writeFileSync(join(home, ".gitconfig"), settings);
      return home;
    },
  };
}

/** The worktree of the only session at a worker. */
export function worktreeOf({ home }: { home: string }): string {
  const worktrees = join(home, "engine", "workspaces", "worktrees");
  return join(worktrees, readdirSync(worktrees)[0] ?? "");
}
