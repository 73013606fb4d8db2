import { readSettings } from "../../settings/settings.js";
import type { Invocation } from "../command-line.js";
import { askToStopEngine } from "../engine/ask-to-stop.js";
import { createAsk } from "../install/ask.js";
import { findStateFolder, openLog } from "../process.js";

/** `engine stop`: ends the engine and its runs, after asking. */
export async function engineStop({ flags, force }: Invocation): Promise<number> {
  const settings = readSettings(process.env, flags);
  return askToStopEngine({
    settings,
    stateFolder: findStateFolder(settings),
    force: force === true,
    ask: createAsk(process.stdin, process.stderr),
    log: openLog({ level: settings.logLevel, secrets: [settings.apiKey], what: "this command" }),
    out: (text) => process.stdout.write(text),
  });
}
