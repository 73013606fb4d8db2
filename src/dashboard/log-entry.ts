import type { LoggedEvent } from "../api/types.js";
import { optional } from "../plans/plan.js";
import { tellAnswered } from "../runs/tell-answered.js";
import { cleanLine } from "../shared/text.js";
import { showEnds, showUnseen } from "../shared/visible-text.js";
import type { LogEntry } from "./views/run.js";

const LINE_CHARS = 500;
const DETAIL_CHARS = 4_000;

type Told = Pick<LogEntry, "kind" | "text"> & { detail?: string | undefined };

/**
 * An event of a run as an entry of its log; undefined for what a reader need not know.
 * @param before the event before it: a turn that is told again says nothing
 */
export function toLogEntry(
  event: LoggedEvent,
  before: LoggedEvent | undefined,
): Omit<LogEntry, "key"> | undefined {
  const told = tell(event);
  if (!told || (event.type === "turn" && before?.type === "turn" && before.data.turn === event.data.turn))
    return undefined;
  const { text: detail, cut } = showEnds(showUnseen(told.detail ?? ""), DETAIL_CHARS);
  const { turn } = event.data;
  return {
    kind: told.kind,
    text: told.text,
    ...optional("at", event.at),
    ...optional("detail", detail || undefined),
    ...optional("cut", cut ? (true as const) : undefined),
    ...optional("turn", typeof turn === "number" ? turn : undefined),
  };
}

function tell(event: LoggedEvent): Told | undefined {
  const { type, data } = event;
  switch (type) {
    case "status":
      return { kind: "status", text: data.status === "pending" ? "Accepted" : "Started" };
    case "turn":
      return typeof data.turn === "number" ? { kind: "turn", text: `Turn ${data.turn}` } : undefined;
    case "action":
      return tellAction(data);
    case "output":
      return {
        kind: "output",
        text: data.failed === true ? "Failed" : "Printed",
        detail: typeof data.text === "string" ? data.text : undefined,
      };
    case "phase":
      return { kind: "other", text: `Done: ${line(data.phase)}` };
    case "message":
      return tellMessage(data);
    case "question":
      return { kind: "question", text: line(data.text), detail: longer(data.text) };
    case "answered":
      return tellAnswer(event);
    case "slot":
      return {
        kind: "other",
        text: data.has_slot === true ? "Has a slot again" : "Gave its slot to others while it waits for you",
      };
    case "result":
      return { kind: "other", text: data.ok === false ? "Gave up" : "Gave its result" };
    case "finished":
      return {
        kind: "end",
        text: data.error_code === "interrupted" ? "Interrupted" : `Ended: ${line(data.status)}`,
      };
    default:
      return undefined;
  }
}

/** What the agent does; which kind of tool that is stands at the beginning of what it calls (`Bash: npm test`). */
function tellAction({ action, detail }: Record<string, unknown>): Told {
  const call = typeof detail === "string" ? detail : line(action);
  const kind = /^Bash\b/.test(call)
    ? "command"
    : /^(?:Read|Write|Edit|MultiEdit|NotebookEdit)\b/.test(call)
      ? "file"
      : "action";
  return { kind, text: line(action), detail: typeof detail === "string" ? detail : undefined };
}

function tellMessage({ added, taken, content }: Record<string, unknown>): Told {
  if (added !== undefined)
    return { kind: "message", text: `From you: ${line(content)}`, detail: longer(content) };
  return {
    kind: "message",
    text: taken === undefined ? "A message was not delivered" : "The agent has read a message",
  };
}

function tellAnswer({ data, whose }: LoggedEvent): Told {
  const text = tellAnswered(data, whose);
  return {
    kind: "answer",
    text: text.slice(0, 1).toUpperCase() + text.slice(1),
    detail: longer(data.answer),
  };
}

const line = (value: unknown) => (typeof value === "string" ? cleanLine(showUnseen(value), LINE_CHARS) : "");

/** The whole of a text that has no room on its line. */
function longer(value: unknown): string | undefined {
  return typeof value === "string" && (value.length > LINE_CHARS || value.includes("\n")) ? value : undefined;
}
