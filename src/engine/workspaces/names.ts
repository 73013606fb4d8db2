import { createHash } from "node:crypto";

/** A text that can be part of a file name anywhere: a–z, 0–9 and single dashes. */
export function slug(text: string, limit = 32): string {
  const words = text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, limit);
  return words.replace(/^-+|-+$/g, "");
}

/** 32 hex digits that stand for the text, so that no text can name a place of its own choosing. */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

/** A name for people and, by the digest at its end, for certainty. */
export function folderName(readable: string, identity: string): string {
  return [slug(readable), digest(identity)].filter(Boolean).join("-");
}

/** The branch of a session that asked for none. */
export function sessionBranch(sessionKey: string, sessionName?: string): string {
  return `automagik/${slug(sessionName ?? "") || "session"}-${digest(sessionKey).slice(0, 10)}`;
}

/** True for the branch that this session was given, whatever the session was called. */
export function sessionBranchOf(sessionKey: string, branch: string): boolean {
  return /^automagik\/[a-z0-9-]+$/.test(branch) && branch.endsWith(sessionBranch(sessionKey).slice(-11));
}
