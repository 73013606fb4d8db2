import { clearLine, cursorTo } from "node:readline";
import { styleText } from "node:util";

/** How far a run is: a count, where it ends if that is known, and what is going on. */
export interface Step {
  progress: number;
  total?: number | undefined;
  message?: string | undefined;
}

type Style = Parameters<typeof styleText>[0];

/** Writes the demo's story: headings, lines, and one bar that stays below them while it is shown. */
export interface Screen {
  heading(text: string): void;
  /** One or more lines, indented. */
  line(text: string, style?: Style): void;
  /** Redraws the bar in place on a terminal; elsewhere writes a line whenever it has changed. */
  bar(step: Step): void;
  /** Leaves the bar as it is; lines follow below it. */
  endBar(): void;
}

const INDENT = "  ";
const BAR_WIDTH = 30;

/**
 * Creates a screen on a stream.
 * @param env `NO_COLOR` (no-color.org) and `TERM=dumb` are heeded
 */
export function createScreen(output: NodeJS.WriteStream, env: Record<string, string | undefined>): Screen {
  const movesCursor = Boolean(output.isTTY) && env.TERM !== "dumb";
  const hasColour = movesCursor && !env.NO_COLOR;
  let shown: string | undefined;

  const columns = () => output.columns || 80;

  function paint(text: string, style: Style | undefined): string {
    return hasColour && style !== undefined ? styleText(style, text) : text;
  }

  function write(text: string): void {
    if (shown !== undefined && movesCursor) {
      cursorTo(output, 0);
      clearLine(output, 0);
    }
    output.write(`${text}\n`);
    if (shown !== undefined && movesCursor) output.write(shown);
  }

  return {
    heading: (text) => write(`\n${paint(text, "bold")}`),
    line(text, style) {
      const whole = movesCursor ? wrap(text, columns() - INDENT.length - 1) : text;
      write(paint(whole.replace(/^(?=.)/gm, INDENT), style));
    },
    bar({ progress, total, message = "" }) {
      const share = total ? Math.min(1, Math.floor(progress) / total) : 0;
      const filled = Math.round(share * BAR_WIDTH);
      const cells = "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
      // A line that wraps could not be redrawn in place; the last column stays free for the cursor.
      const room = movesCursor ? columns() - INDENT.length - BAR_WIDTH - 2 : message.length;
      const drawn = `${INDENT}${paint(cells, "cyan")} ${message.slice(0, Math.max(0, room))}`;
      if (drawn === shown) return;
      if (!movesCursor) output.write(`${drawn}\n`);
      else {
        cursorTo(output, 0);
        clearLine(output, 0);
        output.write(drawn);
      }
      shown = drawn;
    },
    endBar() {
      if (shown !== undefined && movesCursor) output.write("\n");
      shown = undefined;
    },
  };
}

/** Breaks lines between words; a word longer than the width stays whole. */
function wrap(text: string, width: number): string {
  const piece = new RegExp(`(.{1,${Math.max(1, width)}})(?: +|$)`, "gm");
  return text
    .split("\n")
    .map((line) => (line.length > width ? line.replace(piece, "$1\n").trimEnd() : line))
    .join("\n");
}
