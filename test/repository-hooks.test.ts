import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CLAUDE_VARIABLES } from "../src/engine/agent/claude/environment.js";
import { buildEnvironment, withoutHooks } from "../src/engine/agent/environment.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";

vi.setConfig({ testTimeout: 60_000 });

let place: GitPlace;
beforeEach(() => {
  place = makeGitPlace();
});
afterEach(() => place.remove());

describe("git's hooks are files of the repository", () => {
  it.each([
    ["nothing is set", "", false],
    ["the person's settings name a folder of each repository", "[core]\nhooksPath = .githooks", true],
    ["the person's settings name a folder of their own", "[core]\nhooksPath = ~/hooks", false],
    [
      "the last setting names a folder of their own",
      "[core]\nhooksPath = hooks\nhooksPath = /opt/hooks",
      false,
    ],
  ])("where %s", async (_, settings, own) => {
    const file = join(place.folder, "settings");
    writeFileSync(file, settings);
    const { prepare } = place.workspaces({ env: { ...place.env, GIT_CONFIG_GLOBAL: file } });
    expect((await prepare(place.request())).ownHooks).toBe(own);
  });

  it("where a script of the repository has put them into the clone's settings", async () => {
    const { prepare } = place.workspaces();
    const { path, ownHooks } = await prepare(place.request("s"));
    expect(ownHooks).toBe(false);
    place.git(path, "config", "core.hooksPath", ".husky");
    expect((await prepare(place.request("s"))).ownHooks).toBe(true);
  });
});

it("hooks of the repository run in an agent's git only where they were let, not even for a look", () => {
  const { source, folder, env, commit } = place;
  const planted = join(folder, "planted");
  commit(source, { "hooks/post-index-change": `#!/bin/sh\ntouch ${planted}\n` });
  chmodSync(join(source, "hooks", "post-index-change"), 0o755);
  place.git(source, "config", "core.hooksPath", "hooks");
  let looks = 0;
  const look = (environment: NodeJS.ProcessEnv) => {
    // The index is written anew, which a look does as soon as a file's time has changed.
    utimesSync(join(source, "readme.md"), new Date(), new Date(++looks * 1_000_000));
    execFileSync("git", ["status"], { cwd: source, env: environment, stdio: "ignore" });
    return existsSync(planted);
  };
  expect(look(buildEnvironment(withoutHooks(env), "m", [], CLAUDE_VARIABLES))).toBe(false);
  expect(look(buildEnvironment(env, "m", [], CLAUDE_VARIABLES))).toBe(true);
});
