import { resolve, sep } from "node:path";
import type { GitLocation, GitRunner } from "./git-runner.js";

/** Values by the setting's name, in lower case; of one that stands in several files, the last counts, as for git. */
type Settings = Map<string, string>;

const HOOKS = "core.hookspath";

/**
 * What a person's git lacks of a name for commits, as environment: an agent's commits must not fail for want of
 * one. Empty when git has both.
 */
export async function identityEnv(
  git: GitRunner,
  at: GitLocation,
  own: NodeJS.ProcessEnv,
): Promise<Record<string, string>> {
  return missingIdentity(await readSettings(git, at, "user\\.(name|email)"), own);
}

/**
 * What an agent in a worktree is started with: `env` as of `identityEnv`, and whether git's hooks are files of the
 * repository, because `core.hooksPath` leads into the worktree (by the person's own settings, or because a script has
 * put it into the clone's, as husky does).
 */
export async function readAgentSettings(
  git: GitRunner,
  at: Required<GitLocation>,
  own: NodeJS.ProcessEnv,
): Promise<{ env: Record<string, string>; ownHooks: boolean }> {
  const settings = await readSettings(git, at, "user\\.(name|email)|core\\.hookspath");
  let path = settings.get(HOOKS);
  // Only git knows what stands for a home folder and the like.
  if (path !== undefined && /^[~%:]/.test(path))
    path = (await readSettings(git, at, "core\\.hookspath", ["--type=path"])).get(HOOKS);
  return {
    env: missingIdentity(settings, own),
    ownHooks: path !== undefined && leadsInto(at.worktree.path, path),
  };
}

/** @param names a regular expression of git's for whole names of settings */
async function readSettings(
  git: GitRunner,
  at: GitLocation,
  names: string,
  options: readonly string[] = [],
): Promise<Settings> {
  const args = ["config", "--show-scope", "-z", ...options, "--get-regexp", `^(${names})$`];
  const fields = (await git(args, { at, separator: "\0" })).text.split("\0");
  const settings: Settings = new Map();
  for (let index = 0; index + 1 < fields.length; index += 2) {
    // The name, a line end and the value.
    const [name = "", ...lines] = (fields[index + 1] ?? "").split("\n");
    // Our own git has the hooks off by its command line, which holds for nobody else.
    if (name !== HOOKS || fields[index] !== "command") settings.set(name, lines.join("\n"));
  }
  return settings;
}

function missingIdentity(settings: Settings, own: NodeJS.ProcessEnv): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [setting, part, neutral] of [
    ["user.name", "NAME", "Automagik Workflows"],
    ["user.email", "EMAIL", "automagik@localhost.invalid"],
  ] as const) {
    if (settings.get(setting)?.trim()) continue;
    if (part === "EMAIL" && own.EMAIL) continue;
    for (const role of ["AUTHOR", "COMMITTER"])
      if (!own[`GIT_${role}_${part}`]) env[`GIT_${role}_${part}`] = neutral;
  }
  return env;
}

function leadsInto(folder: string, path: string): boolean {
  const target = resolve(folder, path);
  return target === folder || target.startsWith(folder + sep);
}
