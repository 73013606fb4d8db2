import { showUnseen } from "./visible-text.js";

/**
 * The longest command, in characters: what a form shows in full. Claude Code cuts a line of a form after about 120, in a
 * window of 130 columns, and a model may name the command: its end must not stand behind the cut.
 */
const COMMAND_LIMIT = 100;

/**
 * A command that a person is to agree to, by which a merge is checked. Only what they see exactly as it will run: one
 * line, of some length, with nothing in it that would not be seen.
 * @returns why it is not taken, as a sentence
 */
export function readCheckCommand(text: string): { ok: true; value: string } | { ok: false; problem: string } {
  const value = text.trim();
  if (value === "") return { ok: false, problem: "The check is empty: it has to be a command." };
  if (value.length > COMMAND_LIMIT || /[\n\t]/.test(value) || showUnseen(value) !== value)
    return {
      ok: false,
      problem:
        `The check has to be a command of one line and at most ${COMMAND_LIMIT} characters that can all be seen. ` +
        "Put a longer one into a script of the repository.",
    };
  return { ok: true, value };
}

/** The command as code, for a text in Markdown; its own backticks do not end it. */
export function asCode(command: string): string {
  const longest = Math.max(0, ...(command.match(/`+/g) ?? []).map((run) => run.length));
  if (longest === 0) return `\`${command}\``;
  const fence = "`".repeat(longest + 1);
  return `${fence} ${command} ${fence}`;
}
