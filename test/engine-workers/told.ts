import { hasEnded, type RunRequest, type RunStatus } from "../../src/engine/runs/run.js";
import type { WalkedEngine } from "../support/engine-world.js";

/** What an engine has acknowledged: from then on it must not be lost. */
export type Told =
  | { did: "accepted"; runId: string; request: RunRequest; key?: string | undefined }
  | { did: "message"; runId: string }
  | { did: "answered"; runId: string; questionId: string; answer: string }
  | { did: "ended"; runId: string; status: RunStatus }
  | { did: "cleaned"; runId: string }
  | { did: "taken"; runId: string; into: string; commit: string | undefined }
  | { did: "discarded"; runId: string }
  | { did: "resumed"; runId: string; by: string }
  | { did: "pull-request"; runId: string; number: number }
  /** The last line of a process that was not killed: how often it came to each point. */
  | { did: "everything"; points: Record<string, number> };

/** An agent that was started, and its process. */
export interface NotedAgent {
  runId: string;
  pid: number;
  began: string;
}

/** Agents with this in their messages come to no end by themselves. */
const ENDLESS = /\[(?:hang|deaf|ask|permit)\]/;
const LIMIT_MS = 30_000;

/** Waits until it is so. @throws when that takes longer than any step of a run */
export async function until(fits: () => boolean, what = fits.toString()): Promise<void> {
  const giveUpAt = performance.now() + LIMIT_MS;
  while (!fits()) {
    if (performance.now() > giveUpAt) throw new Error(`This has not come about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Ends what would go on for ever, and waits until nothing is left to be done: no run, no pull request. */
export async function bringToRest({ engine }: WalkedEngine, resumes: boolean): Promise<void> {
  const killed = new Set<string>();
  const isLeft = () => {
    const runs = engine.list({});
    for (const run of runs) {
      if (hasEnded(run) || killed.has(run.runId) || !ENDLESS.test(run.request.message)) continue;
      killed.add(run.runId);
      // It may have come to its end by itself.
      void engine.kill(run.runId, true).catch(() => {});
    }
    const isOpen = ({ toResume, pullRequest }: (typeof runs)[number]) =>
      (resumes && toResume === true) || pullRequest?.state === "pending";
    return engine.activeRuns() > 0 || runs.some((run) => !hasEnded(run) || isOpen(run));
  };
  await until(() => !isLeft(), "all runs are over");
}
