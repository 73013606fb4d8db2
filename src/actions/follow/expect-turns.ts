import { isFinal, type Run } from "../../api/types.js";
import type { Past } from "../../history/history.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Services } from "../define-action.js";

/** How long an answer waits for what is remembered, in ms. */
const TIMEOUT_MS = 500;

/** Adds what a run's workflow usually takes, by what past runs have taken, where the API does not tell it. */
export interface TurnExpectation {
  complete(run: Run): Run;
  /** Waits a moment until it is known, however slow the place is where sessions are kept. */
  ready(): Promise<void>;
}

const taskOf = ({ message, messageStart }: Run) => message ?? messageStart;

type Sources = Pick<Services, "sessions" | "clock">;

/** Waits a moment until what past runs have taken is known, so that {@link withUsualTurns} can tell it. Never throws. */
export async function readUsualTurns({ sessions, clock }: Sources): Promise<void> {
  await withDeadline(clock, TIMEOUT_MS, () => sessions.history.read()).catch(() => {});
}

/** Where it is looked up what past runs have taken. */
export interface KnownPast {
  sessions: { history: { known(): Pick<Past, "expect"> } };
}

/** The run with what its workflow usually takes, as far as that is known by now, where the API does not tell it. */
export function withUsualTurns(run: Run, { sessions }: KnownPast): Run {
  if (run.expectedTurns !== undefined || isFinal(run.status) || !run.workflowName) return run;
  const usual = sessions.history.known().expect(run.workflowName, run.repositoryUrl, taskOf(run))
    .turns?.median;
  return usual === undefined ? run : { ...run, expectedTurns: usual };
}

/** Looks it up once, without waiting for it, so that what is told of a run does not change on its way. */
export function expectTurns(run: Run, services: Sources): TurnExpectation {
  let usual: number | undefined;
  // From this it is known later, too, which silence of a run is long.
  services.sessions.history.known();
  const isTold = run.expectedTurns !== undefined || isFinal(run.status) || !run.workflowName;
  const looking = isTold
    ? Promise.resolve()
    : services.sessions.history.read().then((past) => {
        usual = past.expect(run.workflowName, run.repositoryUrl, taskOf(run)).turns?.median;
      });
  return {
    complete: (one) =>
      one.expectedTurns !== undefined || usual === undefined || isFinal(one.status)
        ? one
        : { ...one, expectedTurns: usual },
    ready: async () => void (await withDeadline(services.clock, TIMEOUT_MS, () => looking)),
  };
}
