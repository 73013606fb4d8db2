import { readSettings, SettingsError } from "../../settings/settings.js";
import type { Invocation } from "../command-line.js";
import { askToDrain } from "../engine/ask-to-drain.js";
import { findStateFolder } from "../process.js";

/** A week. */
const MOST_SECONDS = 7 * 24 * 60 * 60;

/** `engine drain`: has the engine begin nothing more, and waits until it has ended by itself. */
export async function engineDrain(asked: Invocation): Promise<number> {
  const settings = readSettings(process.env, asked.flags);
  const after = asked["interrupt-after"];
  if (after !== undefined && (!/^\d{1,6}$/.test(after) || Number(after) > MOST_SECONDS))
    throw new SettingsError(
      `--interrupt-after: the value is not allowed; allowed: 0 to ${MOST_SECONDS}, whole seconds`,
    );
  return askToDrain({
    stateFolder: findStateFolder(settings),
    settingsKey: settings.apiKey,
    interruptAfterS: after === undefined ? undefined : Number(after),
    out: (text) => process.stdout.write(text),
  });
}
