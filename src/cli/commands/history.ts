import { readSettings, SettingsError } from "../../settings/settings.js";
import { findSharedDatabase } from "../../settings/shared-database.js";
import { systemClock } from "../../shared/clock.js";
import type { Invocation } from "../command-line.js";
import {
  deleteHistory,
  exportHistory,
  type HistoryPlace,
  readRepository,
  readSince,
  showHistory,
} from "../history/history-commands.js";
import { createAsk } from "../install/ask.js";
import { findStateFolder } from "../process.js";
import { findWidth, out } from "./terminal.js";

/** `history`, `history export` and `history delete`: what ended runs and plans have taken. */
export async function history(asked: Invocation): Promise<number> {
  const settings = readSettings(process.env, asked.flags);
  const note = (text: string) => void process.stderr.write(text);
  const now = systemClock.now();
  const place: HistoryPlace = {
    folder: findStateFolder(settings),
    address: findSharedDatabase(settings),
    days: settings.historyDays,
    now,
    out,
    note,
  };
  const repository = readRepository(asked.repository, process.cwd());
  const selection = {
    repository,
    since: asked.since === undefined ? undefined : readSince(asked.since, now),
  };
  switch (asked.command) {
    case "history export":
      if (asked.json === true && asked.csv === true)
        throw new SettingsError("--json, --csv: give one of the two");
      return exportHistory(place, { ...selection, format: asked.csv === true ? "csv" : "json" });
    case "history delete": {
      if (repository === undefined) throw new SettingsError("--repository: say whose history to delete");
      const ask = createAsk(process.stdin, process.stderr);
      return deleteHistory(place, {
        repository,
        agree: asked.yes === true ? async () => true : ask,
      });
    }
    default:
      return showHistory(place, { ...selection, json: asked.json === true, width: findWidth() });
  }
}
