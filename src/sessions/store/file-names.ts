import { createHash } from "node:crypto";

/**
 * The folder name for one upstream address: its host for people, a hash for certainty. Addresses that differ only
 * in the case of the host, a closing slash, credentials, query or fragment are the same server; anything else is
 * another one. Text that is not a URL is taken as it stands.
 */
export function upstreamFolderName(upstream: string): string {
  const url = URL.canParse(upstream) ? new URL(upstream) : undefined;
  const address = url ? `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, "")}` : upstream;
  const readable = (url?.host ?? "").replace(/[^a-z0-9.-]+/g, "_").slice(0, 60);
  return `${readable || "upstream"}-${digest(address).slice(0, 12)}`;
}

/** What a session is stored under: a hash of the key, so that no key can name a place outside the store. */
export function recordId(key: string): string {
  return digest(key).slice(0, 32);
}

/** The file of a session. */
export function recordFileName(key: string): string {
  return `${recordId(key)}.json`;
}

/** True for names that `recordFileName` gives. */
export function isRecordFileName(name: string): boolean {
  return /^[0-9a-f]{32}\.json$/.test(name);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
