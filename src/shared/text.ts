// Escape sequences first, so that their visible remainder goes too; then control characters but tab and line feed,
// halves of characters, which no encoding takes, and the blank that is no space; then whatever shows nothing: marks
// that turn text around or hide other text in it, fillers, joiners, variants.
const ESCAPE_SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[ -/]*[0-~])/g;
const UNFIT = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufff9-\ufffb\u2800\p{Cs}]/gu;
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;
/** Scripts whose words are spelled with joiners. */
const JOINED =
  "[\\p{Script=Arabic}\\p{Script=Bengali}\\p{Script=Devanagari}\\p{Script=Gujarati}\\p{Script=Gurmukhi}\\p{Script=Kannada}" +
  "\\p{Script=Malayalam}\\p{Script=Oriya}\\p{Script=Sinhala}\\p{Script=Syriac}\\p{Script=Tamil}\\p{Script=Telugu}]";
/** The same, less what makes one emoji of several, and words of those scripts. */
const INVISIBLE_IN_TEXT = new RegExp(
  `(?!(?<=\\p{Extended_Pictographic})\\ufe0f|(?<=[\\p{Extended_Pictographic}\\ufe0f\\p{Emoji_Modifier}])\\u200d(?=\\p{Extended_Pictographic})|` +
    `(?<=${JOINED})[\\u200c\\u200d](?=${JOINED}))\\p{Default_Ignorable_Code_Point}`,
  "gu",
);
/** Nothing but this is in most texts, and then there is nothing to take out: the others cost a millisecond to prepare. */
const FIT = /^[\t\n -~]*$/;
/** The same without blanks. */
const WORD = /^[!-~]*$/;
/** Half of a character at the end. */
const HALF = /[\ud800-\udbff]$/;

/**
 * Makes text from elsewhere fit to be shown: no escape sequences, no control characters, nothing that is invisible,
 * turns it around or hides something in it, every line break as `\n`, and no more than `limit` characters.
 */
export function cleanText(text: string, limit = Number.POSITIVE_INFINITY): string {
  const beginning = beginningOf(text, limit);
  const clean = FIT.test(beginning) ? beginning : takeOut(beginning);
  return clean.length > limit ? `${cutText(clean, limit - 1)}…` : clean;
}

function takeOut(text: string): string {
  return text
    .replace(/\r\n|[\u2028\u2029]/g, "\n")
    .replace(ESCAPE_SEQUENCES, "")
    .replace(UNFIT, "")
    .replace(INVISIBLE_IN_TEXT, "");
}

/** The first `length` characters, or one less where that would cut a character in two. */
export function cutText(text: string, length: number): string {
  return text.slice(0, length).replace(HALF, "");
}

/** The same on one line, for names, actions and reasons. */
export function cleanLine(text: string, limit = 300): string {
  return cleanText(beginningOf(text, limit).replace(/\s+/g, " ").trim(), limit);
}

/** The text with a full stop, where it has no end of a sentence yet. */
export function asSentence(text: string): string {
  const end = text.trimEnd();
  return /[.!?\u2026]$/.test(end) ? end : `${end}.`;
}

/** A name without what nobody can see; everything else stays, to be refused where it is not allowed. */
export function withoutInvisible(name: string): string {
  return name.normalize("NFC").replace(INVISIBLE_IN_TEXT, "");
}

/** True when nothing of a text has to be taken out before it can be shown on one line. */
export function isShownWhole(text: string): boolean {
  return WORD.test(text) || cleanLine(text, Number.POSITIVE_INFINITY) === text;
}

/** What a name says to the eye: names for which this is equal look the same. */
export function visibleName(name: string): string {
  // Most names are of such letters, and thousands are compared.
  if (WORD.test(name)) return name;
  return cleanLine(name.normalize("NFC").replace(INVISIBLE, ""), Number.POSITIVE_INFINITY);
}

/** As much of a text as can matter: of megabytes, the rest need not be looked at. */
function beginningOf(text: string, limit: number): string {
  return text.length > 8 * limit + 4_096 ? text.slice(0, 8 * limit + 4_096) : text;
}
