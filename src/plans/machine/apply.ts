import { commandsOf, type PlanCommand } from "./commands.js";
import { createState, type Draft, draftOf, isWorking } from "./draft.js";
import type { PlanEvent, PlanStarted } from "./events.js";
import { happen } from "./happen.js";
import { settle } from "./settle.js";
import type { PlanState } from "./state.js";
import { keepTally } from "./tally.js";
import { whyNot } from "./why-not.js";

/** The plan that a start makes, with what follows from it: its first runs are decided on. */
export function startPlan(event: PlanStarted): PlanState {
  const draft = draftOf(createState(event), event.at);
  settle(draft, true);
  return finish(draft);
}

/**
 * The plan after the event: the only place where it changes. The same object when the event cannot happen as things
 * stand (`whyNot` says why). Pure: the same events give the same plan.
 */
export function apply(state: PlanState, event: PlanEvent): PlanState {
  if (whyNot(state, event) !== undefined) return state;
  const draft = draftOf(state, Math.max(event.at, state.at));
  take(draft, event);
  return finish(draft);
}

/** The plan after all events of a journal; those that could not happen change nothing here either. */
export function replay(start: PlanStarted, events: Iterable<PlanEvent>): PlanState {
  const draft = draftOf(createState(start), start.at);
  settle(draft, true);
  for (const event of events) {
    if (whyNot(draft.state, event) !== undefined) continue;
    draft.at = Math.max(event.at, draft.state.at);
    take(draft, event);
  }
  return finish(draft);
}

/** The next state, and what is to be done now that was not to be done before. */
export function advance(state: PlanState, event: PlanEvent): { state: PlanState; commands: PlanCommand[] } {
  const next = apply(state, event);
  if (next === state) return { state, commands: [] };
  const before = new Set(commandsOf(state).map(({ id }) => id));
  return { state: next, commands: commandsOf(next).filter(({ id }) => !before.has(id)) };
}

function finish({ state, tally }: Draft): PlanState {
  keepTally(state, tally);
  return state;
}

function take(draft: Draft, event: PlanEvent): void {
  const { state } = draft;
  if (isWorking(state, draft.tally)) {
    const slept = event.type === "slept" ? event.ms : 0;
    state.workMs += Math.max(0, draft.at - state.at - slept);
  }
  state.at = draft.at;
  happen(draft, event);
  settle(draft, !isOfOneRun(event));
}

/** What concerns one run changes its step, and what needs it; anything else may let any step go on. */
function isOfOneRun({ type }: PlanEvent): boolean {
  return (
    type === "run-started" ||
    type === "run-ended" ||
    type === "workspace-shared" ||
    type === "run-asks" ||
    type === "run-goes-on"
  );
}
