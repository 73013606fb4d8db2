import { createInterface } from "node:readline/promises";

type Input = NodeJS.ReadableStream & { isTTY?: boolean };

/**
 * Asks for a line in a terminal; the end of the input is an empty one.
 * @returns undefined when there is no terminal in which anybody could answer
 */
export function createAskLine(
  input: Input,
  output: NodeJS.WritableStream,
): ((question: string) => Promise<string>) | undefined {
  if (!input.isTTY) return undefined;
  return async (question) => {
    const lines = createInterface({ input, output });
    try {
      const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
      return await Promise.race([lines.question(question), ended]);
    } finally {
      lines.close();
    }
  };
}

/** The same for yes-or-no questions; anything but a yes is a no. */
export function createAsk(
  input: Input,
  output: NodeJS.WritableStream,
): ((question: string) => Promise<boolean>) | undefined {
  const ask = createAskLine(input, output);
  return ask && (async (question) => /^\s*y(es)?\s*$/i.test(await ask(`${question} [y/N] `)));
}
