/** A part of work that an issue is about. */
export interface ProgressPhase {
  name: string;
  state: "done" | "now" | "waits" | "ahead" | "failed" | "left out";
  /** On one line. */
  note?: string | undefined;
}

/** How the work that an issue is about stands. All texts are untrusted: they come from plans, agents and repositories. */
export interface IssueProgress {
  what: "run" | "plan";
  /** The run's or the plan's. */
  id: string;
  name: string;
  status: "waiting" | "running" | "needs_you" | "paused" | "completed" | "failed" | "killed";
  phases: readonly ProgressPhase[];
  /** What it waits for a person for; a sentence. */
  needs?: string | undefined;
  branch?: string | undefined;
  /** "3 runs, $1.20", when it has ended. */
  effort?: string | undefined;
  /** What the agent says at the end. */
  result?: string | undefined;
  /** Why it has failed. */
  error?: string | undefined;
  /** Pull requests that were opened for it. */
  pulls: readonly PullOfIssue[];
}

/** A pull request for an issue. */
export interface PullOfIssue {
  url: string;
  title: string;
}

/** The pull requests that an issue is told of: those whose address is known. */
export function listPulls(
  all: readonly ({ url?: string | undefined; title: string } | undefined)[],
): PullOfIssue[] {
  return all.flatMap((one) =>
    one?.url !== undefined && /^https?:\/\/[^\s"'<>()]{1,500}$/.test(one.url)
      ? [{ url: one.url, title: one.title }]
      : [],
  );
}
