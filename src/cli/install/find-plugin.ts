import { readFile } from "node:fs/promises";
import { posix, win32 } from "node:path";
import { parse } from "jsonc-parser";
import type { Place } from "./clients.js";
import { asRecord } from "./entry.js";

/** The plugin for Claude Code, where it is enabled for all projects. */
export interface FoundPlugin {
  /** Claude Code's settings, absolute. */
  path: string;
  /** What its form has for `engine`. */
  engine: string;
  /** Likewise for `base_url`; "" where it is left empty. */
  baseUrl: string;
}

/** Looks into Claude Code's settings. Its form's key is kept elsewhere, and is not looked for. Never throws. */
export async function findPlugin({ platform, env, home }: Place): Promise<FoundPlugin | undefined> {
  const { join } = platform === "win32" ? win32 : posix;
  const path = join(env.CLAUDE_CONFIG_DIR || join(home, ".claude"), "settings.json");
  const text = await readFile(path, "utf8").catch(() => "");
  const settings = asRecord(parse(text));
  const id = Object.entries(asRecord(settings.enabledPlugins)).find(
    ([name, isEnabled]) => name.startsWith("automagik-workflows@") && isEnabled === true,
  )?.[0];
  if (id === undefined) return undefined;
  const { engine, base_url } = asRecord(asRecord(asRecord(settings.pluginConfigs)[id]).options);
  // Left empty it is `local`.
  return { path, engine: engine ? String(engine) : "local", baseUrl: base_url ? String(base_url) : "" };
}
