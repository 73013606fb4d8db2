/** No reference to an issue is longer, in characters. */
const REFERENCE_CHARS = 400;

/** Whether a text may name an issue: its first line ends with a number, or with an address. Most texts are none. */
export function mayNameIssue(text: string): boolean {
  const [line = ""] = text.trim().split("\n");
  return line.length <= REFERENCE_CHARS && /(?:[#-]\d+|\bhttps?:\/\/\S+)[.!]?$/i.test(line.trim());
}
