/** Letters and signs that take two cells of a terminal. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
/** Marks on the letter before them, and what joins letters. */
const NARROW = /\p{Mn}|\p{Me}|\p{Cf}|\p{Variation_Selector}/u;

function cellsOf(character: string): number {
  if (NARROW.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** How many cells of a terminal a text on one line takes. */
export function measure(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  return [...text].reduce((sum, character) => sum + cellsOf(character), 0);
}

/** The text in so many cells at most; where something is cut off, it ends with an ellipsis. */
export function shorten(text: string, cells: number): string {
  if (measure(text) <= cells) return text;
  let shown = "";
  let room = cells - 1;
  for (const character of text) {
    room -= cellsOf(character);
    if (room < 0) break;
    shown += character;
  }
  return cells > 0 ? `${shown.trimEnd()}\u2026` : "";
}

/** A command of ours or a flag on a line of its own is copied as it stands. */
const COPIED = /^\s*(?:automagik-workflows-mcp |--)/;
/** What is between backticks is one word: a command that is copied out of a sentence. */
const WORDS = /(?:`[^`]*`|[^\s`]|`)+/g;

/**
 * The text with its lines broken between words where they are longer; what stands before a line (blanks, the mark of a
 * quotation) stands before its parts as well. A word that is longer stays whole.
 * @param cells undefined for no limit: the text as it is
 */
export function wrapWords(text: string, cells: number | undefined): string {
  if (cells === undefined) return text;
  return text
    .split("\n")
    .flatMap((line) => (measure(line) <= cells || COPIED.test(line) ? [line] : wrapLine(line, cells)))
    .join("\n");
}

function wrapLine(line: string, cells: number): string[] {
  const [lead = ""] = /^[ >]*/.exec(line) ?? [];
  const lines: string[] = [];
  let part = "";
  for (const word of line.slice(lead.length).match(WORDS) ?? []) {
    if (part !== "" && measure(`${lead}${part} ${word}`) > cells) {
      lines.push(lead + part);
      part = "";
    }
    part += part === "" ? word : ` ${word}`;
  }
  return [...lines, lead + part];
}

/** The text with blanks behind it, up to so many cells. */
export function pad(text: string, cells: number): string {
  return text + " ".repeat(Math.max(0, cells - measure(text)));
}

/** "40 s", "12 min", "3 h", "5 d": one unit is enough to see how long. @param ms milliseconds */
export function tellSpan(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3_600) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
