// Tells what is due in a state folder by a command until its stdin ends: one of several processes that do.

import { createCommandChannel } from "../../src/notices/command.js";
import { createNotifier } from "../../src/notices/notifier.js";
import { systemClock } from "../../src/shared/clock.js";
import { createLog } from "../../src/shared/log.js";

const [folder = "", command = ""] = process.argv.slice(2);
const notifier = createNotifier({
  folder,
  channels: [createCommandChannel({ command, env: process.env, home: folder })],
  clock: systemClock,
  log: createLog({ level: "warn", stderr: process.stdout }),
});
process.stdin.resume().once("end", () => void notifier.close().then(() => process.exit(0)));
notifier.look();
