/** The ways of TLS that `pg` knows; it would take any other word for one of them. */
const TLS_MODES = ["disable", "prefer", "require", "verify-ca", "verify-full", "no-verify"];
const OPTIONS = ["sslmode", "sslrootcert", "sslcert", "sslkey", "uselibpqcompat", "host", "options"];
const ENCODE = "in a user or password, write / as %2F, ? as %3F, # as %23 and @ as %40";

/**
 * What is wrong with the address of a PostgreSQL database, `postgres://user:password@host[:port]/database[?sslmode=…]`;
 * undefined when nothing is. The words go behind "the value" and never quote it, since it may carry a password.
 */
export function findFaultInPostgresAddress(text: string): string | undefined {
  const url = /^postgres(ql)?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  if (!url) return "is not the address of a PostgreSQL database";
  // What comes behind such a mark is often the rest of a password that holds it. Ignored, it would go to another host.
  if (url.hash) return `has a fragment (${ENCODE})`;
  if (!url.hostname) return "names no host";
  if (!/^\/[^/@]+$/.test(url.pathname)) return `names no database, or an impossible one (${ENCODE})`;
  if ([...url.searchParams.keys()].some((name) => !OPTIONS.includes(name)))
    return `has an unknown option; known are ${OPTIONS.join(", ")} (${ENCODE})`;
  if (!TLS_MODES.includes(url.searchParams.get("sslmode") ?? "disable"))
    return `has an unknown sslmode; known are ${TLS_MODES.join(", ")}`;
  try {
    decodeURIComponent(url.username + url.password + url.pathname);
  } catch {
    return "has a part that is not percent-encoded (write % as %25)";
  }
  return undefined;
}
