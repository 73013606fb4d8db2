import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type GitRunner, mustGit } from "./git-runner.js";

/**
 * Settings of a bare clone that make git run no program, read no other file and connect nowhere else. Agents can
 * write to the clone's configuration; what they (or npm scripts) legitimately put there is on this list.
 * `core.hooksPath` is there for the agent's own commits: our git overrides it.
 */
const INERT =
  /^(?:core\.(?:repositoryformatversion|filemode|ignorecase|precomposeunicode|symlinks|logallrefupdates|autocrlf|eol|safecrlf|hookspath)|extensions\.(?:objectformat|refstorage|relativeworktrees)|user\.(?:name|email|signingkey)|branch\..+\.(?:remote|merge|rebase|pushremote)|remote\.(?!origin\.).+\.(?:url|pushurl|fetch|tagopt|prune)|pull\.(?:rebase|ff)|push\.(?:default|autosetupremote)|merge\.(?:ff|conflictstyle)|rerere\.enabled|lfs\.repositoryformatversion)$/s;

/** All branches of the remote, kept apart from the sessions' own. */
export const FETCH = "+refs/heads/*:refs/remotes/origin/*";

/**
 * Makes a clone's configuration safe for our git: settings that are not known to be inert (filters, merge drivers,
 * ssh commands, includes, …) are taken out of the file, and where it fetches from is set right.
 * @param pristine the text as the clone was made, for a file that git can't read any more
 * @throws WorkspaceError when the file cannot be corrected
 */
export async function secureConfig(
  git: GitRunner,
  clone: string,
  address: string,
  pristine: string,
): Promise<void> {
  const file = join(clone, "config");
  const config = ["config", "--file", file];
  const list = () => git([...config, "--no-includes", "--list", "-z"], { separator: "\0" });
  let told = await list();
  if (told.code !== 0) {
    await writeFile(file, pristine);
    told = await list();
  }
  const values = new Map<string, string[]>();
  for (const entry of told.text.split("\0").filter((one) => one !== "")) {
    const [key = "", ...value] = entry.split("\n");
    values.set(key, [...(values.get(key) ?? []), value.join("\n")]);
  }
  const fixed = new Map([
    ["core.bare", "true"],
    ["remote.origin.url", address],
    ["remote.origin.fetch", FETCH],
  ]);
  const change = (...args: string[]) =>
    mustGit(git, "The settings of the repository's clone could not be corrected", [...config, ...args]);
  for (const key of values.keys()) if (!fixed.has(key) && !INERT.test(key)) await change("--unset-all", key);
  for (const [key, value] of fixed) {
    const found = values.get(key);
    if (found?.length !== 1 || found[0] !== value) await change("--replace-all", key, value);
  }
}
