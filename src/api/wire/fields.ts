import * as z from "zod";
import { cleanLine } from "../../shared/text.js";

/**
 * The wire's shapes, read generously: only what makes an answer usable is required; any other field that is
 * missing, null or of another type counts as not told, and unknown fields are ignored.
 */
export const told = <T extends z.ZodType>(schema: T) => schema.nullish().catch(undefined);
export const text = told(z.string());
/** Some servers number things. A number that is no longer exact would name something else. */
export const anyId = z.union([z.string().min(1), z.int().transform(String)]);
export const id = told(anyId);
export const number = told(z.number());
export const flag = told(z.boolean());
export const texts = told(z.array(z.unknown()));
export const record = told(z.record(z.string(), z.unknown()));

/** Drops what is undefined or null, so that a missing value has one form only. */
export function compact<T extends object>(
  object: {
    [K in keyof T]: T[K] | null | undefined;
  },
): T {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined && value !== null),
  ) as T;
}

/** Times without an offset are UTC: that is how the public server writes them. */
export function parseTime(value: unknown): number | undefined {
  if (typeof value !== "string" || !value) return undefined;
  const zoned = /(?:z|[+-]\d\d:?\d\d)$/i.test(value) ? value : `${value}Z`;
  const time = Date.parse(zoned.replace(" ", "T"));
  return Number.isNaN(time) ? undefined : time;
}

/** A text on one line, cleaned and cut to `limit` characters. */
export const line = (value: unknown, limit?: number) =>
  typeof value === "string" && value.trim() ? cleanLine(value, limit) : undefined;
/** An id, written as a text or as a number. */
export const idOf = (value: unknown) => line(Number.isSafeInteger(value) ? String(value) : value);
/** A repository's address without a password: whoever started the run may have put one in. */
export const address = (value: unknown) =>
  line(value, 2048)?.replace(/^((?:https?|git):\/\/)[^/?#]*@|^(ssh:\/\/[^/?#:@]*):[^/?#]*(?=@)/i, "$1$2");
/** A list's texts, each as {@link line}. */
export const lines = (value: unknown) =>
  (Array.isArray(value) ? value : [])
    .slice(0, 500)
    .map((item) => line(item))
    .filter((item) => item !== undefined);
/** A number that can be shown as it is; a negative one counts as not told. */
export const count = (value: unknown) =>
  typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : undefined;
