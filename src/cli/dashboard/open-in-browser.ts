import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A browser has read the file by then, in ms. */
const READ_MS = 4_000;

/**
 * Opens a link in the person's browser, where there is one to be seen. Others on this machine see the arguments of all
 * processes: the browser is given a private file, which leads to the link and is removed again. Never throws: the link
 * was printed.
 * @param options.env the environment that the browser gets
 */
export async function openInBrowser(
  link: string,
  options: { env: NodeJS.ProcessEnv; platform: NodeJS.Platform },
): Promise<void> {
  const opener = findOpener(options);
  if (!opener) return;
  const folder = await mkdtemp(join(tmpdir(), "automagik-dashboard-"));
  try {
    const file = join(folder, "open.html");
    await writeFile(file, renderRedirect(link), { mode: 0o600 });
    const [program, ...args] = opener;
    const opened = spawn(program, [...args, file], { env: options.env, detached: true, stdio: "ignore" });
    opened.on("error", () => {});
    opened.unref();
    await new Promise((resolve) => setTimeout(resolve, READ_MS));
  } catch {
    // It is opened by hand.
  } finally {
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** What opens files; undefined where nobody would see a window: over ssh, without a desktop, in a container. */
function findOpener({
  env,
  platform,
}: {
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
}): [string, ...string[]] | undefined {
  if (env.SSH_CONNECTION || env.CI) return undefined;
  if (platform === "darwin") return ["open"];
  if (platform === "win32") return ["explorer.exe"];
  return env.DISPLAY || env.WAYLAND_DISPLAY ? ["xdg-open"] : undefined;
}

/** The link has no letter that means anything in HTML. */
function renderRedirect(link: string): string {
  return `<!doctype html><meta charset="utf-8"><title>Dashboard</title><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url=${link}">\n`;
}
