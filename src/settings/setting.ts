import type * as z from "zod";

/** What is said of a setting beside its form. */
export interface SettingMeta {
  /** The variable's name behind the prefix; the flag is the same in kebab case. */
  variable: string;
  /** The name behind the old prefix, where it was another one. */
  oldVariable?: string;
  about: string;
  bounds: string;
  /** The value, or one for which that holds, is never shown, in any message. */
  secret?: true | ((text: string) => boolean);
  /** It is no flag: others on the machine could read it there. */
  noFlag?: true;
  /** Another way to give one that is told in the table of settings, which tells this way, too. */
  isVariant?: true;
  /** It also concerns an engine that is started in the background, which gets it handed on. */
  forEngine?: true;
  /** An engine reads it when it starts, and keeps it until it ends. */
  atEngineStart?: true;
}

/** A setting: the form of its value, and what is said of it. */
export function setting<T extends z.ZodType>(schema: T, meta: SettingMeta): T {
  return schema.meta({ ...meta }) as T;
}

/** Whether a value that was given for a setting must not be shown. */
export function isSecret({ secret }: { secret?: SettingMeta["secret"] | undefined }, text: string): boolean {
  return typeof secret === "function" ? secret(text) : secret === true;
}
