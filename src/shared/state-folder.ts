import { posix, win32 } from "node:path";

/** The name of this product's own folder below the system's folders for state and configuration. */
export const STATE_FOLDER_NAME = "automagik-workflows-mcp";

/**
 * Where durable state lives. Pure: it looks at nothing but its arguments and creates nothing.
 *
 * - An `override` is the folder itself; `~` means `home`, and a relative one counts from `home`, because the
 *   folder in which a chat client starts a server is not predictable.
 * - Otherwise Linux and other Unix: `$XDG_STATE_HOME` or `~/.local/state` (XDG Base Directory Specification, which
 *   also says that a relative value is to be ignored); macOS: `~/Library/Application Support`;
 *   Windows: `%LOCALAPPDATA%` or `AppData\Local`; each with the product's own folder below it.
 */
export function resolveStateFolder(options: {
  override?: string;
  env: Record<string, string | undefined>;
  platform: NodeJS.Platform;
  home: string;
}): string {
  const { env, platform, home } = options;
  const path = platform === "win32" ? win32 : posix;
  const override = options.override?.trim();
  if (override) {
    if (override === "~") return path.normalize(home);
    return path.resolve(home, /^~[\\/]/.test(override) ? override.slice(2) : override);
  }
  const given =
    platform === "win32" ? env.LOCALAPPDATA : platform === "darwin" ? undefined : env.XDG_STATE_HOME;
  if (given && path.isAbsolute(given)) return path.join(given, STATE_FOLDER_NAME);
  if (platform === "win32") return path.join(home, "AppData", "Local", STATE_FOLDER_NAME);
  if (platform === "darwin") return path.join(home, "Library", "Application Support", STATE_FOLDER_NAME);
  return path.join(home, ".local", "state", STATE_FOLDER_NAME);
}
