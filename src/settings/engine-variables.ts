import { isDeepStrictEqual } from "node:util";
import { cleanLine } from "../shared/text.js";
import { type Entry, listEntries, PREFIX, type Texts } from "./entries.js";
import { isSecret } from "./setting.js";
import { readSettings, type Settings, SettingsError } from "./settings.js";

/** A setting of an engine that two sides have otherwise. */
export interface Difference {
  /** The name behind the prefix: `ENGINE_PUSH`. */
  variable: string;
  /** The values in words; of a secret only whether it is set. */
  left: string;
  right: string;
  /** An engine that runs cannot change it. */
  atStart: boolean;
}

/** So much of a value is shown, in characters. */
const SHOWN = 120;

const entriesOfEngine = () => listEntries().filter((entry) => entry.forEngine);

/** Which of an engine's variables, by their whole names, must not be written or shown. */
export function listSecretEngineVariables(): string[] {
  return entriesOfEngine()
    .filter((entry) => entry.secret)
    .map((entry) => PREFIX + entry.variable);
}

/** The settings by variables that were stored; undefined when one of them cannot be used, which makes all doubtful. */
export function readStoredVariables(variables: Texts): Settings | undefined {
  try {
    return readSettings(variables);
  } catch (error) {
    if (error instanceof SettingsError) return undefined;
    throw error;
  }
}

/** `settings` with what concerns an engine taken from `engine`. */
export function withEngineSettings(settings: Settings, engine: Settings): Settings {
  const taken = entriesOfEngine().map(({ property }) => [property, engine[property]]);
  return { ...settings, ...Object.fromEntries(taken) };
}

/** What differs between two sets of an engine's settings, in the order in which settings are told. */
export function compareEngineSettings(left: Settings, right: Settings): Difference[] {
  return entriesOfEngine()
    .filter(({ property }) => !isDeepStrictEqual(left[property], right[property]))
    .map((entry) => ({
      variable: entry.variable,
      left: show(entry, left),
      right: show(entry, right),
      atStart: entry.atEngineStart === true,
    }));
}

/** The settings that are not left at their defaults: "ENGINE_PUSH on". */
export function listChosenEngineSettings(settings: Settings): string[] {
  return compareEngineSettings(settings, readSettings()).map(({ variable, left }) => `${variable} ${left}`);
}

function show({ property, secret }: Entry, settings: Settings): string {
  const value = settings[property];
  if (value === undefined) return "not set";
  if (isSecret({ secret }, String(value))) return "set";
  return cleanLine(Array.isArray(value) ? value.join(", ") : String(value), SHOWN);
}
