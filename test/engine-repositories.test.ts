import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createWorkspaces } from "../src/engine/workspaces/workspaces.js";
import { systemClock } from "../src/shared/clock.js";
import { createContractClient } from "./contract/upstream.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import { ENGINE_KEY, startLocalEngine, withScript } from "./support/local-engine.js";
import { endOf } from "./support/patient.js";

vi.setConfig({ testTimeout: 120_000 });

let place: GitPlace;
beforeEach(() => {
  place = makeGitPlace();
});
afterEach(() => place.remove());

/** A second repository, which is a submodule of the first. */
function addSubmodule(): void {
  const { git, folder, source } = place;
  git(folder, "clone", "--quiet", source, "inner");
  git(
    source,
    "-c",
    "protocol.file.allow=always",
    "submodule",
    "--quiet",
    "add",
    join(folder, "inner"),
    "lib",
  );
  git(source, "commit", "--quiet", "--message", "Add a submodule");
}

it("submodules that are not checked out are told to the agent and to the person", async () => {
  addSubmodule();
  const engine = await startLocalEngine(join(place.folder, "engine"), {
    engineAllowedFolders: [place.folder],
  });
  try {
    const client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const message = withScript("Go", { steps: [{ text: "Done." }] });
    const { run_id, session_id } = await client.start({ message, repository_url: place.source }, "fix");
    const { result } = await endOf(client, run_id);
    const agent = readFileSync(join(place.folder, "engine", ".scripted-agent", `${session_id}.json`), "utf8");
    expect(JSON.parse(agent).systemPrompt).toContain('their folders are empty: "lib".');
    expect(result.final_output).toContain("1 submodule is not checked out, and the agent was told so: lib.");
  } finally {
    await engine.close();
  }
});

it("a run shows its branch as the repository spells it, and from what a new one was made", async () => {
  place.git(place.source, "branch", "feature/login");
  const engine = await startLocalEngine(join(place.folder, "engine"), {
    engineAllowedFolders: [place.folder],
  });
  try {
    const client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const message = withScript("Go", { steps: [{ text: "Done." }] });
    const branchOf = async (git_branch: string) => {
      const { run_id } = await client.start({ message, repository_url: place.source, git_branch }, "fix");
      const { result } = await client.ended(run_id);
      const listed = (await client.get("/runs")).body.runs.find(
        (run: { run_id: string }) => run.run_id === run_id,
      );
      return [listed.git_branch, result.final_output];
    };
    expect(await branchOf("origin/feature/login")).toEqual([
      "feature/login",
      "Done.\n\norigin/feature/login was read as the branch feature/login.",
    ]);
    expect(await branchOf("feature/new")).toEqual([
      "feature/new",
      expect.stringMatching(
        /^Done\.\n\nThe branch feature\/new was not there: it was made from main at [0-9a-f]{10}\.$/,
      ),
    ]);
  } finally {
    await engine.close();
  }
});

it("a worktree whose submodules are empty is removed, as nothing is in them", async () => {
  addSubmodule();
  const { prepare, cleanup } = place.workspaces();
  const workspace = await prepare(place.request());
  expect(workspace.emptySubmodules).toEqual(["lib"]);
  expect((await cleanup(workspace, { force: false })).removed.worktree).toBe(true);
});

it("a repository of another owner is refused with git's own reason and the line that allows it", async () => {
  const { prepare } = place.workspaces({
    env: { ...place.env, GIT_TEST_ASSUME_DIFFERENT_OWNER: "1" },
  });
  await expect(prepare(place.request())).rejects.toThrow(
    `detected dubious ownership in repository at '${place.source}'. If you trust that user, run \`git config --global --add safe.directory ${place.source}\``,
  );
});

it("a page about a repository is refused by the engine, too, which names the repository", async () => {
  const { prepare } = place.workspaces();
  const repositoryUrl = "https://gitlab.com/group/sub/name/-/tree/main";
  await expect(prepare({ ...place.request(), repositoryUrl })).rejects.toThrow(
    'The repository is https://gitlab.com/group/sub/name, with git_branch "main".',
  );
});

it("a refused address with a password stays nowhere on disk", async () => {
  const folder = join(place.folder, "engine");
  const engine = await startLocalEngine(folder);
  try {
    const client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    for (const repository_url of [
      "https://me:hunter2@example.com/o/r",
      "http://me:hunter2@example.com/o/r",
      "ssh://me:hunter2@example.com/o/r",
      "file://me:hunter2@example.com/o/r",
      "https://me:hunter2@github.com/o/r/tree/main",
    ]) {
      const body = { message: "Go", input_format: "stream-json", repository_url };
      const refused = await client.post("/run/fix", body);
      expect(refused).toMatchObject({
        status: 400,
        body: { detail: expect.stringContaining("Nothing was started") },
      });
      expect(JSON.stringify(refused.body)).not.toContain("hunter2");
    }
    expect((await client.get("/runs")).body.total_count).toBe(0);
  } finally {
    await engine.close();
  }
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) =>
    statSync(join(folder, path)).isFile(),
  );
  expect(files.filter((path) => readFileSync(join(folder, path), "latin1").includes("hunter2"))).toEqual([]);
});

it("large files stay pointers in the engine's own checkouts, so no server is asked for them", async () => {
  const log = join(place.folder, "smudged");
  const config = join(place.folder, "gitconfig");
  const smudge = `sh -c 'echo "skip=$GIT_LFS_SKIP_SMUDGE" >> ${log}; cat'`;
  writeFileSync(
    config,
    `[filter "lfs"]\n\tsmudge = ${JSON.stringify(smudge)}\n\tclean = cat\n\trequired = true\n`,
  );
  place.commit(place.source, { ".gitattributes": "*.bin filter=lfs\n", "a.bin": "pointer" });
  const { prepare } = place.workspaces({ env: { ...place.env, GIT_CONFIG_GLOBAL: config } });
  await prepare(place.request());
  expect(readFileSync(log, "utf8")).toBe("skip=1\n");
});

it.runIf(process.platform === "linux")(
  "a local repository is read from what was looked at, whatever is put in its place meanwhile",
  async () => {
    const allowed = join(place.folder, "allowed");
    const secret = join(place.folder, "secret");
    mkdirSync(allowed);
    place.git(place.folder, "clone", "--quiet", place.source, secret);
    const hidden = place.commit(secret, { "secret.txt": "secret" });
    renameSync(place.source, join(allowed, "source"));
    const source = join(allowed, "source");
    // Swaps the repository as soon as git is told to read it: after every look at its path.
    const swap = join(place.folder, "swapping-git");
    writeFileSync(
      swap,
      `#!/bin/sh\ncase "$*" in *ls-remote*) mv ${source} ${source}.old && ln -s ${secret} ${source};; esac\nexec git "$@"\n`,
      { mode: 0o755 },
    );
    const workspaces = createWorkspaces({
      folder: join(place.folder, "workspaces"),
      allowedFolders: [allowed],
      pushAllowed: false,
      env: place.env,
      clock: systemClock,
      gitPath: swap,
    });
    const workspace = await workspaces.prepare({ ...place.request(), repositoryUrl: source });
    expect(readdirSync(workspace.path)).not.toContain("secret.txt");
    expect(workspace.startCommit).not.toBe(hidden);
    const next = { ...place.request("other"), repositoryUrl: source };
    await expect(workspaces.prepare(next), "by now it leads outside").rejects.toThrow(/settings allow/);
  },
);
