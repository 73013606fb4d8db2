/** What no shell reads anything into. */
const PLAIN = /^[\w@%+=:,./-]+$/;

/**
 * A text as one word of a command that is shown to be copied: names of branches and folders are chosen by others, and
 * may hold what a shell would run.
 */
export function shellWord(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
