import { text } from "node:stream/consumers";
import * as z from "zod";

const schema = z.object({
  /** When the process began that has started the driver, epoch ms: its settings are as old as that. */
  began: z.number(),
  /** That was a command in a terminal, of which nothing says what the chat clients have. */
  partial: z.boolean(),
  /** Secret settings, the API's key among them, by their flags without dashes. */
  secrets: z.record(z.string(), z.string()),
});

/**
 * What a driver gets from whoever starts it, in one line on its stdin, and keeps in its memory only: what is in a file,
 * an argument or the environment of a process that lives for days can be read by others of the same account.
 */
export type HandedOver = z.output<typeof schema>;

/** Far more than the longest settings. */
const MAX_CHARACTERS = 256 * 1024;

/** One line for the stdin of the process that is started: it has the key. */
export function renderHandedOver(handed: HandedOver): string {
  return `${JSON.stringify(handed)}\n`;
}

/** @throws Error, which does not quote it, when it is nothing of the kind */
export async function readHandedOver(input: NodeJS.ReadableStream): Promise<HandedOver> {
  const line = await text(input);
  const found = line.length > MAX_CHARACTERS ? undefined : schema.safeParse(parse(line)).data;
  if (!found)
    throw new Error(
      "plan-driver is started by chat windows and commands, which hand it their settings. Nothing was done.",
    );
  return found;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
