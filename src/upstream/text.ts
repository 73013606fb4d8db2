// Escape sequences first, so that their visible remainder goes too; then control characters but tab and line feed;
// then the marks that turn text around on a screen, or hide other text in it (tags); then halves of characters, which
// no encoding takes.
const ESCAPE_SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[ -/]*[0-~])/g;
const UNFIT =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}\p{Cs}]/gu;
/** Half of a character at the end. */
const HALF = /[\ud800-\udbff]$/;

/**
 * Makes text from elsewhere fit to be shown: no escape sequences, no control characters, no marks that turn it around
 * or hide something in it, `\r\n` as `\n`, and no more than `limit` characters.
 */
export function cleanText(text: string, limit = Number.POSITIVE_INFINITY): string {
  const clean = beginningOf(text, limit)
    .replaceAll("\r\n", "\n")
    .replace(ESCAPE_SEQUENCES, "")
    .replace(UNFIT, "");
  return clean.length > limit ? `${cutText(clean, limit - 1)}…` : clean;
}

/** The first `length` characters, or one less where that would cut a character in two. */
export function cutText(text: string, length: number): string {
  return text.slice(0, length).replace(HALF, "");
}

/** The same on one line, for names, actions and reasons. */
export function cleanLine(text: string, limit = 300): string {
  return cleanText(beginningOf(text, limit).replace(/\s+/g, " ").trim(), limit);
}

/** As much of a text as can matter: of megabytes, the rest need not be looked at. */
function beginningOf(text: string, limit: number): string {
  return text.length > 8 * limit + 4_096 ? text.slice(0, 8 * limit + 4_096) : text;
}
