import { productFolder } from "./state-folder.js";

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
  return productFolder(options, {
    windows: ["APPDATA", "AppData", "Roaming"],
    unix: ["XDG_CONFIG_HOME", ".config"],
  });
}
