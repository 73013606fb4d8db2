import { createHash, timingSafeEqual } from "node:crypto";
import type { Token } from "../../settings/tokens.js";

/**
 * Tells callers by the token in their Authorization header.
 * @returns gives the caller's name, or undefined for none or a wrong token. It takes as long for every token: all are
 * compared, as digests, which are of one length.
 */
export function createTokenCheck(
  tokens: readonly Token[],
): (authorization: string | undefined) => string | undefined {
  const known = tokens.map(({ name, token }) => ({ name, digest: digestOf(token) }));
  return (authorization) => {
    const given = digestOf(/^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1] ?? "");
    let found: string | undefined;
    for (const { name, digest } of known) {
      if (timingSafeEqual(digest, given)) found = name;
    }
    return found;
  };
}

/** A fingerprint of a secret: comparing it tells nothing of the secret. */
export function digestOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
