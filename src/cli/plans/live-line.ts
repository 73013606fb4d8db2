import { clearLine, cursorTo } from "node:readline";
import { shorten, wrapWords } from "../sessions/fit-text.js";

/** Shows how something goes on: one line that changes in a terminal; elsewhere each text is a line of its own. */
export interface LiveLine {
  /** What is so now; elsewhere than in a terminal it is not written. */
  show(text: string): void;
  /** What has happened: a line that stays, in a terminal above the one that changes. */
  note(text: string): void;
  /** Takes the changing line away, so that something else can be written. */
  clear(): void;
}

/** @param options.width cells of a line, asked for each time: a window may be made larger */
export function createLiveLine(
  output: NodeJS.WritableStream,
  options: { moves: boolean; width: () => number | undefined },
): LiveLine {
  let shown = "";
  function clear(): void {
    if (shown === "") return;
    cursorTo(output, 0);
    clearLine(output, 0);
    shown = "";
  }
  return {
    show(text) {
      if (!options.moves) return;
      // What wraps could not be written over; the last cell stays free for the cursor.
      const line = shorten(text, Math.max(1, (options.width() ?? 80) - 1));
      if (line === shown) return;
      clear();
      output.write(line);
      shown = line;
    },
    note(text) {
      const line = shown;
      clear();
      output.write(`${options.moves ? wrapWords(text, options.width()) : text}\n`);
      if (line === "") return;
      output.write(line);
      shown = line;
    },
    clear,
  };
}
