import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "../shared/clock.js";

/** Who looks at the dashboard. */
export interface Visitor<View> {
  /** The name of a token, or "local". */
  caller: string;
  /** What this caller may see. */
  view: View;
  /** Aborts when the session ends. */
  signal: AbortSignal;
}

/** The links that open the dashboard, once each, and the sessions of those who have opened one. */
export interface DashboardAuth<View> {
  /** A code that opens the dashboard once, within some minutes. */
  invite(caller: string, view: View): string;
  /** The same for a code that another process has made, and of which only the digest is known here. */
  expect(digest: string, caller: string, view: View): void;
  /** Uses a code up. @returns the value of the session's cookie; undefined for a code that is not good (any more) */
  open(code: string): string | undefined;
  /** Whose cookie this is, which counts as a sign of life; undefined for nobody's. */
  find(cookie: string | undefined): Visitor<View> | undefined;
  /** Ends a session. */
  leave(cookie: string | undefined): void;
  /** Whether somebody has it open, or had a moment ago, or has a link that is still good. */
  isExpected(): boolean;
  /** Ends all. */
  close(): void;
}

/** So long a link is good, in ms: to be copied from one terminal to another browser. */
export const LINK_MS = 5 * 60_000;
/** So long a session may be idle, in ms. An open page's stream is no idleness. */
const IDLE_MS = 12 * 60 * 60_000;
/** So long a session may last at most, in ms, also with a page that is open all the time: some are forgotten. */
export const SESSION_MS = 7 * 24 * 60 * 60_000;
/** So long after the last request somebody may come back, in ms. */
const BACK_MS = 10 * 60_000;
/** Of links that nobody has opened, and of sessions; the oldest of whoever has most of them make room. */
const MOST_LINKS = 50;
const MOST_SESSIONS = 50;

/** A code, or the value of a cookie: 256 bits. */
export const newSecret = () => randomBytes(32).toString("base64url");
/** What is kept of a code, so that no memory and no file has the code itself. */
export const digestOf = (secret: string) => createHash("sha256").update(secret).digest("hex");

/**
 * Secrets are looked up by their digests, so that a comparison tells nothing of them.
 * @param options.isInUse whether a session has a page open: that one is not idle
 * @param options.onEnd told of each session that has ended, and of each link that was never opened
 */
export function createDashboardAuth<View>(options: {
  clock: Pick<Clock, "elapsed">;
  isInUse?: (view: View) => boolean;
  onEnd?: (view: View) => void;
}): DashboardAuth<View> {
  const { clock, isInUse = () => false, onEnd = () => {} } = options;
  const links = new Map<string, { caller: string; view: View; until: number }>();
  const sessions = new Map<
    string,
    { visitor: Visitor<View>; caller: string; ending: AbortController; seenAt: number; until: number }
  >();

  function expectLink(digest: string, caller: string, view: View): void {
    sweep();
    if (links.size >= MOST_LINKS) dropLink(oldestOfMost(links));
    links.set(digest, { caller, view, until: clock.elapsed() + LINK_MS });
  }

  function dropLink(digest: string): void {
    const link = links.get(digest);
    if (links.delete(digest) && link) onEnd(link.view);
  }

  function end(digest: string): void {
    const session = sessions.get(digest);
    if (!session) return;
    sessions.delete(digest);
    session.ending.abort();
    onEnd(session.visitor.view);
  }

  function sweep(): void {
    const now = clock.elapsed();
    for (const [digest, { until }] of [...links]) if (until < now) dropLink(digest);
    for (const [digest, session] of [...sessions]) {
      if (isInUse(session.visitor.view)) session.seenAt = now;
      if (now - session.seenAt > IDLE_MS || session.until < now) end(digest);
    }
  }

  return {
    invite(caller, view) {
      const code = newSecret();
      expectLink(digestOf(code), caller, view);
      return code;
    },
    expect: expectLink,
    open(code) {
      sweep();
      const digest = digestOf(code);
      const link = links.get(digest);
      if (!link) return undefined;
      links.delete(digest);
      if (sessions.size >= MOST_SESSIONS) end(oldestOfMost(sessions));
      const cookie = newSecret();
      const ending = new AbortController();
      const { caller, view } = link;
      const now = clock.elapsed();
      const visitor = { caller, view, signal: ending.signal };
      sessions.set(digestOf(cookie), { visitor, caller, ending, seenAt: now, until: now + SESSION_MS });
      return cookie;
    },
    find(cookie) {
      sweep();
      const session = cookie ? sessions.get(digestOf(cookie)) : undefined;
      if (session) session.seenAt = clock.elapsed();
      return session?.visitor;
    },
    leave: (cookie) => cookie && end(digestOf(cookie)),
    isExpected() {
      sweep();
      const since = clock.elapsed() - BACK_MS;
      return links.size > 0 || [...sessions.values()].some(({ seenAt }) => seenAt >= since);
    },
    close() {
      for (const digest of [...links.keys()]) dropLink(digest);
      for (const digest of [...sessions.keys()]) end(digest);
    },
  };
}

/** Who has most of them loses the oldest: nobody can take the others' away. */
function oldestOfMost(all: ReadonlyMap<string, { caller: string }>): string {
  const counts = new Map<string, number>();
  for (const { caller } of all.values()) counts.set(caller, (counts.get(caller) ?? 0) + 1);
  const most = Math.max(...counts.values());
  for (const [digest, { caller }] of all) if (counts.get(caller) === most) return digest;
  return "";
}
