import { styleText } from "node:util";
import { systemClock } from "../../shared/clock.js";
import type { PaintOptions } from "../plans/render-plans.js";
import { wrapWords } from "../sessions/fit-text.js";

/** What commands in a terminal take from it. */

export const out = (text: string) => process.stdout.write(text);

/** The same for sentences: broken between words where the line ends. */
export const outWrapped = (text: string) => out(wrapWords(text, findWidth()));

/** Cells of a line: those of the terminal, or what COLUMNS says where the output is none. */
export function findWidth(): number | undefined {
  const { COLUMNS = "" } = process.env;
  // Some terminals without a window say 0.
  if (process.stdout.isTTY) return process.stdout.columns || undefined;
  return /^[1-9]\d{0,4}$/.test(COLUMNS) ? Number(COLUMNS) : undefined;
}

const COLOURS = {
  waiting: "yellow",
  running: "cyan",
  failed: "red",
  head: "bold",
  place: "cyan",
  added: "green",
  removed: "red",
} as const;

export function paint(text: string, tone: keyof typeof COLOURS): string {
  const hasColour = process.stdout.isTTY && process.env.TERM !== "dumb" && !process.env.NO_COLOR;
  return hasColour ? styleText(COLOURS[tone], text) : text;
}

/** How tables are fitted and painted now. */
export const paintOptions = (): PaintOptions => ({ width: findWidth(), paint, now: systemClock.now() });

/** A signal that comes with Ctrl-C, after which everything is closed in order. */
export function onInterrupt(): AbortSignal {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
  return interrupted.signal;
}
