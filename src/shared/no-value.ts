/** What models write where they have nothing to say, in small letters. */
const WORDS = new Set([
  "null",
  "none",
  "undefined",
  "nil",
  "nan",
  "n/a",
  "n.a.",
  "na",
  "not applicable",
  "not specified",
  "not provided",
  "not set",
  "unspecified",
  "-",
  "--",
  "\u2013",
  "\u2014",
]);
/** What such words are put into: "'null'", "<none>", "(n/a)". */
const WRAPPED = /^(["'`<([{]*)(.*?)[\]"'`>)}]*[.]?$/s;
const HEADS = "refs/heads/";

/** Whether a value is a word that models write for "nothing": null, "null", "None", "undefined", "N/A" and the like. */
export function isNothing(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  if (typeof value !== "string" || value.length > 30) return false;
  const word = value.trim().toLowerCase();
  return WORDS.has(word) || WORDS.has((WRAPPED.exec(word)?.[2] ?? "").trim());
}

/**
 * A branch that really bears such a name is named in full: `refs/heads/none`.
 * @returns the branch's name where that is done, else the value as it is
 */
export function readBranch<T>(value: T): T | string {
  if (typeof value !== "string" || !value.trim().startsWith(HEADS)) return value;
  const name = value.trim().slice(HEADS.length);
  return isNothing(name) ? name : value;
}

/** The arguments of a next step, so that they mean the same when they come back. */
export function protectBranch(args: Record<string, unknown>): Record<string, unknown> {
  const { git_branch } = args;
  return typeof git_branch === "string" && isNothing(git_branch)
    ? { ...args, git_branch: HEADS + git_branch }
    : args;
}
