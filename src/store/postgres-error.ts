import { StoreError, type StoreErrorKind } from "./store-error.js";

const SERVER = "The PostgreSQL server";

const REFUSED = `${SERVER} does not accept the user, password or database. Check AUTOMAGIK_WORKFLOWS_DATABASE`;

/** The server is away: what was asked of it is asked again for a while. */
export class AwayError extends StoreError {
  override name = "AwayError";
}

/**
 * By the beginning of PostgreSQL's code of an error (https://www.postgresql.org/docs/current/errcodes-appendix.html);
 * the first that fits.
 */
const MEANINGS: [code: RegExp, kind: StoreErrorKind | "away", message: string][] = [
  [/^(08|57P0|25P03|53300|25006)/, "away", `${SERVER} cannot be used at the moment`],
  [
    /^(55P03|40001|40P01)/,
    "busy",
    "The PostgreSQL database is being changed by other servers; nothing was changed. Try again",
  ],
  [/^53100/, "full", `${SERVER} has no space left on its disk. Free some`],
  [/^(28|3D000)/, "unavailable", REFUSED],
  [/^42501/, "unwritable", `${SERVER} does not give its user the right to read, write and create tables`],
  [/^(XX001|XX002)/, "damaged", `${SERVER} says that its database is damaged`],
];

const CERTIFICATE = /CERT|^UNABLE_TO_|SELF_SIGNED|ALTNAME/;
const NO_TLS = "The server does not support SSL connections";

/** A statement was not answered within its time. */
export class TimeUp extends Error {}

/** Whether the server itself has said so, by which the connection is still good. */
export function isReply(error: unknown): boolean {
  return /^[0-9A-Z]{5}$/.test(codeOf(error)) && error instanceof Error && "severity" in error;
}

/**
 * What an error of the library means to a person, without an address, a user or a word of the server. A mistake in a
 * query, and every other error, stays as it is.
 */
export function explainPostgres(error: unknown): unknown {
  if (error instanceof StoreError || error instanceof TypeError || error instanceof RangeError) return error;
  const code = codeOf(error);
  if (isReply(error)) {
    const [, kind, message] = MEANINGS.find(([pattern]) => pattern.test(code)) ?? [];
    if (kind === undefined) return error;
    const text = `${message} (${code}).`;
    return kind === "away" ? new AwayError(text, code) : new StoreError(text, code, kind);
  }
  const { message } = error as Error;
  if (error instanceof TimeUp) return new AwayError(`${SERVER} does not answer.`);
  if (message === NO_TLS)
    return new StoreError(`${SERVER} has no TLS, which sslmode in its address asks for.`, code);
  // A password is asked for, and there is none.
  if (message.startsWith("SASL")) return new StoreError(`${REFUSED}.`);
  if (CERTIFICATE.test(code))
    return new StoreError(`The certificate of the PostgreSQL server is not accepted (${code}).`, code);
  // Files are only read for TLS.
  if (/^(ENOENT|EACCES|EISDIR)$/.test(code))
    return new StoreError(
      `A file that AUTOMAGIK_WORKFLOWS_DATABASE names for TLS cannot be read (${code}).`,
      code,
    );
  return new AwayError(`${SERVER} cannot be reached${code ? ` (${code})` : ""}.`, code || undefined);
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" && /^[A-Z0-9_]+$/.test(code) ? code : "";
}
