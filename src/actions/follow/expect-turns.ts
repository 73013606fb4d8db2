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
  return isTold(run) ? run : withTurns(run, usualTurns(run, sessions.history.known()));
}

/** The API tells it, or it does not matter any more. */
const isTold = ({ expectedTurns, status, workflowName }: Run) =>
  expectedTurns !== undefined || isFinal(status) || !workflowName;

const usualTurns = (run: Run, past: Pick<Past, "expect">) =>
  past.expect(run.workflowName, run.repositoryUrl, run.message ?? run.messageStart).turns?.median;

const withTurns = (run: Run, usual: number | undefined): Run =>
  usual === undefined ? run : { ...run, expectedTurns: usual };

/** Looks it up once, without waiting for it, so that what is told of a run does not change on its way. */
export function expectTurns(run: Run, services: Sources): TurnExpectation {
  let usual: number | undefined;
  // From this it is known later, too, which silence of a run is long.
  services.sessions.history.known();
  const looking = isTold(run)
    ? Promise.resolve()
    : services.sessions.history.read().then((past) => {
        usual = usualTurns(run, past);
      });
  return {
    complete: (one) => (isTold(one) ? one : withTurns(one, usual)),
    ready: async () => void (await withDeadline(services.clock, TIMEOUT_MS, () => looking)),
  };
}
