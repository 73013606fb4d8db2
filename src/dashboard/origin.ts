import { Refusal } from "./refusal.js";
import { ACTION_HEADER } from "./views/calls.js";

/**
 * Whether a person follows a link to the page, from wherever that stands: it shows nothing without a session, and a link
 * that begins one has a code that no other site knows.
 */
export function isFollowedLink(request: {
  method: string | undefined;
  path: string;
  origin: string | null | undefined;
  mode: string | null | undefined;
}): boolean {
  const { method, path, origin, mode } = request;
  return method === "GET" && !origin && mode === "navigate" && /^\/dashboard(?:\/(?:open)?)?$/.test(path);
}

/** A page of another origin gets nothing, whoever else may call this server. @throws Refusal 403 */
export function checkOrigin({ method, url, headers }: Request): void {
  const origin = headers.get("origin");
  const site = headers.get("sec-fetch-site");
  const isForeign = origin !== null && !isOwnPage(origin, headers.get("host"));
  const mode = headers.get("sec-fetch-mode");
  if (isFollowedLink({ method, path: new URL(url).pathname, origin, mode })) return;
  if (isForeign || site === "cross-site" || site === "same-site")
    throw new Refusal(403, "Origin not allowed");
}

/** Whether an Origin is that of the dashboard's own page, at the Host that is called; TLS may be a proxy's. */
export function isOwnPage(origin: string, host: string | null | undefined): boolean {
  return /^https?:\/\/(.+)$/i.exec(origin)?.[1]?.toLowerCase() === host?.toLowerCase();
}

/** What changes something comes from the page itself, which no other site can make it send. @throws Refusal */
export function checkPost({ headers }: Request): void {
  if (headers.get("origin") === null || headers.get(ACTION_HEADER) === null)
    throw new Refusal(403, "Only the dashboard's own page may do that. Nothing was done.");
  if (!/^application\/json\s*(?:;|$)/i.test(headers.get("content-type") ?? ""))
    throw new Refusal(415, "The body has to be JSON. Nothing was done.");
}
