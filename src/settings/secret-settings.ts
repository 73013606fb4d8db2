import * as z from "zod";
import { isPlaceholder, UNFILLED } from "./placeholder.js";
import { type SettingMeta, setting } from "./setting.js";

/** A secret on one line. */
const secretText = z
  .string()
  .regex(/^[\x21-\x7e]+$/)
  .refine((text) => !isPlaceholder(text), UNFILLED);

type Meta = Pick<SettingMeta, "variable" | "about" | "bounds" | "forEngine">;
type Text = z.ZodOptional<z.ZodString>;
type SecretSettings<Name extends string> = Record<Name | `${Name}File` | `${Name}Command`, Text>;

/**
 * The settings of a secret: the secret itself, a file that has it, or a command that prints it. None of them is a flag,
 * which others on the machine could read. What it is then is for `createSecrets` to find out, when it is first needed.
 */
export function secretSettings<Name extends string>(name: Name, meta: Meta): SecretSettings<Name> {
  const { variable, about, bounds, ...more } = meta;
  const own = { ...more, noFlag: true as const };
  const ways = `Also \`${variable}_FILE\` or \`${variable}_COMMAND\`.`;
  return {
    [name]: setting(secretText.optional(), {
      ...{ variable, bounds, ...own, secret: true },
      about: `${about} Default: none. ${ways}`,
    }),
    [`${name}File`]: setting(z.string().min(1).optional(), {
      ...{ variable: `${variable}_FILE`, ...own, isVariant: true },
      about: `File that has \`${variable}\`.`,
      bounds: "a file that only you can read",
    }),
    [`${name}Command`]: setting(z.string().min(1).optional(), {
      ...{ variable: `${variable}_COMMAND`, ...own, isVariant: true, secret: true },
      about: `Command whose first line is \`${variable}\`.`,
      bounds: "a line for the shell",
    }),
  } as unknown as SecretSettings<Name>;
}
