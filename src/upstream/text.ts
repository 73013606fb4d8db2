// Escape sequences first, so that their visible remainder goes too; then control characters but tab and line
// feed; then the marks that reorder text on a screen (bidirectional overrides and isolates).
const ESCAPE_SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[ -/]*[0-~])/g;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/**
 * Makes text from elsewhere fit to be shown: no escape sequences, no control characters, `\r\n` as `\n`, and no
 * more than `limit` characters.
 */
export function cleanText(text: string, limit = Number.POSITIVE_INFINITY): string {
  const clean = text.replaceAll("\r\n", "\n").replace(ESCAPE_SEQUENCES, "").replace(CONTROLS, "");
  return clean.length > limit ? `${clean.slice(0, limit - 1)}…` : clean;
}

/** The same on one line, for names, actions and reasons. */
export function cleanLine(text: string, limit = 300): string {
  return cleanText(text.replace(/\s+/g, " ").trim(), limit);
}
