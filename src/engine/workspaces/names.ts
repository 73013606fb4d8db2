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

/**
 * The name of a session's worktree, for people: the repository and the session. Lower case, so that it is the same on
 * file systems that know no case; two parts with a dash between, so that it is none of the names that Windows reserves.
 */
export function worktreeName(repository: string, sessionName?: string): string {
  return `${slug(repository, 24) || "repository"}-${slug(sessionName ?? "") || "session"}`;
}

/** Where the branches are that sessions are given. */
export const OWN_BRANCHES = "automagik";

/** The branch of a session that asked for none, as people read it; another session may have it already. */
export function readableBranch(sessionName?: string): string {
  return `${OWN_BRANCHES}/${slug(sessionName ?? "") || "session"}`;
}

/** The same with what makes it this session's alone. */
export function certainBranch(sessionKey: string, sessionName?: string): string {
  return `${readableBranch(sessionName)}-${digest(sessionKey).slice(0, 10)}`;
}

/** True for the certain branch of this session, whatever the session was called: earlier versions gave no other. */
export function isCertainBranch(sessionKey: string, branch: string): boolean {
  return /^automagik\/[a-z0-9-]+$/.test(branch) && branch.endsWith(certainBranch(sessionKey).slice(-11));
}
