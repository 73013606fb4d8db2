import {
  bringSettings,
  followKeptSettings,
  type KeptSettings,
  type OwnSettings,
} from "../../engine/background/index.js";
import { compareEngineSettings, withEngineSettings } from "../../settings/engine-variables.js";
import type { Settings } from "../../settings/settings.js";
import { systemClock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";

/** The settings of an engine that runs: those that it was started with, until a window brings others. */
export interface LiveSettings {
  now(): Settings;
  /** Takes over what was brought; gives it when it has changed since the last call. Never throws. */
  readChanged(): Promise<Settings | undefined>;
}

/**
 * @param options.own what an engine brings that a person starts, as a window does; one in the background brings nothing
 * @param options.onChange told of settings that hold from now on
 */
export async function createLiveSettings(options: {
  stateFolder: string;
  settings: Settings;
  own?: OwnSettings;
  log: Log;
  onChange: (settings: Settings) => void;
}): Promise<LiveSettings> {
  const { stateFolder, own, log, onChange } = options;
  let settings = options.settings;
  const follow = followKeptSettings(stateFolder);

  function take({ since, settings: kept }: KeptSettings): Settings | undefined {
    const differences = compareEngineSettings(kept, settings);
    if (differences.length === 0) return undefined;
    const told = differences.map(({ variable, left, right, atStart }) =>
      atStart
        ? `${variable} ${left} (from the next engine on; now ${right})`
        : `${variable} ${left} (was ${right})`,
    );
    log.info(
      `Settings of a window that began at ${new Date(since).toISOString()} hold now: ${told.join("; ")}.`,
    );
    settings = withEngineSettings(settings, kept);
    onChange(settings);
    return settings;
  }

  if (own) {
    await bringSettings(stateFolder, own, systemClock.now()).catch((error: Error) =>
      log.warn(`The engine's settings could not be kept for the next one: ${error.message}.`),
    );
  }
  return {
    now: () => settings,
    async readChanged() {
      const kept = await follow();
      return kept && take(kept);
    },
  };
}
