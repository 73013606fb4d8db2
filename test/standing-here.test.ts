import { execFileSync } from "node:child_process";
import { mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { temporaryFolder } from "./support/bin.js";
import { copyRepository } from "./support/git-place.js";
import { COMPLETE, connectInMemory, type InMemoryOptions } from "./support/harness.js";

// What is suggested and what is read where the client stands in a repository of this machine. The simulated API takes
// the place of the engine: what it is sent is looked at.
const sim = useSimulatedApi({ paceMs: 20 });
const startBody = () => sim.api().posts("/run/").at(-1)?.body as Record<string, unknown> | undefined;
const TASK = { workflow_name: "architect", message: "Design the JWT login for my app" };
const accept = (content: Record<string, string>) => (): ElicitResult => ({ action: "accept", content });
const git = (folder: string, ...args: string[]) =>
  execFileSync("git", ["-C", folder, ...args], { stdio: "pipe", encoding: "utf8" }).trim();

/** A home with the repository `code/myapp` on `main`, which has a folder `src`, and a plain folder `code/notes`. */
function makeHome(): { home: string; repository: string } {
  const home = realpathSync(temporaryFolder());
  const repository = join(home, "code", "myapp");
  mkdirSync(join(home, "code", "notes"), { recursive: true });
  copyRepository(repository);
  mkdirSync(join(repository, "src"));
  return { home, repository };
}

function connect(home: string, options: InMemoryOptions = {}) {
  return connectInMemory({
    home,
    onForm: accept({ session_name: "auth" }),
    ...options,
    settings: { ENGINE: "local", ...options.settings },
  });
}

describe("the form of who stands in a repository", () => {
  it("suggests the folder with its branch, without a remote, and before the remote's address", async () => {
    const { home, repository } = makeHome();
    const roots = [pathToFileURL(join(repository, "src")).href];
    for (const remote of [undefined, "https://host.example/team/app"]) {
      if (remote) git(repository, "remote", "add", "origin", remote);
      const { call, forms } = await connect(home, { roots });
      await call({ ...TASK, session_name: `auth-${remote}` });
      const { repository_url, git_branch } = forms[0]?.schema.properties ?? {};
      expect(repository_url.default).toBe("~/code/myapp");
      expect(git_branch.default).toBe("main");
      expect(git_branch.description).toBe(
        "Empty, or main: the work gets its own branch. Any other: it is done on that branch, made if missing.",
      );
      expect(repository_url.description).toContain("Left empty: a new, empty folder");
    }
  });

  it("tells all of what a branch means in as many characters as Claude Code shows of a field's help", async () => {
    const { home, repository } = makeHome();
    const name = "a-branch-with-a-name-that-somebody-has-made-very-long";
    git(repository, "checkout", "-q", "-b", name);
    const { call, forms } = await connect(home, { ownFolders: [repository] });
    await call(TASK);
    const { description } = forms[0]?.schema.properties.git_branch ?? {};
    expect(description.length).toBeLessThanOrEqual(118);
    expect(description).toMatch(
      /^Empty, or a-branch-with.*: the work gets its own branch\. .*made if missing\.$/,
    );
  });

  it("sends the folder when the suggestion is taken, and no branch: what is checked out is not moved", async () => {
    const { home, repository } = makeHome();
    const { call } = await connect(home, {
      ownFolders: [repository],
      onForm: accept({ session_name: "auth", repository_url: "~/code/myapp", git_branch: "main" }),
    });
    await call(TASK);
    expect(startBody()).toMatchObject({ repository_url: repository });
    expect(startBody()).not.toHaveProperty("git_branch");
  });

  it("asks for the branch again when another one was checked out while it was open", async () => {
    const { home, repository } = makeHome();
    const { call, forms } = await connect(home, {
      ownFolders: [repository],
      onForm({ schema }) {
        if (!schema.properties.repository_url) return { action: "accept", content: { git_branch: "" } };
        git(repository, "checkout", "-q", "-b", "other");
        const content = { session_name: "auth", repository_url: "~/code/myapp", git_branch: "main" };
        return { action: "accept", content };
      },
    });
    await call(TASK);
    expect(forms).toHaveLength(2);
    expect(forms[1]?.schema.properties.git_branch.description).toContain("Empty, or other:");
    expect(startBody()).toMatchObject({ session_name: "auth", repository_url: repository });
    expect(startBody()).not.toHaveProperty("git_branch");
  });

  it("asks for the branch of another repository that was entered where the suggested one was left", async () => {
    const { home, repository } = makeHome();
    const other = join(home, "code", "other");
    copyRepository(other);
    git(other, "checkout", "-q", "-b", "next");
    const fillIn = (session_name: string, git_branch: string) =>
      connect(home, {
        ownFolders: [repository],
        onForm: ({ schema }) => ({
          action: "accept",
          content: schema.properties.repository_url
            ? { session_name, repository_url: other, git_branch }
            : { git_branch: "next" },
        }),
      });
    const left = await fillIn("auth", "main");
    await left.call({ ...TASK, wait_seconds: 0 });
    expect(left.forms).toHaveLength(2);
    expect(left.forms[1]?.schema.properties.git_branch.default).toBe("next");
    expect(startBody()).toMatchObject({ repository_url: other });
    expect(startBody()).not.toHaveProperty("git_branch");
    const named = await fillIn("login", "feature/x");
    await named.call({ ...TASK, wait_seconds: 0 });
    expect(named.forms).toHaveLength(1);
    expect(startBody()).toMatchObject({ repository_url: other, git_branch: "feature/x" });
  });

  it("asks the client first, then looks where the server itself was started", async () => {
    const { home, repository } = makeHome();
    const other = join(home, "code", "other");
    copyRepository(other);
    const suggestedTo = async (options: InMemoryOptions) => {
      const { call, forms } = await connect(home, options);
      await call(TASK);
      return forms[0]?.schema.properties.repository_url.default;
    };
    const roots = [pathToFileURL(other).href];
    expect(await suggestedTo({ roots, ownFolders: [repository] })).toBe("~/code/other");
    expect(await suggestedTo({ ownFolders: [join(home, "code", "notes"), repository] })).toBe("~/code/myapp");
    expect(await suggestedTo({ ownFolders: [repository], sharesMachine: false })).toBeUndefined();
  });

  it("does not take a home that is kept in git for a project", async () => {
    const home = realpathSync(temporaryFolder());
    git(home, "init", "-q");
    const { call, forms } = await connect(home, { ownFolders: [home] });
    await call(TASK);
    expect(forms[0]?.schema.properties.repository_url).not.toHaveProperty("default");
  });
});

describe("a repository named as people do on their own machine", () => {
  it.each([
    [".", "code/myapp/src"],
    ["..", "code/myapp/src"],
    ["../myapp", "code/notes"],
    ["myapp", "code"],
    ["myapp", "code/myapp"],
    ["myapp", "code/notes"],
    ["code/myapp/src", "."],
    ["~/code/myapp", undefined],
    ["~/code/myapp/src/", "code/notes"],
    ["file://HOME/code/myapp", undefined],
    ["HOME/code/myapp/src", undefined],
  ])("%s, from %s", async (written, from) => {
    const { home, repository } = makeHome();
    const repository_url = written.replace("HOME", home);
    const ownFolders = from === undefined ? [] : [join(home, from)];
    const asArgument = await connect(home, { ownFolders });
    expect((await asArgument.call({ ...COMPLETE, repository_url })).data.outcome).toBe("completed");
    expect(startBody()).toMatchObject({ repository_url: repository });
    const inForm = await connect(home, {
      ownFolders,
      onForm: accept({ session_name: "by-form", repository_url, git_branch: "" }),
    });
    expect((await inForm.call(TASK)).data.outcome).toBe("completed");
    expect(startBody()).toMatchObject({ repository_url: repository, session_name: "by-form" });
  });

  it("that is not there is refused with the nearest one, and nothing is sent", async () => {
    const { home } = makeHome();
    const { call } = await connect(home, { ownFolders: [join(home, "code")] });
    const missing = await call({ ...COMPLETE, repository_url: "myap" });
    expect(missing.isError).toBe(true);
    expect(missing.text).toContain(
      "there is no folder ~/code/myap. The nearest repository is ~/code/myapp. Nothing was sent.",
    );
    const plain = await call({ ...COMPLETE, repository_url: "./notes" });
    expect(plain.text).toMatch(/~\/code\/notes is not in a git repository\..*git init.*Nothing was sent/);
    expect(sim.api().posts("/run/")).toEqual([]);
  });

  it("is not known where the client's folder is not, and is refused by a remote API", async () => {
    const { home, repository } = makeHome();
    const nowhere = await connect(home);
    const relative = await nowhere.call({ ...COMPLETE, repository_url: "./myapp" });
    expect(relative.text).toMatch(/not known in which folder you are.*Nothing was sent/);
    const remote = await connect(home, { settings: { ENGINE: "off" }, ownFolders: [repository] });
    for (const repository_url of [".", "~/code/myapp", repository]) {
      const refused = await remote.call({ ...COMPLETE, repository_url });
      expect(refused.text).toMatch(/a local path, which a remote workflow cannot reach.*Nothing was sent/);
    }
    expect(sim.api().posts("/run/")).toEqual([]);
  });

  it("that was refused in the form keeps the other answers, and is not suggested again", async () => {
    const { home } = makeHome();
    const { call, forms } = await connect(home, {
      ownFolders: [join(home, "code", "notes")],
      onForm: accept({ session_name: "auth", repository_url: "../nothing", git_branch: "" }),
    });
    const refused = await call(TASK);
    expect(refused.isError).toBe(true);
    expect(refused.text).toMatch(/"session_name":"auth"}: Ask the person for another repository_url/);
    expect(refused.text).not.toMatch(/"repository_url"/);
    await call(TASK);
    expect(forms[1]?.schema.properties.repository_url).not.toHaveProperty("default");
  });
});
