import type { Outcome } from "./calls.js";
import type { PlanDecision, WantedPlan } from "./plans.js";
import type { RunKind } from "./steps.js";

/** One POST, and what came of it. */
export interface Deed {
  worker: number;
  outcome: Outcome;
}

/** A start that a client wanted, with every POST of it. */
export interface WantedStart {
  /** In its message, and in no other's. */
  token: string;
  body: Record<string, unknown>;
  key: string | undefined;
  run: RunKind;
  posts: Deed[];
  /** POSTs whose outcome is not known yet. */
  open: number;
}

/** What clients have asked for in a sequence, and what they were told. */
export interface Ledger {
  starts: WantedStart[];
  messages: (Deed & { runId: string; text: string })[];
  answers: (Deed & { runId: string; questionId: string; text: string })[];
  kills: (Deed & { runId: string })[];
  cleanups: (Deed & { runId: string; force: boolean })[];
  plans: WantedPlan[];
  decisions: PlanDecision[];
}

export function createLedger(): Ledger {
  return { starts: [], messages: [], answers: [], kills: [], cleanups: [], plans: [], decisions: [] };
}

/** The ids of the runs that the client was told of for this start. */
export function runsOf({ posts }: WantedStart): string[] {
  const ids = posts.flatMap(({ outcome }) =>
    outcome.kind === "done" ? [outcome.body.run_id as string] : [],
  );
  return [...new Set(ids)];
}

/** The runs of a sequence that clients know of, oldest first, with how they behave. */
export function knownRuns({ starts }: Ledger): { runId: string; sessionId: string; run: RunKind }[] {
  return starts.flatMap(({ posts, run }) => {
    const [first] = posts.flatMap(({ outcome }) => (outcome.kind === "done" ? [outcome.body] : []));
    return first ? [{ runId: first.run_id, sessionId: first.session_id, run }] : [];
  });
}

/** Whether a refusal says that the request had no effect. */
export function saysNothingDone(outcome: Outcome): boolean {
  return outcome.kind === "refused" && /Nothing was (done|started|sent|changed)/.test(outcome.detail);
}

/** The same for a start, of which a field says so, too. */
export function saysNotStarted(outcome: Outcome): boolean {
  return saysNothingDone(outcome) || (outcome.kind === "refused" && outcome.started === false);
}
