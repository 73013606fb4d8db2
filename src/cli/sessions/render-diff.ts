/** Puts a colour on a line of a diff, where colours are wanted. */
export type PaintDiff = (text: string, tone: "head" | "place" | "added" | "removed") => string;

/** A diff as the API gives it: what changed in each file in one line, then the changes. */
export function splitDiff(text: string): { stat: string; changes: string } {
  const at = /^diff --/m.exec(text)?.index ?? text.length;
  const stat = text.slice(0, at).replace(/^---$/m, "").trim();
  return { stat: stat === "" ? "" : ` ${stat}`, changes: text.slice(at) };
}

/** The changes with colours; what stands in a changed line is never taken for a head. */
export function paintChanges(changes: string, paint: PaintDiff): string {
  let inHead = false;
  const lines = changes.split("\n").map((line) => {
    if (line.startsWith("diff --")) inHead = true;
    else if (line.startsWith("@@")) {
      inHead = false;
      return paint(line, "place");
    }
    if (line === "") return line;
    if (inHead) return paint(line, "head");
    if (line.startsWith("+")) return paint(line, "added");
    return line.startsWith("-") ? paint(line, "removed") : line;
  });
  return lines.join("\n");
}
