import type { KeptSettings, OwnSettings } from "../engine/background/index.js";
import { compareEngineSettings, type Difference } from "../settings/engine-variables.js";
import { PREFIX } from "../settings/entries.js";
import { listEngineVariables } from "../settings/list-variables.js";
import type { Settings } from "../settings/settings.js";
import { systemClock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { asUnwritable } from "../shared/private-files.js";
import type { Invocation } from "./command-line.js";
import { ownEnvironment, processBegan } from "./process.js";

/** The settings by which a process looks for the engine, and what it says of those that hold. */
export interface WindowSettings {
  /** Brings them, unless newer ones hold. Never throws. */
  bring(): Promise<void>;
  /** The variables of those that hold: for an engine that is started. */
  variables(): Readonly<Record<string, string>>;
  /** Tells of an engine that has kept what it cannot change. */
  checkAddress(url: string): void;
  /** What a person is told with a start: settings of a newer window that hold. Once for each change; else undefined. */
  tellOther(): Promise<string | undefined>;
}

/**
 * @param options.partial only what is given is brought; the rest stays: for a command in a terminal, of which nothing
 *   says what the chat clients have
 */
export function createWindowSettings(options: {
  flags: Invocation["flags"];
  settings: Settings;
  stateFolder: string;
  partial: boolean;
  /** When the process began whose settings these are, epoch ms; this one, unless told. */
  began?: number | undefined;
  log: Log;
}): WindowSettings {
  const { flags, settings, stateFolder, partial, began = processBegan(), log } = options;
  const own: OwnSettings = {
    began,
    variables: listEngineVariables(ownEnvironment(), flags),
    partial,
  };
  const load = () => import("../engine/background/index.js");
  let held: KeptSettings | undefined;
  let told = "";
  let problem = "";

  /** What holds otherwise than here, in words. */
  function describeOthers(kept: KeptSettings | undefined): string {
    if (!kept || kept.since <= own.began) return "";
    const others = compareEngineSettings(kept.settings, settings)
      // What only the next engine gets says nothing of the present one.
      .filter(({ atStart }) => !atStart)
      .filter(({ variable }) => !partial || PREFIX + variable in own.variables);
    return others.map(({ variable, left, right }) => `${variable} ${left} (here ${right})`).join("; ");
  }

  return {
    async bring() {
      const { bringSettings, readKeptSettings } = await load();
      try {
        const brought = await bringSettings(stateFolder, own, systemClock.now());
        problem = "";
        held = brought.held;
        if (brought.former && held !== brought.former) tellChanges(brought.held, brought.former, log);
      } catch (error) {
        held = await readKeptSettings(stateFolder);
        const { message } = asUnwritable(error);
        // Each look for the engine brings them: what has been said is not said again.
        if (message !== problem)
          log.warn(
            `The settings of this window could not be handed to the engine: ${message}. ` +
              "Those that held before hold on.",
          );
        problem = message;
      }
      const others = describeOthers(held);
      if (others) log.warn(`${NEWER} ${others}. ${RESTART}`);
    },

    variables: () => held?.variables ?? own.variables,

    checkAddress(url) {
      const wanted = held?.settings.enginePort;
      const { port } = new URL(url);
      if (!wanted || String(wanted) === port) return;
      log.warn(
        `ENGINE_PORT is ${wanted}, but the engine that runs listens on ${port} and keeps that. ` +
          "`automagik-workflows-mcp engine stop` ends it; with the next call one starts on the new port. Runs that go " +
          "on would end as failed and can be continued: it names them and asks first.",
      );
    },

    async tellOther() {
      // Of a package that was updated meanwhile, a file may be gone: no answer is to fail by that.
      const kept = await load().then(
        ({ readKeptSettings }) => readKeptSettings(stateFolder),
        () => undefined,
      );
      const others = describeOthers(kept);
      if (others === told) return undefined;
      told = others;
      return others ? `${NEWER} ${others}. ${RESTART}` : undefined;
    },
  };
}

const NEWER = "The engine has the settings of a window that began later than this one:";
const RESTART = "To have this window's, start its server again.";

function tellChanges(held: KeptSettings, former: KeptSettings, log: Log): void {
  const tell = ({ variable, left, right }: Difference) => `${variable} ${left} (was ${right})`;
  const now = compareEngineSettings(held.settings, former.settings).filter(({ atStart }) => !atStart);
  if (now.length === 0) return;
  log.info(
    `The engine has this window's settings, for what begins from now on: ${now.map(tell).join("; ")}.`,
  );
}
