import type { RunStep } from "../plan.js";
import { type Draft, inOrder, setStatus } from "./draft.js";
import { whyNoStart } from "./limits.js";
import { startNext } from "./start-run.js";
import { hasEnded, type StepState } from "./state.js";
import { refreshTally } from "./tally.js";

/** A step that waits, and for what. */
interface Waiting {
  id: string;
  reason: string;
}

/**
 * Starts what the limits allow, in the order of the plan, and says of the rest what it waits for. When a limit of the
 * whole plan is reached that is the same for all, so that only those are looked at that were not told yet: of a thousand
 * steps that wait for a place, an event changes one or two.
 */
export function startQueued(draft: Draft): void {
  const { state, tally } = draft;
  refreshTally(tally, draft);
  const { stoppedAt, waiting } = startInOrder(draft);
  refreshTally(tally, draft);
  // What goes on may give back what is missing; when nothing does, only a person can help.
  const mayPass = state.pausedAt !== undefined || tally.going > 0;
  const limit = stoppedAt === undefined ? undefined : whyNoStart(state, tally.going);
  const wait = limit === undefined ? undefined : `${mayPass} ${limit}`;
  // Each of these has a reason of its own, which is looked at each time.
  const own = waiting.map(({ id }) => id);
  if (limit !== undefined && stoppedAt !== undefined)
    waiting.push(...listBehind(draft, stoppedAt, wait === tally.wait, limit));
  tally.wait = wait;
  tally.unlooked.clear();
  for (const id of wait === undefined ? tally.queued : own) tally.unlooked.add(id);
  for (const { id, reason } of waiting)
    if ((state.steps[id] as StepState).going === 0)
      setStatus(draft, id, mayPass ? "pending" : "blocked", reason);
}

/** @returns the first step at which a limit of the whole plan was reached; those before it that wait for something else */
function startInOrder(draft: Draft): { stoppedAt?: string; waiting: Waiting[] } {
  const { state, tally, index } = draft;
  const waiting: Waiting[] = [];
  for (const id of queuedInOrder(draft)) {
    const step = index.steps.get(id) as RunStep;
    for (;;) {
      const now = state.steps[id] as StepState;
      if (now.queue.length === 0 || hasEnded(now)) break;
      refreshTally(tally, draft);
      const full = whyFull(step, now);
      if (full === undefined && whyNoStart(state, tally.going) !== undefined)
        return { stoppedAt: id, waiting };
      const reason = full ?? startNext(draft, step);
      // It could not begin, and others may follow from that.
      if (state.steps[id]?.concluded) draft.again = true;
      if (reason === undefined) continue;
      waiting.push({ id, reason });
      break;
    }
  }
  return { waiting };
}

/** From that step on: what waits for the plan's limit, those left out that were told so already. */
function listBehind(draft: Draft, first: string, isSame: boolean, limit: string): Waiting[] {
  const { state, tally, index } = draft;
  const from = index.positions.get(first) ?? 0;
  return inOrder(draft, isSame ? tally.unlooked : tally.queued)
    .filter((id) => (index.positions.get(id) ?? 0) >= from && !hasEnded(state.steps[id] as StepState))
    .map((id) => {
      const full = whyFull(index.steps.get(id) as RunStep, state.steps[id] as StepState);
      return { id, reason: full ?? limit };
    });
}

function whyFull({ forEach, parallel }: RunStep, { going }: StepState): string | undefined {
  return forEach !== undefined && parallel !== undefined && going >= parallel
    ? `${going} of its runs go on already.`
    : undefined;
}

function queuedInOrder({ tally, index }: Draft): string[] {
  const isOld = tally.order === undefined || tally.order.length > 2 * tally.queued.size;
  if (isOld) tally.order = inOrder({ index }, tally.queued);
  return (tally.order ?? []).filter((id) => tally.queued.has(id));
}
