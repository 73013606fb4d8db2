import { Refused, Unknown } from "../../integrations/delivery-error.js";
import { type Delivery, LONG_PAUSES_MS, type Target } from "../../integrations/target.js";
import type { AskedPullRequest, EngineRun, RunPullRequest } from "../runs/run.js";
import type { Delivered } from "./deliver.js";

/** What is delivered, as it stands in the outbox. */
export interface PullRequestPayload {
  runId: string;
  /** What it is to say; what the run tells by itself where it does not. */
  asked: AskedPullRequest;
}

/**
 * Pull requests of runs as a place that is told. What is there is looked for first, so that all of it may be asked again.
 * @param options.note writes down with the run what has become of its pull request
 */
export function createPullRequestTarget(options: {
  name: string;
  deliver: (what: PullRequestPayload, how: { isAgain: boolean; signal: AbortSignal }) => Promise<Delivered>;
  find: (runId: string) => EngineRun | undefined;
  note: (runId: string, what: Pick<Delivered, "pullRequest"> & { where?: string }) => Promise<void>;
}): Target {
  const { name, deliver, find, note } = options;
  const read = ({ payload }: Delivery) => payload as PullRequestPayload;

  /** That it is not open (yet), and why. */
  async function noteFailure(delivery: Delivery, error: Error): Promise<void> {
    const { runId, asked } = read(delivery);
    const run = find(runId);
    if (!run) return;
    const isOver = error instanceof Refused || delivery.tries > LONG_PAUSES_MS.length;
    const known = knownOf(run, asked);
    // Once it is open it stays so, whatever becomes of its comment.
    if (known.state === "open") return;
    const problem = `${error.message.slice(0, 1).toUpperCase()}${error.message.slice(1)}. ${
      isOver ? "It is not tried again by itself." : "It is tried again."
    }`;
    if (known.problem === problem && known.state === (isOver ? "failed" : "pending")) return;
    await note(runId, { pullRequest: { ...known, state: isOver ? "failed" : "pending", problem } });
  }

  return {
    name,
    label: "pull_request",
    pausesMs: LONG_PAUSES_MS,
    isRepeatable: () => true,
    describe: (delivery) => `The pull request of run ${read(delivery).runId}`,
    async deliver(delivery, signal) {
      try {
        const what = read(delivery);
        const { unfinished, ...done } = await deliver(what, { isAgain: delivery.mayHaveBeenSent, signal });
        await note(what.runId, done);
        // The pull request is there, so that a refusal later says nothing of all of it.
        if (unfinished)
          throw new Unknown(`it is open, and its comment is not written: ${unfinished.message}`);
        return {};
      } catch (error) {
        if (!signal.aborted) await noteFailure(delivery, error as Error).catch(() => {});
        throw error;
      }
    },
  };
}

/** What is known of what was asked for: the run may tell of another branch, of which it was asked before. */
function knownOf({ pullRequest }: EngineRun, { branch }: AskedPullRequest): RunPullRequest {
  const other = branch === undefined ? {} : { branch, ofOtherBranch: true as const };
  const isThat = branch === undefined ? !pullRequest?.ofOtherBranch : pullRequest?.branch === branch;
  return pullRequest && isThat ? pullRequest : { state: "pending", ...other };
}
