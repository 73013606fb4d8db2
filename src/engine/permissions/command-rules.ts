import { type PlainCommand, readPlainCommands } from "./plain-command.js";

/**
 * Whether a workflow's rules allow a command: `Bash`, `Bash(npm test)` for exactly this one, `Bash(npm test:*)` for all
 * that begin with these words. Rules with other patterns in them allow nothing here.
 * @param rules in the notation of a workflow.json
 */
export function isAllowedByRule(rules: readonly string[], { words }: PlainCommand): boolean {
  return rules.some((rule) => {
    if (rule === "Bash") return true;
    const [, text = "", rest] = /^Bash\((.+?)(:\*)?\)$/s.exec(rule) ?? [];
    const [wanted, ...more] = readPlainCommands(text) ?? [];
    if (wanted === undefined || more.length > 0) return false;
    const begins = wanted.words.every((word, index) => word === words[index]);
    return begins && (rest !== undefined || wanted.words.length === words.length);
  });
}
