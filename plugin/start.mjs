/**
 * Starts the server of the plugin's version: that of the package around the plugin, as in a checkout or an installed
 * package, else the one that npm installs once into the plugin's data folder. Not by `npx`: that runs what the folder
 * of the session, which may be anybody's repository, has under the package's name, takes the registry from its
 * `.npmrc`, and asks the registry at every start.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const NAME = "automagik-workflows-mcp";
const isWindows = process.platform === "win32";
const plugin = fileURLToPath(new URL(".", import.meta.url));
const { version } = readJson(join(plugin, ".claude-plugin", "plugin.json"));

const script = join(findPackageAround() ?? installPackage(), "dist", "cli.js");
// By this path the server starts its engine in the background.
process.argv[1] = script;
await import(pathToFileURL(script).href);

/** @returns the folder above when it is the built package in the plugin's version */
function findPackageAround() {
  const folder = join(plugin, "..");
  if (!existsSync(join(folder, "dist", "cli.js")) || !existsSync(join(folder, "package.json"))) return;
  const around = readJson(join(folder, "package.json"));
  return around.name === NAME && around.version === version ? folder : undefined;
}

/** @returns the folder of the installed package; ends the process, with the reason, when npm cannot get it */
function installPackage() {
  const data = process.env.CLAUDE_PLUGIN_DATA;
  if (!data) return fail("CLAUDE_PLUGIN_DATA is not set; this file is started by Claude Code.");
  const home = join(data, version);
  const installed = join(home, "node_modules", NAME);
  if (existsSync(installed)) return installed;
  mkdirSync(data, { recursive: true });
  // Installed beside and then renamed: two windows may start at once, and one may be closed half-way.
  const scratch = mkdtempSync(join(data, "installing-"));
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
  const { status } = spawnSync(
    isWindows ? "npm.cmd" : "npm",
    ["install", "--prefix", ".", ...flags, `${NAME}@${version}`],
    // stdout belongs to the protocol.
    { cwd: scratch, stdio: ["ignore", 2, 2], shell: isWindows },
  );
  if (status === 0) {
    try {
      renameSync(scratch, home);
    } catch (error) {
      if (!existsSync(installed)) throw error;
    }
  }
  rmSync(scratch, { recursive: true, force: true });
  if (existsSync(installed)) return installed;
  return fail(
    `npm could not install version ${version}, so nothing was started. Restart Claude Code to try again.`,
  );
}

function fail(reason) {
  process.stderr.write(`${NAME}: ${reason}\n`);
  process.exit(1);
}

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}
