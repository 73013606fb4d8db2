import { SettingsError } from "../../settings/settings.js";

/**
 * Inputs as they are given on the command line: `name=value` each.
 * @throws SettingsError for one without a name or given twice; values are not repeated
 */
export function readInputs(given: readonly string[] | undefined): Record<string, string> | undefined {
  if (given === undefined) return undefined;
  const inputs: Record<string, string> = Object.create(null);
  for (const one of given) {
    const [, name, value] = /^\s*([^=\s]+)\s*=([\s\S]*)$/.exec(one) ?? [];
    if (name === undefined || value === undefined)
      throw new SettingsError('--input: a name and a value are needed, as in --input "feature=JWT login"');
    if (Object.hasOwn(inputs, name)) throw new SettingsError("--input: the same name was given twice");
    inputs[name] = value;
  }
  return { ...inputs };
}
