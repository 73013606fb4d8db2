import { posix, win32 } from "node:path";

/** The name of this product's own folder below the system's folders for state and configuration. */
export const STATE_FOLDER_NAME = "automagik-workflows-mcp";
/** The file in the state folder that the database is in. */
export const DATABASE_FILE = "automagik.db";

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
  const { platform, home } = options;
  const path = platform === "win32" ? win32 : posix;
  const override = options.override?.trim();
  if (override === "~") return path.normalize(home);
  if (override) return path.resolve(home, /^~[\\/]/.test(override) ? override.slice(2) : override);
  return productFolder(options, {
    windows: ["LOCALAPPDATA", "AppData", "Local"],
    unix: ["XDG_STATE_HOME", ".local", "state"],
  });
}

/** The variable that names a place of the system's, and where below the home folder it is without that. */
type Place = [variable: string, ...folders: string[]];

/** The product's own folder in a place of the system's; on macOS there is one for everything. */
export function productFolder(
  {
    env,
    platform,
    home,
  }: { env: Record<string, string | undefined>; platform: NodeJS.Platform; home: string },
  { windows, unix }: { windows: Place; unix: Place },
): string {
  const path = platform === "win32" ? win32 : posix;
  if (platform === "darwin") return path.join(home, "Library", "Application Support", STATE_FOLDER_NAME);
  const [variable, ...folders] = platform === "win32" ? windows : unix;
  const given = env[variable];
  return path.join(given && path.isAbsolute(given) ? given : path.join(home, ...folders), STATE_FOLDER_NAME);
}
