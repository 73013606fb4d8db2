/** Longer runs of blanks or of empty lines push what comes behind them out of sight. */
const MANY_BLANKS = /[ \t]{24,}/g;
const MANY_LINES = /\n(?:[ \t]*\n){4,}/g;
/**
 * What is not seen, turns other text around, or looks like a blank and is none: controls, format characters (bidi
 * marks, joiners, tags), halves of characters, other blanks and fillers, and what chooses a character's variant.
 */
const UNSEEN =
  /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\u00a0\u115f\u1160\u1680\u17b4\u17b5\u180e\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\uffa0]|\p{Variation_Selector}|\u034f/gu;

/** A text as it will be carried out, with everything in it that would not be seen named: `<U+202E>`. */
export function showUnseen(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replace(UNSEEN, (char) => (char === "\n" || char === "\t" ? char : nameOf(char)))
    .replace(MANY_BLANKS, (blanks) => ` <${blanks.length} blanks> `)
    .replace(MANY_LINES, (lines) => `\n<${lines.split("\n").length - 2} empty lines>\n`);
}

function nameOf(char: string): string {
  return `<U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}>`;
}

/**
 * A text with its beginning and its end when it is longer than `limit`, because an end may be the worst part.
 * @returns whether something was left out; the text then says how much
 */
export function showEnds(text: string, limit: number): { text: string; cut: boolean } {
  if (text.length <= limit) return { text, cut: false };
  const each = Math.floor(limit / 2) - 60;
  const head = text.slice(0, each).replace(/[\ud800-\udbff]$/, "");
  const tail = text.slice(-each).replace(/^[\udc00-\udfff]/, "");
  const omitted = text.length - head.length - tail.length;
  return { text: `${head}\n(… ${omitted} characters are not shown here …)\n${tail}`, cut: true };
}
