/** How often a client asks for a task, in ms, … */
const SHORTEST_MS = 3_000;
/** … and Claude Code 2.1 at least, whatever it is told. */
const LONGEST_MS = 30_000;
/** What a caller's questions for its tasks may take of the requests that it has: the rest is for its calls. */
const SHARE = 1 / 2;

/**
 * How long a client is to wait before it asks for a task again: the longer, the more tasks its caller has, so that
 * these questions alone never use up what one caller may send.
 * @param requestsPerMinute the limit of one caller
 * @returns the time in ms, by the number of tasks that go on
 */
export function createPollPace(requestsPerMinute: number): (tasks: number) => number {
  const eachMs = 60_000 / (requestsPerMinute * SHARE);
  return (tasks) => Math.min(LONGEST_MS, Math.max(SHORTEST_MS, Math.ceil(tasks * eachMs)));
}
