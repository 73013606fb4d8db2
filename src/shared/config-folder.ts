import { posix, win32 } from "node:path";
import { STATE_FOLDER_NAME } from "./state-folder.js";

/**
 * Where a person keeps what they have written for this product; their workflows are in its subfolder `workflows`.
 * Pure: it looks at nothing but its arguments and creates nothing.
 *
 * - Linux and other Unix: `$XDG_CONFIG_HOME` or `~/.config` (XDG Base Directory Specification, which also says that a
 *   relative value is to be ignored).
 * - macOS: `~/Library/Application Support`, where the state folder is too.
 * - Windows: `%APPDATA%` or `AppData\Roaming`.
 *
 * Each with the product's own folder below it.
 */
export function resolveConfigFolder(options: {
  env: Record<string, string | undefined>;
  platform: NodeJS.Platform;
  home: string;
}): string {
  const { env, platform, home } = options;
  const path = platform === "win32" ? win32 : posix;
  if (platform === "darwin") return path.join(home, "Library", "Application Support", STATE_FOLDER_NAME);
  const given = platform === "win32" ? env.APPDATA : env.XDG_CONFIG_HOME;
  if (given && path.isAbsolute(given)) return path.join(given, STATE_FOLDER_NAME);
  if (platform === "win32") return path.join(home, "AppData", "Roaming", STATE_FOLDER_NAME);
  return path.join(home, ".config", STATE_FOLDER_NAME);
}
