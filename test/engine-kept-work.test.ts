import { existsSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { type ContractClient, createContractClient } from "./contract/upstream.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import { ENGINE_KEY, startLocalEngine, withScript } from "./support/local-engine.js";
import { statusThat } from "./support/patient.js";

vi.setConfig({ testTimeout: 120_000 });

let place: GitPlace;
beforeEach(() => {
  place = makeGitPlace();
});
afterEach(() => place.remove());

/** A worktree whose repository ignores reports and what is usually built. */
async function ignoring(rules = "reports/\nnode_modules/\ndist/\n*.pyc\n*.local\n") {
  place.commit(place.source, { ".gitignore": rules });
  const workspaces = place.workspaces();
  const workspace = await workspaces.prepare(place.request());
  return { ...workspaces, workspace };
}

describe("git-ignored files of a worktree", () => {
  it("that nobody can make anew keep it, named and counted, until force removes them and says so", async () => {
    const { workspace, cleanup } = await ignoring();
    place.write(workspace.path, "reports/audit.md", "found");
    place.write(workspace.path, "reports/deep/more.md", "found");
    place.write(workspace.path, "settings.local", "mine");
    place.write(workspace.path, "node_modules/x/index.js", "");
    const files = "3 git-ignored files (reports/audit.md, reports/deep/more.md, settings.local)";
    expect(await cleanup(workspace, { force: false })).toEqual({
      removed: { workspace: false, worktree: false, tempFiles: false },
      kept: `The worktree ${workspace.path} was kept: it has ${files}. Force removes it.`,
      errors: [],
    });
    expect(existsSync(join(workspace.path, "reports/audit.md"))).toBe(true);
    expect(await cleanup(workspace, { force: true })).toMatchObject({
      removed: { worktree: true },
      lost: `Removed by force: ${files}.`,
    });
    expect(existsSync(workspace.path)).toBe(false);
  });

  it("of an earlier run of the session count as well", async () => {
    const { workspace, prepare, cleanup } = await ignoring();
    place.write(workspace.path, "reports/audit.md", "found");
    const next = await prepare(place.request());
    expect((await cleanup(next, { force: false })).kept).toContain("1 git-ignored file (reports/audit.md)");
  });

  it("that can be rebuilt go with it without a word", async () => {
    const { workspace, cleanup } = await ignoring("*\n!.gitignore\n!readme.md\n");
    for (const path of [
      "node_modules/a/index.js",
      "packages/web/node_modules/a/index.js",
      "dist/main.js",
      "build/main.o",
      "target/debug/app",
      ".venv/lib/site.py",
      "src/__pycache__/a.pyc",
      ".next/cache/x",
      "coverage/index.html",
      "src/b.pyc",
    ])
      place.write(workspace.path, path, "made");
    expect(await cleanup(workspace, { force: false })).toEqual({
      removed: { workspace: true, worktree: true, tempFiles: false },
      errors: [],
    });
  });

  it("are not overwritten when the session goes on with another branch", async () => {
    const { workspace, prepare } = await ignoring();
    place.git(place.source, "checkout", "--quiet", "-b", "with-report");
    place.write(place.source, "reports/audit.md", "theirs");
    place.git(place.source, "add", "--force", "reports");
    place.git(place.source, "commit", "--quiet", "--message", "Add the report");
    place.write(workspace.path, "reports/audit.md", "mine");
    await expect(prepare(place.request("session", "with-report"))).rejects.toThrow(/reports\/audit\.md/);
    expect(readFileSync(join(workspace.path, "reports/audit.md"), "utf8")).toBe("mine");
  });
});

describe("a checkout that git calls changed from its first moment", () => {
  /** Files whose line ends .gitattributes would have otherwise, as some editors commit them. */
  async function prepared(attributes: string, files: Record<string, string>) {
    place.commit(place.source, files);
    place.write(place.source, ".gitattributes", attributes);
    // Not all that there is: git would put the line ends right.
    place.git(place.source, "add", ".gitattributes");
    place.git(place.source, "commit", "--quiet", "--message", "Write .gitattributes");
    place.git(place.source, "branch", "other");
    const workspaces = place.workspaces();
    const workspace = await workspaces.prepare(place.request());
    place.write(workspace.path, "new.md", "work");
    place.git(workspace.path, "add", "new.md");
    place.git(workspace.path, "commit", "--quiet", "--message", "Add new.md");
    return { ...workspaces, workspace };
  }
  const CRLF = { "a.txt": "one\r\ntwo\r\n", "b.txt": "three\r\n" };
  /** Git looks into a file again when its time has changed. */
  const touch = (folder: string, file: string) => utimesSync(join(folder, file), 1e9, 1e9);

  it.each([
    ["with the bytes that are committed, however often it is checked out", "*.txt text\n", CRLF, true],
    ["with other bytes than are committed", "*.txt text eol=crlf\n", { "a.txt": "one\r\ntwo\n" }, false],
  ])("%s holds up neither merge nor cleanup, and is not told as changed", async (_, rule, files, again) => {
    const { workspace, settle, inspect, cleanup } = await prepared(rule, files);
    if (again) {
      touch(workspace.path, "a.txt");
      expect(place.git(workspace.path, "status", "--porcelain")).toContain("M a.txt");
    }
    expect(await inspect(workspace)).toMatchObject({ filesChanged: ["new.md"], uncommitted: false });
    place.git(place.source, "checkout", "--quiet", "--detach");
    expect((await settle(workspace, { merge: true })).work).toMatchObject({ mergedInto: "main" });
    expect((await cleanup(workspace, { force: false })).removed.worktree).toBe(true);
  });

  it("counts where somebody has changed a file", async () => {
    const { workspace, settle, cleanup } = await prepared("*.txt text\n", CRLF);
    place.write(workspace.path, "a.txt", "one\r\nchanged\r\n");
    expect((await settle(workspace, { merge: true })).note).toContain(
      "uncommitted changes in 1 file (a.txt)",
    );
    expect((await cleanup(workspace, { force: false })).kept).toContain("1 file (a.txt)");
  });

  it("does not have an ignored file overwritten by another branch, whatever else git needs force for", async () => {
    place.commit(place.source, { ".gitignore": "reports/\n" });
    const { workspace, prepare } = await prepared("*.txt text eol=crlf\n", { "a.txt": "one\r\ntwo\n" });
    place.write(workspace.path, "reports/audit.md", "mine");
    place.git(place.source, "checkout", "--quiet", "other");
    place.write(place.source, "reports/audit.md", "theirs");
    place.git(place.source, "add", "--force", "reports/audit.md");
    place.git(place.source, "commit", "--quiet", "--message", "Add the report");
    place.git(place.source, "checkout", "--quiet", "main");
    await expect(prepare(place.request("session", "other"))).rejects.toThrow(/reports\/audit\.md/);
    expect(readFileSync(join(workspace.path, "reports/audit.md"), "utf8")).toBe("mine");
  });

  it("does not keep the session from going on with another branch", async () => {
    const { workspace, prepare } = await prepared("*.txt text\n", CRLF);
    place.git(place.source, "checkout", "--quiet", "other");
    place.commit(place.source, { "c.md": "c" });
    touch(workspace.path, "a.txt");
    expect(await prepare(place.request("session", "other"))).toMatchObject({ branch: "other" });
    expect(existsSync(join(workspace.path, "c.md"))).toBe(true);
  });
});

describe("a run of the engine", () => {
  let engine: LocalEngine;
  let client: ContractClient;
  beforeEach(async () => {
    engine = await startLocalEngine(join(place.folder, "engine"), {
      engineAllowedFolders: [place.folder],
      enginePush: "on",
    });
    client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
  });
  afterEach(() => engine.close());

  const writing = (path: string) => ({
    tools: [{ name: "Write", input: { file_path: path, content: "x" } }],
  });
  /** The agent's own commit, with permission where it is asked. */
  const run = async (steps: object[], query: Record<string, string>) => {
    const message = withScript("Go", { steps });
    const fields = { message, repository_url: place.source };
    const { run_id } = await client.start(fields, "implement", query);
    for (;;) {
      const status = await statusThat(
        client,
        run_id,
        (found) => found.waiting_for === "question" || found.completed_at !== null,
      );
      if (status.completed_at !== null) return status;
      for (const { question_id } of status.questions)
        await client.post(`/run/${run_id}/questions/${question_id}/answer`, { answer: "allow_once" });
    }
  };

  it("that is not to be persistent keeps its worktree for ignored files, and says so", async () => {
    place.commit(place.source, { ".gitignore": "reports/\n" });
    const status = await run([writing("reports/audit.md"), { text: "Done." }], { persistent: "false" });
    expect(status.result.final_output).toMatch(
      /was kept: it has 1 git-ignored file \(reports\/audit\.md\)\. Force removes it\./,
    );
    expect(existsSync(join(status.workspace_path, "reports/audit.md"))).toBe(true);
    const path = `/run/${status.run_id}/cleanup`;
    expect((await client.post(path, undefined, { force: "true" })).body.cleanup_details).toMatchObject({
      git_worktree_removed: true,
      note: "Removed by force: 1 git-ignored file (reports/audit.md).",
    });
  });

  it("that was to be merged into a branch that the person has checked out says so, and how it is taken", async () => {
    const command = "git add . && git -c user.name=A -c user.email=a@b commit -qm Work";
    const bash = { tools: [{ name: "Bash", input: { command }, run: true }] };
    const before = place.git(place.source, "rev-parse", "main");
    const status = await run([writing("new.md"), bash, { text: "Done." }], { auto_merge: "true" });
    expect(status.result.final_output).toContain(
      `Nothing was merged: main is checked out in ${place.source}.`,
    );
    expect(status.work).toMatchObject({ delivered_to: "repository", where: place.source, merged_into: null });
    expect(place.git(place.source, "rev-parse", "main")).toBe(before);
    place.git(place.source, "merge", "--quiet", status.work.branch);
    expect(place.git(place.source, "log", "-1", "--format=%s", "main")).toBe("Work");
  });
});
