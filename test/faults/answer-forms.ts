import type { ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import type { ShownForm } from "../support/harness.js";
import { createRandom, mix } from "./random.js";
import type { FormAnswer } from "./sequence.js";
import { pause } from "./waits.js";

interface Field {
  type?: string;
  default?: string;
  oneOf?: { const: string }[];
}

/** A form that carries the question of an agent, and not one of the call itself. */
export function isAgentsForm({ message }: ShownForm): boolean {
  return /^[^:]* asks(?: for permission)?: /.test(message);
}

/**
 * What the client brings back.
 * @param timeMs how long the server leaves forms open, in real ms
 * @param wait waits so long, by the time that the server goes by, or until the signal ends
 */
export async function answerForm(
  form: ShownForm,
  answer: FormAnswer,
  timeMs: number,
  signal: AbortSignal,
  wait: (ms: number, signal: AbortSignal) => Promise<void> = pauseUntil,
): Promise<ElicitResult> {
  const fields = Object.entries(form.schema.properties as Record<string, Field>);
  const random = createRandom(mix(form.message.replace(/[\da-f-]{20,}/g, ""), fields.length));
  const fill = ([name, field]: [string, Field]): [string, unknown] => {
    if (name === "confirm") return [name, "yes"];
    if (field.oneOf) return [name, random.pick(field.oneOf).const];
    return [name, field.default ?? random.pick(["auth", "my own words", ""])];
  };
  const accept = (content: Record<string, unknown>) => ({ action: "accept", content }) as ElicitResult;
  switch (answer) {
    case "accept":
      return accept(Object.fromEntries(fields.map(fill)));
    case "partly filled":
      return accept(Object.fromEntries(fields.slice(1).map(fill)));
    case "wrong types":
      return accept(Object.fromEntries(fields.map(([name]) => [name, random.pick([5, true, ["a"], ""])])));
    case "decline":
    case "cancel":
      return { action: answer };
    case "client fails":
      throw new Error("The client has lost its window.");
    case "too late":
      await wait(1.5 * timeMs, signal);
      // It brings its answer all the same.
      if (signal.aborted) await pause(20);
      return accept(Object.fromEntries(fields.map(fill)));
  }
}

/**
 * Node runs the timers of one length before those of another, so that after a standstill the client's time could be over
 * before the server's. The end of the server's is told by the signal; the timer is for a server that never tells it.
 */
function pauseUntil(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 20 * ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
