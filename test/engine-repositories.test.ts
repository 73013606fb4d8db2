import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createContractClient } from "./contract/upstream.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import { ENGINE_KEY, startLocalEngine, withScript } from "./support/local-engine.js";

vi.setConfig({ testTimeout: 60_000 });

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
    const { result } = await client.ended(run_id);
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
      "Done.\n\norigin/feature/login was taken to mean the branch feature/login.",
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
