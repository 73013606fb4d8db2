import type { LoggedEvent } from "../../api/types.js";
import { tellAnswered } from "../../runs/tell-answered.js";
import { cleanLine } from "../../shared/text.js";
import { showUnseen } from "../../shared/visible-text.js";

/** A text of the agent's or the person's is cut at so many characters. */
const TEXT_LIMIT = 500;

const text = (value: unknown) => (typeof value === "string" ? cleanLine(showUnseen(value), TEXT_LIMIT) : "");

function tell({ type, data, whose }: LoggedEvent): string | undefined {
  switch (type) {
    case "status":
      return data.status === "pending" ? "accepted" : "started";
    case "turn":
      return typeof data.turn === "number" ? `turn ${data.turn}` : undefined;
    case "action": {
      const detail = text(data.detail);
      return `  ${text(data.action)}${detail === "" ? "" : ` (${detail})`}`;
    }
    case "phase":
      return `  done: ${text(data.phase)}`;
    case "message":
      if (data.added !== undefined) return `  message from you: ${text(data.content)}`;
      return data.taken === undefined ? "  message not delivered" : "  message read by the agent";
    case "question":
      return `  asks: ${text(data.text)}`;
    case "answered":
      return `  -> ${tellAnswered(data, whose)}`;
    case "slot":
      return data.has_slot === true
        ? "  has a slot again"
        : "  gave its slot to others while it waits for you";
    case "result":
      return data.ok === false ? "gave up" : "gave its result";
    case "finished":
      return data.error_code === "interrupted" ? "interrupted" : text(data.status);
    default:
      return undefined;
  }
}

/** One line of a log, with the time of the day; undefined for what a reader need not know. */
export function renderEvent(event: LoggedEvent): string | undefined {
  const told = tell(event);
  if (told === undefined) return undefined;
  const time = event.at === undefined ? "        " : new Date(event.at).toTimeString().slice(0, 8);
  return `${time}  ${told}`.trimEnd();
}
