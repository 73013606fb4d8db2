import type { StorePlace } from "../store/open-store.js";
import { createNotifier, type Notifier } from "./notifier.js";

type NotifierOptions = Parameters<typeof createNotifier>[0];

/** What nobody is told from here is not noted either: others would tell it who look into the same place. */
function open(options: NotifierOptions): Notifier {
  const notifier = createNotifier(options);
  return options.channels.length > 0 ? notifier : { ...notifier, add() {} };
}

/**
 * Notes and tells where servers may share a database: a command or a service tells everybody, so that each notice is told
 * by one of all servers; what is shown on a desktop is for the person there, and is noted in the state folder of that machine.
 * @param options.channels as `createNotifier` takes them
 */
export function openOutboxes(options: NotifierOptions): Notifier {
  const { address, channels, targets = [], ...common } = options;
  if (address === undefined) return open({ ...common, channels, targets });
  const places: StorePlace[] = [{ folder: common.folder, address }, { folder: common.folder }];
  const notifiers = places.flatMap((place) => {
    const isShared = place.address !== undefined;
    const own = channels.filter(({ name }) => (name !== "desktop") === isShared);
    const others = isShared ? targets : [];
    if (own.length + others.length === 0) return [];
    return [open({ ...common, ...place, channels: own, targets: others })];
  });
  const all = (work: (notifier: Notifier) => void) => {
    for (const notifier of notifiers) work(notifier);
  };
  return {
    add: (runId, notice, at) => all((notifier) => notifier.add(runId, notice, at)),
    settle: (keys) => all((notifier) => notifier.settle(keys)),
    // What other services are told is in the database that servers share.
    write: (work) => notifiers[0]?.write(work),
    look: () => all((notifier) => notifier.look()),
    close: async () => void (await Promise.all(notifiers.map((notifier) => notifier.close()))),
  };
}
