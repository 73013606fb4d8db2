import { cleanLine } from "../../shared/text.js";
import type { ToolResult } from "../tools/output.js";

// What the answers of the tools that a task calls mean for the task.

/** A task's message has so many characters at most. */
const MESSAGE_CHARS = 300;
const GOES_ON = ["running", "started", "stalled"];

const outcomeOf = ({ structuredContent }: ToolResult) => String(structuredContent.outcome);

/** Whether the call has stopped following while what it follows goes on. */
export const hasOnlyStoppedFollowing = (result: ToolResult) => GOES_ON.includes(outcomeOf(result));
/** Whether a kill has come to nothing, as far as is known. */
export const hasFailedToEnd = (result: ToolResult) =>
  result.isError === true || outcomeOf(result) === "unknown";
export const isKilled = (result: ToolResult) => outcomeOf(result) === "killed";

export const summaryOf = ({ structuredContent }: ToolResult) =>
  lineOf(String(structuredContent.summary ?? ""));

/** One line of the parts that there are. */
export const lineOf = (...parts: (string | undefined)[]) =>
  cleanLine(parts.filter(Boolean).join(" · "), MESSAGE_CHARS);
