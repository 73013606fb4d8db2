import { homedir } from "node:os";
import { chooseChannels } from "../notices/choose-channels.js";
import { createNotifier, type Notifier } from "../notices/notifier.js";
import type { Settings } from "../settings/settings.js";
import { systemClock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { findStateFolder, foreignEnvironment } from "./process.js";

/**
 * What notes and tells for a chat window's server. The engine of this machine tells of its runs itself, so with it a
 * window only says what its person knows.
 * @returns undefined when nobody is told
 */
export function createWindowNotifier(settings: Settings, log: Log): Notifier | undefined {
  const common = { folder: findStateFolder(settings), clock: systemClock, log };
  if (settings.engine === "local") return createNotifier({ ...common, channels: [] });
  const { channels, problem } = chooseChannels(settings, {
    env: foreignEnvironment(),
    platform: process.platform,
    home: homedir(),
  });
  if (problem) log.warn(`Notifications cannot be shown on the desktop: ${problem}.`);
  return channels.length > 0 ? createNotifier({ ...common, channels }) : undefined;
}
