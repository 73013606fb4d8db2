import {
  listEntries,
  OLD_PREFIX,
  PREFIX,
  readRaw,
  type Settings,
  settingsSchema,
  type Texts,
} from "./entries.js";
import { isSecret } from "./setting.js";

export { type Settings, tellingSettings } from "./entries.js";

/** A setting that cannot be used. The message is one line and fit to be shown. */
export class SettingsError extends Error {
  override name = "SettingsError";
}

/**
 * Reads settings from variables and flags; a flag wins over the variable, the present name over the old one,
 * and an empty value counts as not set.
 * @param env environment variables
 * @param flags flag values by their name without dashes
 * @throws SettingsError naming each variable or flag at fault, what is wrong and the bounds
 */
export function readSettings(env: Texts = {}, flags: Texts = {}): Settings {
  refuseRedis(env);
  const read = tryRead(readRaw(env, flags));
  if ("settings" in read) return read.settings;
  throw new SettingsError([...read.wrong.values()].join(" | "));
}

/**
 * Reads what can be used: for a look at a part of the settings, which the others must not keep from it.
 * @param env see {@link readSettings}
 * @param flags see {@link readSettings}
 * @returns the settings without those that cannot be used, and what is wrong with each of these by its variable, without
 * the prefix
 */
export function readUsableSettings(
  env: Texts = {},
  flags: Texts = {},
): { settings: Settings; wrong: ReadonlyMap<string, string> } {
  const given = readRaw(env, flags);
  const read = tryRead(given);
  if ("settings" in read) return { settings: read.settings, wrong: new Map() };
  const rest = Object.entries(given.raw).filter(([property]) => !read.wrong.has(property));
  const named = listEntries().flatMap(({ property, variable }): [string, string][] => {
    const message = read.wrong.get(property);
    return message === undefined ? [] : [[variable, message]];
  });
  return { settings: settingsSchema.parse(Object.fromEntries(rest)), wrong: new Map(named) };
}

/** What is wrong is told by property. */
function tryRead({
  raw,
  sources,
}: ReturnType<typeof readRaw>): { settings: Settings } | { wrong: Map<string, string> } {
  const parsed = settingsSchema.safeParse(raw);
  if (parsed.success) return { settings: parsed.data };
  const wrong = new Map<string, string>();
  for (const issue of parsed.error.issues) {
    const property = String(issue.path[0]);
    const entry = listEntries().find((one) => one.property === property);
    if (!entry || wrong.has(property)) continue;
    // Of an address only our own words are said: it may carry a password.
    const quoted =
      isSecret(entry, raw[property] ?? "") || property === "baseUrl"
        ? ""
        : ` ${JSON.stringify(raw[property])}`;
    const reason = issue.code === "custom" ? issue.message : "is not allowed";
    wrong.set(property, `${sources[property]}: the value${quoted} ${reason}; allowed: ${entry.bounds}`);
  }
  return { wrong };
}

/** Whoever still shares sessions by Redis would else have a server that knows none of them. */
function refuseRedis(env: Texts): void {
  const former = [`${PREFIX}STATE`, `${OLD_PREFIX}STATE`].find((name) => env[name]?.trim());
  if (former !== undefined) throw redisIsGone(former);
}

/** What is said to who still sets the address of a Redis server. @param name the variable or flag */
export function redisIsGone(name: string): SettingsError {
  return new SettingsError(
    `${name}: servers no longer share their sessions by Redis. Leave it out, and set ${PREFIX}DATABASE to the address of ` +
      "a PostgreSQL database, postgres://user:password@host/database; sessions are not taken over from Redis (docs/serving.md)",
  );
}
