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
  const { raw, sources } = readRaw(env, flags);
  const parsed = settingsSchema.safeParse(raw);
  if (parsed.success) return parsed.data;
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
  throw new SettingsError([...wrong.values()].join(" | "));
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
