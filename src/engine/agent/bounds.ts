import { cleanText, cutText, isShownWhole } from "../../shared/text.js";

/** How much is kept, with the run or in memory, of what an agent says; longer texts are cut, and end with "…". In characters. */

/** What an agent calls its model is kept with the run and shown. */
export const MODEL_CHARACTERS = 120;
/** The name of a tool, or what a call without one is called. */
export const TOOL_CHARACTERS = 160;
/** How and why a turn has ended is a word of the agent's protocol. */
export const REASON_CHARACTERS = 60;
/** What it says of a failure. */
export const FAILURE_CHARACTERS = 1_000;
/** What it says in one go, and what one command prints. */
export const KEPT_CHARACTERS = 1024 * 1024;
/** So much of a text shows that it is longer than what is kept. */
export const SAID_CHARACTERS = KEPT_CHARACTERS + 1;
/** Those seen have some forty. */
const ID_CHARACTERS = 200;

/** Whether an id of the agent's can be kept and shown as it came: it goes back to the agent, so none is ever cut. */
export function isKeptId(id: string): boolean {
  return id.length <= ID_CHARACTERS && isShownWhole(id);
}

/** What an agent says in one go, as it is kept and shown. Of what comes in pieces as much is needed as `SAID_CHARACTERS`. */
export function keptText(text: string): string {
  const isCut = text.length > KEPT_CHARACTERS;
  const clean = cleanText(isCut ? cutText(text, KEPT_CHARACTERS - 1) : text).trim();
  return isCut ? `${clean}…` : clean;
}
