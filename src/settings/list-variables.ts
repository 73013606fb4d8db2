import { type Entry, listEntries, PREFIX, readRaw, type Texts } from "./entries.js";
import { isSecret } from "./setting.js";

/**
 * The settings that concern an engine in the background, as variables under their whole names: for its environment.
 * Takes what `readSettings()` takes; what is left at its default is left out.
 */
export function listEngineVariables(env: Texts, flags: Texts): Record<string, string> {
  const { raw } = readRaw(env, flags);
  const given = listEntries().filter((entry) => entry.forEngine && raw[entry.property] !== undefined);
  return Object.fromEntries(given.map((entry) => [PREFIX + entry.variable, raw[entry.property] as string]));
}

/** The secret settings that are given, by their flags without dashes. */
export function listGivenSecrets(env: Texts, flags: Texts): Record<string, string> {
  const { raw } = readRaw(env, flags);
  const given = listEntries().filter((entry) => isHidden(entry, raw));
  return Object.fromEntries(given.map((entry) => [entry.flag, raw[entry.property] as string]));
}

/** The settings that are given, as variables under their whole names; of secrets only the names. */
export function listGivenVariables(
  env: Texts,
  flags: Texts,
): { variables: Record<string, string>; omitted: string[] } {
  const { raw } = readRaw(env, flags);
  const given = listEntries().filter((entry) => raw[entry.property] !== undefined);
  return {
    variables: Object.fromEntries(
      given
        .filter((entry) => !isHidden(entry, raw))
        .map((entry) => [PREFIX + entry.variable, raw[entry.property] as string]),
    ),
    omitted: given
      .filter((entry) => isHidden(entry, raw) && entry.property !== "apiKey")
      .map((entry) => PREFIX + entry.variable),
  };
}

function isHidden(entry: Entry, raw: Record<string, string>): boolean {
  const text = raw[entry.property];
  return text !== undefined && isSecret(entry, text);
}
