/**
 * What a run or a plan has taken, once it has ended. What nobody has told is absent, and never 0. Times are epoch ms,
 * durations seconds, money US dollars.
 */
export interface Figures {
  kind: "run" | "plan";
  /** The run's or the plan's id. */
  id: string;
  outcome: "completed" | "failed" | "killed";
  /** Why it has failed, in one word: the API's, `refused` for a conversation that would not go on, `turn_limit`. */
  failure?: string;
  workflow?: string;
  /** The template that a plan was begun from. */
  template?: string;
  /** Of a run of a plan: the plan's id and the step; of a plan itself its name is `session`. */
  plan?: string;
  step?: string;
  session?: string;
  repository?: string;
  model?: string;
  /** How what it was told begins, on one line. */
  task?: string;
  startedAt?: number;
  endedAt?: number;
  turns?: number;
  maxTurns?: number;
  /** Of a plan: from its start to its end, waits included. */
  seconds?: number;
  costUsd?: number;
  /** It has cost more than that, and nobody told how much. */
  costAtLeastUsd?: number;
  tokens?: number;
  insertions?: number;
  deletions?: number;
  /** What it has asked a person, as far as it was watched here. */
  questions?: number;
  /** How long it has waited for a person, as far as it was watched here. */
  waitedS?: number;
  /** How long at most nothing was seen of it while its agent was at work. */
  quietS?: number;
  /** Of a plan. */
  runs?: number;
  retries?: number;
  gateRejections?: number;
}

/** What is unknown is left out. */
export function onlyKnown(figures: { [Key in keyof Figures]: Figures[Key] | undefined }): Figures {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined)) as never;
}

/** So much of a task is kept, in characters: enough to know it again by. */
export const TASK_CHARS = 300;

/** Both only grow, and what was seen by several windows is the most that one has seen. */
const GROWING = ["turns", "costUsd", "tokens", "questions", "waitedS", "quietS"] as const;

/**
 * Two accounts of one run or plan as one. What the newer tells wins, what it leaves out stays known. `killed` gives way
 * to any other end: some servers let what they kill come to its own end.
 */
export function mergeFigures(older: Figures | undefined, newer: Figures): Figures {
  if (!older) return newer;
  const told = Object.entries(newer).filter(([, value]) => value !== undefined);
  const merged: Figures = { ...older, ...Object.fromEntries(told) };
  if (newer.kind === "run" && newer.outcome === "killed") merged.outcome = older.outcome;
  for (const key of GROWING) {
    const values = [older[key], newer[key]].filter((value) => value !== undefined);
    if (values.length > 0) merged[key] = Math.max(...values);
  }
  // Lists cut a task off sooner than what started it.
  if (newer.task && older.task?.startsWith(newer.task)) merged.task = older.task;
  if (merged.costUsd !== undefined) delete merged.costAtLeastUsd;
  const isMended = older.outcome === "failed" && merged.outcome !== "failed";
  if (isMended && newer.failure === undefined) delete merged.failure;
  return merged;
}

/** True for what came to its own end, and not to its limit of turns: what it has taken is what the work takes. */
export function hasSucceeded({ outcome, failure }: Figures): boolean {
  return outcome === "completed" && failure === undefined;
}

/** The form in which repositories are compared: letters of a host, `.git` and a slash at the end make no difference. */
export function repositoryKey(address: string): string {
  const [, scheme = "", host = "", path = address] =
    /^([a-z+]+:\/\/)([^/]*)(.*)$/i.exec(address.trim()) ?? [];
  const bare = path
    .trim()
    .replace(/\/+$/, "")
    .replace(/\.git$/, "");
  return `${scheme.toLowerCase()}${host.slice(host.lastIndexOf("@") + 1).toLowerCase()}${bare}`;
}
