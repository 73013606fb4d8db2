// Runs the tests that need the real Claude Code: `npm run test:claude [-- vitest's arguments]`. The program is the one
// that CLAUDE_CLI names, else the newest of its npm package, which is installed where nothing else sees it.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Installs this platform's program without running any script. @returns its path */
function installClaude(): string {
  const isMusl = process.platform === "linux" && !("glibcVersionRuntime" in readHeader());
  const name = `@anthropic-ai/claude-code-${process.platform}-${process.arch}${isMusl ? "-musl" : ""}`;
  const folder = join(root, "node_modules", ".cache", "claude-code");
  mkdirSync(folder, { recursive: true });
  process.stdout.write(`Installing ${name} (about 360 MB) …\n`);
  npm("install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", `${name}@latest`);
  return join(folder, "node_modules", name, process.platform === "win32" ? "claude.exe" : "claude");
}

function readHeader(): object {
  return (process.report.getReport() as unknown as { header: object }).header;
}

function npm(...args: string[]): void {
  execFileSync(process.platform === "win32" ? "npm.cmd" : "npm", args, {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
}

const claude = process.env.CLAUDE_CLI || installClaude();
process.stdout.write(`${claude}: ${execFileSync(claude, ["--version"], { encoding: "utf8" })}`);
npm("run", "--silent", "build");
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const { status } = spawnSync(
  process.execPath,
  [vitest, "run", "--config", "vitest.claude.config.ts", ...process.argv.slice(2)],
  { cwd: root, stdio: "inherit", env: { ...process.env, CLAUDE_CLI: claude } },
);
process.exitCode = status ?? 1;
