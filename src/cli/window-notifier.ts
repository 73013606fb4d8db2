import { homedir } from "node:os";
import type { Notifier } from "../notices/notifier.js";
import type { Settings } from "../settings/settings.js";
import { systemClock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { findStateFolder, foreignEnvironment } from "./process.js";

/**
 * What notes and tells for a chat window's server. The engine of this machine tells of its runs itself, so with it a
 * window only says what its person knows. What it needs is loaded, and looked for on this machine, with the first run
 * there is something to tell of: a start has no use for it.
 * @returns undefined when nobody is told
 */
export function createWindowNotifier(settings: Settings, log: Log): Notifier | undefined {
  if (settings.engine !== "local" && settings.notify === "off") return undefined;
  let opened: Promise<Notifier | undefined> | undefined;

  function use(work: (notifier: Notifier) => void): void {
    // Of a package that was updated meanwhile, a file may be gone: no run is to end by that.
    opened ??= openNotifier(settings, log).catch((error: NodeJS.ErrnoException) => {
      log.warn(`Notifications cannot be given (${error.code ?? error.name}). Start the server again.`);
      return undefined;
    });
    void opened.then((notifier) => notifier && work(notifier));
  }

  return {
    add: (runId, notice, at) => use((notifier) => notifier.add(runId, notice, at)),
    settle: (keys) => use((notifier) => notifier.settle(keys)),
    look: () => use((notifier) => notifier.look()),
    close: async () => (await opened)?.close(),
  };
}

/** @returns undefined where the person cannot be told */
async function openNotifier(settings: Settings, log: Log): Promise<Notifier | undefined> {
  const { createNotifier } = await import("../notices/notifier.js");
  const common = { folder: findStateFolder(settings), clock: systemClock, log };
  if (settings.engine === "local") return createNotifier({ ...common, channels: [] });
  const { chooseChannels } = await import("../notices/choose-channels.js");
  const { channels, problem } = chooseChannels(settings, {
    env: foreignEnvironment(),
    platform: process.platform,
    home: homedir(),
  });
  if (problem) log.warn(`Notifications cannot be shown on the desktop: ${problem}.`);
  return channels.length > 0 ? createNotifier({ ...common, channels }) : undefined;
}
