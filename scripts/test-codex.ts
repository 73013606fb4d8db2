// Runs the tests that need the real Codex: `npm run test:codex [-- vitest's arguments]`. The programs are those that
// CODEX_ACP and CODEX_CLI name, else the versions that are tested, installed where nothing else sees them.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const ADAPTER = "@agentclientprotocol/codex-acp@2.6.0";
const CODEX = "@openai/codex@0.171.0";

/** Installs a package without running any script. @returns its program of this name */
function install(name: string, program: string, ...options: string[]): string {
  const folder = join(root, "node_modules", ".cache", program);
  mkdirSync(folder, { recursive: true });
  process.stdout.write(`Installing ${name} …\n`);
  npm("install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", ...options, name);
  return join(folder, "node_modules", ".bin", program);
}

function npm(...args: string[]): void {
  execFileSync(process.platform === "win32" ? "npm.cmd" : "npm", args, {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
}

// Without the Codex of its own: 400 MB less.
const adapter = process.env.CODEX_ACP || install(ADAPTER, "codex-acp", "--omit=optional");
const codex = process.env.CODEX_CLI || install(CODEX, "codex");
const version = (program: string) => execFileSync(program, ["--version"], { encoding: "utf8" }).trim();
process.stdout.write(`${adapter}: ${version(adapter)}\n${codex}: ${version(codex)}\n`);
npm("run", "--silent", "build");
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const { status } = spawnSync(
  process.execPath,
  [vitest, "run", "--config", "vitest.codex.config.ts", ...process.argv.slice(2)],
  { cwd: root, stdio: "inherit", env: { ...process.env, CODEX_ACP: adapter, CODEX_CLI: codex } },
);
process.exitCode = status ?? 1;
