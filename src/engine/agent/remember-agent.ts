import type { Clock } from "../../shared/clock.js";
import type { FoundAgent } from "./agent-kind.js";

/** Looking for the agent's program starts it three times and takes half a second. */
const AGENT_KNOWN_MS = 60_000;

/** What was found stays true for a while; that nothing was found is looked at again every time. */
export function rememberAgent(clock: Clock, find: () => Promise<FoundAgent>): () => Promise<FoundAgent> {
  let known: { found: Promise<FoundAgent>; at: number } | undefined;
  return async () => {
    const at = clock.elapsed();
    if (!known || at - known.at >= AGENT_KNOWN_MS) known = { found: find(), at };
    const mine = known;
    const forget = () => {
      if (known === mine) known = undefined;
    };
    try {
      const found = await mine.found;
      if (!found.ok) forget();
      return found;
    } catch (error) {
      forget();
      throw error;
    }
  };
}
