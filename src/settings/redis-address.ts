/**
 * What is wrong with the address of a Redis server, `redis://[user:password@]host[:port][/database]` or the same with
 * `rediss://` for TLS; undefined when nothing is. The words go behind "the value" and never quote it, since it may
 * carry a password.
 */
export function findFaultInRedisAddress(text: string): string | undefined {
  const url = /^rediss?:/i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  if (!url?.hostname) return "is not the address of a Redis server";
  // What comes behind a mark is often the rest of a password that holds it. Ignored, it would go to another host.
  if (url.search || url.hash) return "has a query or a fragment (in a password, write ? as %3F and # as %23)";
  if (!/^\/?\d*$/.test(url.pathname)) return "names a database that is not a number";
  try {
    decodeURIComponent(url.username + url.password);
  } catch {
    return "has credentials that are not percent-encoded (write % as %25)";
  }
  return undefined;
}
