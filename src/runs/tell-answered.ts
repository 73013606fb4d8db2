import type { Run } from "../api/types.js";
import { cleanLine } from "../shared/text.js";
import { showUnseen } from "../shared/visible-text.js";
import { type Whose, whoAndWhere } from "../shared/whose.js";

const GIVEN: Record<string, string> = {
  deny: "denied",
  allow_once: "allowed once",
  allow_run: "allowed for this run",
  allow_repository: "allowed for this repository",
};
/** Of a person's words and of what was asked so many characters are told. */
const WORDS_CHARS = 500;
const ASKED_CHARS = 120;

/**
 * What has become of a question: "allowed once by Ann in Slack", "answered: Postgres".
 * @param told.by `person`, or why there is no answer
 */
export function tellAnswered({ by, answer }: { by?: unknown; answer?: unknown }, whose: Whose = {}): string {
  if (by === "timeout") return "nobody answered in time, so it was not carried out";
  if (by === "ended") return "not answered: the run ended before";
  const given = typeof answer === "string" ? cleanLine(showUnseen(answer), WORDS_CHARS) : "";
  const who = whoAndWhere(whose);
  if (Object.hasOwn(GIVEN, given)) return `${GIVEN[given]}${who}`;
  return `answered${who}${given === "" ? "" : `: ${given}`}`;
}

/** The last answer and whose it was, as a sentence; "" where that is not told, or nothing but that it came from a chat. */
export function tellLastAnswer({ answered }: Run): string {
  const last = answered?.at(-1);
  if (!last || (last.whose.via === "chat" && last.whose.by === undefined)) return "";
  return `Answered last: "${cleanLine(last.text, ASKED_CHARS)}" was ${tellAnswered(last, last.whose)}.`;
}
