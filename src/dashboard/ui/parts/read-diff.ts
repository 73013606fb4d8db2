/** One line of a difference, as it is shown. */
export interface DiffLine {
  kind: "file" | "hunk" | "add" | "remove" | "same" | "note";
  text: string;
  /** Numbers of the line before and after, where it is there. */
  before?: number;
  after?: number;
}

export interface DiffFile {
  path: string;
  /** Where its first line is. */
  index: number;
  added: number;
  removed: number;
}

/** The output of `git diff` by lines and files. */
export function readDiff(text: string): { lines: DiffLine[]; files: DiffFile[] } {
  const lines: DiffLine[] = [];
  const files: DiffFile[] = [];
  let [before, after, inHunk] = [0, 0, false];
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const file = files.at(-1);
    if (line.startsWith("diff --git ")) {
      const path = /^diff --git "?a\/.*?"? "?b\/(.*?)"?$/.exec(line)?.[1] ?? line.slice("diff --git ".length);
      files.push({ path, index: lines.length, added: 0, removed: 0 });
      lines.push({ kind: "file", text: path });
      inHunk = false;
    } else if (line.startsWith("@@")) {
      const [, from = "0", to = "0"] = /^@@ -(\d+)(?:,\d+)? \+(\d+)/.exec(line) ?? [];
      [before, after, inHunk] = [Number(from), Number(to), true];
      lines.push({ kind: "hunk", text: line });
    } else if (!inHunk) {
      if (/^(new file|deleted file|rename|copy|Binary|old mode|new mode|similarity)/.test(line))
        lines.push({ kind: "note", text: line });
    } else if (line.startsWith("+")) {
      if (file) file.added += 1;
      lines.push({ kind: "add", text: line.slice(1), after: after++ });
    } else if (line.startsWith("-")) {
      if (file) file.removed += 1;
      lines.push({ kind: "remove", text: line.slice(1), before: before++ });
    } else if (line.startsWith("\\")) lines.push({ kind: "note", text: line });
    else lines.push({ kind: "same", text: line.slice(1), before: before++, after: after++ });
  }
  return { lines, files };
}
