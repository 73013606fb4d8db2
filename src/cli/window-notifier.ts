import { homedir } from "node:os";
import type { createNotifier, Notifier } from "../notices/notifier.js";
import { hasLinearKey } from "../settings/linear-settings.js";
import type { Settings } from "../settings/settings.js";
import { systemClock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { findPlansDatabase } from "./describe-server.js";
import { findStateFolder, foreignEnvironment } from "./process.js";

type Hidden = (string | undefined)[];

/**
 * What tells for `serve`: where servers share a database, of runs by the command that is set for all of them and by services;
 * in any case what is asked of people, and what issues are told.
 * @param hidden texts that the log never shows; secrets that are read are added
 * @returns undefined when nobody is told
 */
export async function openSharedNotifier(
  settings: Settings,
  log: Log,
  hidden: Hidden,
  onDone: Parameters<typeof createNotifier>[0]["onDone"],
): Promise<Notifier | undefined> {
  const address = findPlansDatabase(settings);
  const tellsNotices = address !== undefined && settings.notify !== "off";
  if (!tellsNotices && !hasLinearKey(settings) && !asksPeople(settings)) return undefined;
  const { channels, targets } = await findWays(settings, log, hidden);
  const forAll = tellsNotices ? channels.filter(({ name }) => name !== "desktop") : [];
  if (forAll.length + targets.length === 0) return undefined;
  const { openOutboxes } = await import("../notices/open-outboxes.js");
  const folder = findStateFolder(settings);
  const common = { folder, address, clock: systemClock, log, onDone };
  return openOutboxes({ ...common, channels: forAll, targets });
}

/** Whether people are named who may be asked by other services. */
function asksPeople({ slackAnswerers, discordAnswerers, ntfyAnswerers }: Settings): boolean {
  return [slackAnswerers, discordAnswerers, ntfyAnswerers].some((people) => people !== undefined);
}

/** All that this process may tell by. */
async function findWays(settings: Settings, log: Log, hidden: Hidden) {
  const { chooseChannels } = await import("../notices/choose-channels.js");
  const { createSecrets } = await import("../settings/secrets.js");
  const { listTargets } = await import("../integrations/list-targets.js");
  const machine = { env: foreignEnvironment(), platform: process.platform, home: homedir() };
  const secrets = createSecrets({ settings, ...machine, onSecret: (one) => void hidden.push(one) });
  const targets = listTargets({ settings, secrets, env: machine.env, clock: systemClock, log });
  return { ...chooseChannels(settings, machine, secrets), targets };
}

/**
 * What notes and tells for a chat window's server. The engine of this machine tells of its runs itself, so with it a
 * window only says what its person knows. What it needs is loaded, and looked for on this machine, with the first run
 * there is something to tell of: a start has no use for it.
 * @param hidden texts that the log never shows; secrets that are read are added
 * @returns undefined when nobody is told
 */
export function createWindowNotifier(settings: Settings, log: Log, hidden: Hidden): Notifier | undefined {
  if (settings.engine !== "local" && settings.notify === "off" && !hasLinearKey(settings)) return undefined;
  let opened: Promise<Notifier | undefined> | undefined;

  function use(work: (notifier: Notifier) => void): void {
    // Of a package that was updated meanwhile, a file may be gone: no run is to end by that.
    opened ??= openNotifier(settings, log, hidden).catch((error: NodeJS.ErrnoException) => {
      log.warn(`Notifications cannot be given (${error.code ?? error.name}). Start the server again.`);
      return undefined;
    });
    void opened.then((notifier) => notifier && work(notifier));
  }

  return {
    add: (runId, notice, at) => use((notifier) => notifier.add(runId, notice, at)),
    settle: (keys) => use((notifier) => notifier.settle(keys)),
    write: (work) => use((notifier) => notifier.write(work)),
    look: () => use((notifier) => notifier.look()),
    close: async () => (await opened)?.close(),
  };
}

/** @returns undefined where the person cannot be told */
async function openNotifier(settings: Settings, log: Log, hidden: Hidden): Promise<Notifier | undefined> {
  const common = { folder: findStateFolder(settings), clock: systemClock, log };
  // The engine of this machine notes and tells what its runs do, in the state folder.
  if (settings.engine === "local") {
    const { createNotifier } = await import("../notices/notifier.js");
    return createNotifier({ ...common, channels: [] });
  }
  const { channels, problem, targets } = await findWays(settings, log, hidden);
  if (problem) log.warn(`Not all notifications can be given: ${problem}.`);
  if (channels.length + targets.length === 0) return undefined;
  const { openOutboxes } = await import("../notices/open-outboxes.js");
  return openOutboxes({ ...common, address: findPlansDatabase(settings), channels, targets });
}
