/** "ENG-123": a team's key begins with a letter and has at most seven characters. */
const IDENTIFIER = /^([a-z][a-z0-9]{0,6})-([1-9][0-9]{0,6})$/i;
/** The address of an issue's page; what comes behind the identifier is the title, which may change. */
const PAGE =
  /^https:\/\/linear\.app\/[\w-]+\/issue\/([a-z][a-z0-9]{0,6}-[1-9][0-9]{0,6})(?:\/[^\s?#]*)?(?:[?#]\S*)?$/i;
/** What people write before an issue: nothing that would change what is asked for. */
const LEAD =
  /^(?:(?:please )?(?:fix|implement|resolve|solve|do|work on|take)[ :]+)?(?:(?:the )?(?:linear )?(?:issue|ticket)[ :]+)?/i;

/**
 * The issue of Linear that a message is about: one whose first line is `ENG-123` or the address of an issue's page, also
 * behind "fix", "implement issue" and the like. An issue that is only mentioned is none.
 * @returns `words`: what the person has written below it
 */
export function readLinearReference(message: string): { identifier: string; words: string } | undefined {
  const [line = "", ...others] = message.trim().split("\n");
  const rest = line.trim().replace(LEAD, "").replace(/[.!]$/, "");
  const identifier = IDENTIFIER.test(rest) ? rest : PAGE.exec(rest)?.[1];
  return (
    (identifier && { identifier: identifier.toUpperCase(), words: others.join("\n").trim() }) || undefined
  );
}
