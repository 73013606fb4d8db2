/** The forms that settings' values take. Each complaint goes behind "the value" and never quotes it. */
import { delimiter, isAbsolute } from "node:path";
import * as z from "zod";
import { isLoopback } from "../shared/http/loopback.js";
import { isPlaceholder, UNFILLED } from "./placeholder.js";
import { findFaultInPostgresAddress } from "./postgres-address.js";
import { parseTokens } from "./tokens.js";

/** A number written in decimal notation: `Number()` would also take "", "0x10" and "1e3". */
export function decimal(min: number, max: number, whole = false) {
  return z.string().transform((text, context) => {
    const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (number >= min && number <= max && (!whole || Number.isInteger(number))) return number;
    context.addIssue({ code: "custom", message: "is not allowed" });
    return z.NEVER;
  });
}

/**
 * An address without a trailing slash. A path prefix may stay; the API's own path is taken off when somebody
 * pasted the whole of it.
 */
export const baseUrl = z.string().transform((text, context) => {
  const refuse = (message: string) => {
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) return refuse("is not an address");
  if (url.protocol !== "http:" && url.protocol !== "https:") return refuse("is neither http nor https");
  if (url.username || url.password) return refuse("contains credentials");
  if (url.search || url.hash) return refuse("has a query or a fragment");
  return `${url.origin}${url.pathname}`.replace(/(\/api\/v1(\/workflows(\/claude-code)?)?)?\/*$/, "");
});

/** Where something is sent to, without a slash at its end. */
export const endpoint = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isGood =
    url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash;
  if (isGood) return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  context.addIssue({
    code: "custom",
    message: "is no http or https address, or has credentials, a query or a fragment",
  });
  return z.NEVER;
});

/** Of a service that gets a secret: never in the clear, but to this machine. Without a slash at its end. */
export const serviceAddress = endpoint.refine(
  (text) => text.startsWith("https:") || isLoopback(new URL(text).hostname.replace(/^\[|\]$/g, "")),
  "is neither https nor on this machine",
);

/** Hosts with what they are, "host=gitlab". */
export const forgeList = z.string().transform((text, context) => {
  const parts = text.split(",").flatMap((part) => part.trim() || []);
  const pairs = parts.map((part) => /^([\w.-]+)=(gitlab|gitea)$/i.exec(part));
  if (pairs.length > 0 && pairs.every((one) => one !== null))
    return Object.fromEntries(
      pairs.map(([, host = "", kind = ""]) => [host.toLowerCase(), kind.toLowerCase() as "gitlab" | "gitea"]),
    );
  context.addIssue({ code: "custom", message: "has an invalid part" });
  return z.NEVER;
});

/** Headers, "name=value" separated by commas. */
export const headerList = z.string().transform((text, context) => {
  const parts = text.split(",").flatMap((part) => part.trim() || []);
  const headers = parts.map((part) => /^([!#$%&'*+.^_`|~\w-]+)=([\x20-\x7e]+)$/.exec(part));
  if (headers.length > 0 && headers.every((one) => one !== null))
    return Object.fromEntries(headers.map(([, name = "", value = ""]) => [name.toLowerCase(), value.trim()]));
  context.addIssue({ code: "custom", message: "has a part that is no header" });
  return z.NEVER;
});

/** A key. One that is no legal header value would be refused by the HTTP client in an error that quotes it. */
export const headerText = z
  .string()
  .regex(/^[\x21-\x7e]+$/)
  .refine((text) => !isPlaceholder(text), UNFILLED);

/** Folders in the way of PATH; `~` stays, because only the one who uses it knows whose it is. */
export const folderList = z.string().transform((text, context) => {
  const folders = text.split(delimiter).flatMap((folder) => folder.trim() || []);
  if (folders.every((folder) => isAbsolute(folder) || /^~($|[\\/])/.test(folder))) return folders;
  context.addIssue({ code: "custom", message: "has a folder that is not absolute" });
  return z.NEVER;
});

/** Parts separated by commas, each of the form. */
export function list(form: RegExp) {
  return z.string().transform((text, context) => {
    const parts = text.split(",").flatMap((part) => part.trim() || []);
    if (parts.length > 0 && parts.every((part) => form.test(part))) return parts;
    context.addIssue({ code: "custom", message: "has an invalid part" });
    return z.NEVER;
  });
}

/** A host with or without a port. */
export const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;
/** Where a web page comes from. */
export const ORIGIN = /^https?:\/\/(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

/** Callers' tokens. */
export const tokens = z.string().transform((text, context) => {
  try {
    return parseTokens(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
    return z.NEVER;
  }
});

/** The address of a PostgreSQL database. */
export const postgresAddress = z.string().transform((text, context) => {
  const fault = findFaultInPostgresAddress(text);
  if (!fault) return text;
  context.addIssue({ code: "custom", message: fault });
  return z.NEVER;
});
