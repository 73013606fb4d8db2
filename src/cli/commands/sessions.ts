import { styleText } from "node:util";
import { keepAwake } from "../../engine/background/index.js";
import { readSettings } from "../../settings/settings.js";
import type { Invocation } from "../command-line.js";
import { listInTerminal } from "../sessions/list-command.js";
import { openReading } from "../sessions/open-services.js";

const out = (text: string) => process.stdout.write(text);

/** Cells of a line: those of the terminal, or what COLUMNS says where the output is none. */
function findWidth(): number | undefined {
  const { COLUMNS = "" } = process.env;
  if (process.stdout.isTTY) return process.stdout.columns;
  return /^[1-9]\d{0,4}$/.test(COLUMNS) ? Number(COLUMNS) : undefined;
}

const COLOURS = { waiting: "yellow", running: "cyan", failed: "red" } as const;

function paint(text: string, tone: keyof typeof COLOURS): string {
  const hasColour = process.stdout.isTTY && process.env.TERM !== "dumb" && !process.env.NO_COLOR;
  return hasColour ? styleText(COLOURS[tone], text) : text;
}

/** `sessions`: one line for each. */
export async function sessions(asked: Invocation): Promise<number> {
  const open = await openReading(readSettings(process.env, asked.flags), asked);
  try {
    return await keepAwake(() =>
      listInTerminal(open, { json: asked.json === true, out, width: findWidth(), paint }),
    );
  } finally {
    await open.close();
  }
}
