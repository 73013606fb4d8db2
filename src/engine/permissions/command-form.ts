import type { PlainCommand } from "./plain-command.js";

/**
 * What a command does as far as permission is concerned:
 * - `look`: shows something of the workspace, or of the output before it;
 * - `commit`: records work on the session's own branch;
 * - `move`: renames files of the workspace;
 * - `scripts`: runs what the repository's files say, with the rights of the agent;
 * - `never`: is refused whatever anybody says.
 */
export type CommandKind = "look" | "commit" | "move" | "scripts" | "never";

/** One exact way to call a program. A command that does not fit it is not known. */
export interface CommandForm {
  /** The words that it begins with; "*" stands for the name of a harmless package script. */
  begin: string;
  kind: CommandKind;
  /** Options without a value, each word by itself. */
  flags?: RegExp;
  /** Options with a value, as the next word or behind "=". */
  values?: Record<string, RegExp>;
  /** Other words. Left out: none. */
  operands?: RegExp | ((word: string) => boolean);
  /** Maximum number of operands. */
  most?: number;
  /** One of these words must be there. */
  needs?: RegExp;
  /** What may stand behind "--"; left out: operands. */
  rest?: Pick<CommandForm, "flags" | "values" | "operands">;
  /** Only behind a pipe, where it has nothing else to read. */
  piped?: true;
}

/** Names of package scripts that build or check. */
const SCRIPT_NAMES = /^(?:(?:test|lint|typecheck)(?:[:.-][\w:.-]+)?|build|check|format)$/;

/** Whether the command is called in this way and in no other. */
export function fits(form: CommandForm, { words, piped }: PlainCommand): boolean {
  if (form.piped && !piped) return false;
  const begin = form.begin.split(" ");
  const begins = begin.every((part, index) =>
    part === "*" ? SCRIPT_NAMES.test(words[index] ?? "") : part === words[index],
  );
  if (!begins) return false;
  let { flags, values, operands } = form;
  let count = 0;
  const allows = (word: string) =>
    typeof operands === "function" ? operands(word) : (operands?.test(word) ?? false);
  let isBehindDashes = false;
  for (let at = begin.length; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "--" && !isBehindDashes) {
      isBehindDashes = true;
      ({ flags, values, operands } = form.rest ?? { flags: undefined, values: undefined, operands });
      continue;
    }
    if (flags?.test(word)) continue;
    const [, name = word, own] = /^(-[^=]*)=(.*)$/s.exec(word) ?? [];
    const pattern = values && Object.hasOwn(values, name) ? values[name] : undefined;
    if (pattern) {
      if (!pattern.test(own ?? words[++at] ?? "")) return false;
    } else {
      if (word.startsWith("-") || !allows(word)) return false;
      count++;
    }
  }
  if (form.needs && !words.some((word) => form.needs?.test(word))) return false;
  return count <= (form.most ?? Number.POSITIVE_INFINITY);
}
