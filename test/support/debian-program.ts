import { execFile } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Update and installation together take some 10 s where the network is good. */
const INSTALL_LIMIT_MS = 120_000;

/**
 * The path of a program, installed from Debian's package where that can be done without asking anybody. Undefined
 * where it cannot; the reason is written to stderr, so that a skipped test says why.
 * @param tests what is skipped without it, the beginning of a sentence
 */
export async function findProgram(name: string, debian: string, tests: string): Promise<string | undefined> {
  const found = findOnPath(name);
  if (found) return found;
  const obstacle = whyNotInstall(debian) ?? (await install(debian));
  const installed = findOnPath(name);
  if (!installed) process.stderr.write(`${tests} are skipped: there is no ${name}, and ${obstacle}.\n`);
  return installed;
}

function whyNotInstall(debian: string): string | undefined {
  if (process.getuid?.() !== 0) return `only root can install it (apt-get install ${debian})`;
  if (!findOnPath("apt-get")) return "there is no apt-get to install it";
  // Debian's packages start their servers there, on their usual ports.
  if (existsSync("/run/systemd/system")) return "installing it here would start a service";
  return undefined;
}

/** What went wrong, in one line. */
async function install(debian: string): Promise<string> {
  const options = {
    timeout: INSTALL_LIMIT_MS,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  };
  // Another test may be installing something else.
  const wait = ["-o", "DPkg::Lock::Timeout=60"];
  try {
    // What is known of packages may do where the list cannot be fetched.
    await run("apt-get", [...wait, "update"], options).catch(() => undefined);
    await run("apt-get", [...wait, "install", "-y", "--no-install-recommends", debian], options);
    return "apt-get has not installed it";
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    return `apt-get failed: ${(stderr || message).trim().split("\n").at(-1)}`;
  }
}

function findOnPath(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/sbin"];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
