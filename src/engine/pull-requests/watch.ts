import type { OpenedGithub } from "../../integrations/github/open-github.js";
import type { ReviewPoint } from "../../integrations/github/read-reviews.js";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { type EngineRun, hasEnded } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";
import type { Engine, PullRequestSight } from "../types.js";

/** Checks take minutes. In ms. */
const LOOK_MS = 60_000;
/** So often one session is sent back by itself; then a person has to look. */
const MAX_ROUNDS = 3;
/** Failed by a person's hand, or for want of one: no commit mends that. */
const BY_HAND = ["cancelled", "action_required"];
/** What was opened longer ago is not looked at any more, in ms. */
const WATCHED_MS = 7 * 24 * 60 * 60 * 1000;

interface WatchTools {
  runs: Pick<RunStore, "all" | "ofSession" | "keyPrefix">;
  start: Engine["start"];
  github: () => Promise<OpenedGithub>;
  /** Whether the settings have it so, by now. */
  isOn: () => boolean;
  /** Whether the session's workspace is at this engine. */
  isOwn: (run: EngineRun) => boolean;
  clock: Clock;
  log: Log;
}

/**
 * Sends failed checks, and what members of the repository want, to the sessions of open pull requests by itself, each as a
 * paid run: at most three for a session, one for a commit, what somebody wants once, and only while nobody else has pushed
 * to the branch.
 * @returns ends it
 */
export function watchPullRequests(tools: WatchTools): () => Promise<void> {
  const { clock, log, isOn } = tools;
  const over = new AbortController();
  let underWay: Promise<void> | undefined;
  let isWanted = false;
  let cancel = () => {};

  async function lookWhileWanted(): Promise<void> {
    while (isWanted && !over.signal.aborted) {
      isWanted = false;
      if (!isOn()) return;
      await lookAtAll(tools, over.signal).catch((error: Error) =>
        log.warn(`Pull requests could not be looked at: ${error.message}`),
      );
    }
  }

  /** One that is due while another goes on follows it. */
  function arm(): void {
    cancel = clock.after(LOOK_MS, () => {
      arm();
      isWanted = true;
      underWay ??= lookWhileWanted().finally(() => {
        underWay = undefined;
      });
    });
  }

  arm();
  return async () => {
    over.abort();
    cancel();
    await underWay;
  };
}

async function lookAtAll(tools: WatchTools, signal: AbortSignal): Promise<void> {
  for (const run of listWatched(tools)) {
    if (signal.aborted) return;
    await lookAtOne(tools, run, signal).catch((error: Error) =>
      tools.log.debug(`The pull request of session ${run.sessionName}: ${error.message}`),
    );
  }
}

/** The newest run of each session that has an open pull request and is not at work, and may be sent back once more. */
function listWatched({ runs, isOwn, clock }: WatchTools): EngineRun[] {
  const sessions = new Set<string>();
  return runs.all().filter((run) => {
    const { sessionId, pullRequest, endedAt = 0 } = run;
    if (sessions.has(sessionId)) return false;
    if (pullRequest?.state !== "open" || pullRequest.number === undefined) return false;
    // What a session commits does not get to a branch that is another one than its own.
    if (pullRequest.ofOtherBranch) return false;
    sessions.add(sessionId);
    const all = runs.ofSession(sessionId);
    const rounds = all.filter(({ request }) => request.pullRequestRound !== undefined).length;
    const isIdle = all.every(hasEnded) && clock.now() - endedAt < WATCHED_MS;
    return isIdle && rounds < MAX_ROUNDS && isOwn(run);
  });
}

async function lookAtOne(
  { runs, start, github, log }: WatchTools,
  run: EngineRun,
  signal: AbortSignal,
): Promise<void> {
  const { number = 0, repository = "", commit = "" } = run.pullRequest ?? {};
  const session = runs.ofSession(run.sessionId);
  // A commit is answered once, also where a person has sent it, and whatever has come of it.
  const { isFeedbackOn } = await import("../../integrations/pull-request-feedback.js");
  const isAnswered = ({ request }: EngineRun) =>
    request.pullRequestRound === commit || isFeedbackOn(request.message, commit);
  if (session.some(isAnswered)) return;
  const { lookAtPullRequest } = await import("./look.js");
  const sight = await lookAtPullRequest(await github(), { number, repository, isOwnBranch: true }, signal);
  const found = await findingsOf(sight, session);
  // The session knows nothing of what others have pushed.
  if (sight.state !== "open" || sight.headCommit !== commit || !found) return;
  const { workflowName, timeoutS, userId, userName, model } = run.request;
  const request = {
    ...{ workflowName, timeoutS, message: found, sessionId: run.sessionId, sessionName: run.sessionName },
    ...(userId ? { userId } : {}),
    ...(userName ? { userName } : {}),
    ...(model ? { model } : {}),
    ...{ persistent: true, autoMerge: false, tempWorkspace: false },
    ...{ pullRequest: true as const, pullRequestRound: sight.headCommit },
  };
  const key = `${runs.keyPrefix ?? ""}pull-request/${run.sessionId}/${sight.headCommit}`;
  const started = await start(request, key);
  log.info(
    `Session ${run.sessionName} goes on by itself (run ${started.runId}): ${sight.url} has something to mend.`,
  );
}

/** What is sent, once all checks have ended; of reviews only what is new to the session. */
async function findingsOf(
  { url, headCommit, checks, reviews }: PullRequestSight,
  session: readonly EngineRun[],
): Promise<string | undefined> {
  if (checks.running > 0) return undefined;
  const failed = checks.failed.filter(({ conclusion }) => !BY_HAND.includes(conclusion));
  const { feedbackOf, tellComment } = await import("../../integrations/pull-request-feedback.js");
  const sent = session.map(({ request }) => request.message);
  /** Threads stay open until a person resolves them, also where the session has done what they ask for. */
  const isNew = ({ comments }: ReviewPoint) =>
    comments.some((comment) => !sent.some((message) => message.includes(`\n${tellComment(comment)}\n`)));
  const points = reviews.points
    .map((point) => ({ ...point, comments: point.comments.filter(({ isMember }) => isMember) }))
    .filter(isNew);
  if (failed.length + points.length === 0) return undefined;
  return feedbackOf({ url, headCommit, failed, reviews: points });
}
