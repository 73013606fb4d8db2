import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { buildArguments } from "../src/engine/agent/claude/arguments.js";
import { findSandbox, hideSandboxFiles, sandboxSettings } from "../src/engine/agent/claude/sandbox.js";
import { readUserRules } from "../src/engine/agent/claude/user-rules.js";
import { readAsked, SECRETS, tellAsked } from "./support/asked-programs.js";
import { engineFolder, startLocalEngine } from "./support/local-engine.js";

function makeFolder(): string {
  const { folder, remove } = engineFolder();
  onTestFinished(remove);
  return folder;
}

describe("the sandbox of an agent's commands", () => {
  it("that a machine has not is told with what is missing", async () => {
    const nothing = makeFolder();
    expect(await findSandbox({ env: { PATH: nothing }, platform: "linux" })).toEqual({
      usable: false,
      why: "bubblewrap and socat not found",
    });
    expect(await findSandbox({ env: { PATH: nothing }, platform: "win32" })).toMatchObject({ usable: false });
    // It is there and may not work: containers are switched off.
    for (const [name, code] of [
      ["bwrap", 1],
      ["socat", 0],
    ])
      writeFileSync(join(nothing, String(name)), `#!/bin/sh\nexit ${code}\n`, { mode: 0o755 });
    expect(await findSandbox({ env: { PATH: nothing }, platform: "linux" })).toEqual({
      usable: false,
      why: "this system does not let bubblewrap make a container",
    });
  });

  it.skipIf(process.platform !== "linux")(
    "is looked for by programs that get what agents get of the environment, and nothing else",
    async () => {
      const folder = makeFolder();
      const bin = join(folder, "bin");
      mkdirSync(bin);
      // Only without a view of the processes, so that each way is tried.
      const code = 'case "$*" in *--proc*) exit 1;; esac';
      for (const name of ["bwrap", "socat"])
        writeFileSync(join(bin, name), `#!/bin/sh\n${tellAsked(folder, `${name} $#`)}\n${code}\n`, {
          mode: 0o755,
        });
      const env = {
        PATH: `${bin}:${process.env.PATH}`,
        LANG: "C",
        ...SECRETS,
        CLAUDE_CODE_SSE_PORT: "1",
      };
      expect(await findSandbox({ env, platform: "linux" })).toEqual({ usable: true, weaker: true });
      const asked = readAsked(folder, env);
      expect(asked.map((one) => one.asked.split(" ")[0])).toEqual(["bwrap", "bwrap", "socat"]);
      for (const { given } of asked) expect(given).toEqual(["LANG", "PATH"]);
    },
  );

  it.skipIf(process.platform !== "linux")(
    "that has to be there and is not keeps the engine from starting",
    async () => {
      const folder = makeFolder();
      const started = startLocalEngine(folder, { engineSandbox: "on" }, { PATH: folder });
      await expect(started).rejects.toThrow(
        /there is none: bubblewrap and socat not found\. Install what is missing/,
      );
    },
  );

  it("reads and writes nothing private, and never gives way to none in silence", () => {
    const settings = sandboxSettings({ weaker: false }, ["/s/engine-private"]);
    expect(settings).toMatchObject({
      enabled: true,
      failIfUnavailable: true,
      autoAllowBashIfSandboxed: false,
      filesystem: { denyRead: ["/s/engine-private"], denyWrite: ["/s/engine-private"] },
    });
  });

  it("and the agent's own tools keep out of what is private, whatever a workflow allows", () => {
    const args = buildArguments(
      {
        sessionId: "s",
        resume: false,
        cwd: "/w",
        allowedTools: ["Read"],
        disallowedTools: [],
        permissionMode: "default",
        privatePaths: ["/s/engine-private"],
      },
      {},
    );
    const settings = args.find((arg) => arg.startsWith("--settings="))?.slice("--settings=".length);
    expect(JSON.parse(settings ?? "{}").permissions.deny).toEqual([
      "Read(//s/engine-private)",
      "Read(//s/engine-private/**)",
      "Edit(//s/engine-private)",
      "Edit(//s/engine-private/**)",
    ]);
  });

  it("and what a person's own settings allow is asked, and their further folders are closed", () => {
    const home = makeFolder();
    mkdirSync(join(home, ".claude"));
    const settings = {
      permissions: {
        allow: ["Bash(git push:*)", "Bash(git mv:*)", "Read", "mcp__wiki__write"],
        additionalDirectories: ["~/notes", "/w", "/", "/w/below", "relative"],
      },
    };
    writeFileSync(join(home, ".claude", "settings.json"), JSON.stringify(settings));
    const options = {
      sessionId: "s",
      resume: false,
      cwd: "/w",
      disallowedTools: [],
      permissionMode: "default",
    };
    const args = buildArguments(
      {
        ...options,
        allowedTools: ["Bash(git mv:*)"],
        privatePaths: ["/s/engine-private"],
        userRules: readUserRules({ HOME: home }),
      },
      {},
    );
    const text = args.find((arg) => arg.startsWith("--settings="))?.slice("--settings=".length);
    const { ask, deny } = JSON.parse(text ?? "{}").permissions;
    expect(ask).toEqual(["Bash(git push:*)", "mcp__wiki__write"]);
    expect(deny.filter((rule: string) => !rule.includes("engine-private"))).toEqual([
      `Read(/${home}/notes)`,
      `Read(/${home}/notes/**)`,
      `Edit(/${home}/notes)`,
      `Edit(/${home}/notes/**)`,
    ]);
    expect(readUserRules({ HOME: join(home, "none") })).toEqual({ commands: [], folders: [] });
  });

  it("leaves no trace in git's view of a worktree, once", () => {
    const folder = makeFolder();
    const clone = join(folder, "clone", ".git");
    const worktree = join(folder, "worktree");
    const git = (cwd: string, ...args: string[]) =>
      execFileSync("git", ["-c", "user.name=A", "-c", "user.email=a@example.org", ...args], {
        cwd,
        encoding: "utf8",
      });
    mkdirSync(clone, { recursive: true });
    git(folder, "init", "--quiet", "source");
    git(join(folder, "source"), "commit", "--quiet", "--allow-empty", "--message", "Begin");
    git(folder, "clone", "--quiet", "--bare", "source", clone);
    git(clone, "worktree", "add", "--quiet", "-b", "work", worktree);
    hideSandboxFiles(worktree);
    hideSandboxFiles(worktree);
    for (const name of [".bashrc", ".mcp.json", ".idea"]) writeFileSync(join(worktree, name), "");
    mkdirSync(join(worktree, ".vscode"));
    writeFileSync(join(worktree, ".vscode", "settings.json"), "{}");
    expect(git(worktree, "status", "--short").trim()).toBe("?? .vscode/");
    const exclude = readFileSync(join(clone, "info", "exclude"), "utf8");
    expect(exclude.split("/.bashrc").length).toBe(2);
    // A folder without a repository has no such file.
    hideSandboxFiles(folder);
  });
});
