import { NotNow, Refused, Unknown } from "../../integrations/delivery-error.js";
import {
  type Forge,
  type ForgeSettings,
  findRequestUrl,
  forgeOf,
  hostOf,
  pushOf,
} from "../../integrations/forge.js";
import { bringPullRequest } from "../../integrations/github/bring-pull-request.js";
import { OWN_MARK } from "../../integrations/github/github.js";
import type { OpenedGithub } from "../../integrations/github/open-github.js";
import { fullName } from "../../integrations/github/repository-name.js";
import { bodyOf, commentOf, titleOf } from "../../integrations/pull-request-text.js";
import type { Clock } from "../../shared/clock.js";
import type { AskedPullRequest, EngineRun, RunPullRequest } from "../runs/run.js";
import type { Published, PushManner } from "../workspaces/publish.js";
import { WorkspaceError } from "../workspaces/types.js";
import type { ReviewableWorkspaces } from "../workspaces/workspaces.js";
import { factsOf } from "./facts.js";

/** What pull requests are opened with. */
export interface DeliverTools {
  workspaces: Pick<ReviewableWorkspaces, "publish">;
  /** The run by now, and all of its session, the newest first. */
  runsOf: (runId: string) => { run: EngineRun; session: readonly EngineRun[] } | undefined;
  settings: () => ForgeSettings & { pullRequests?: "draft" | "ready" | undefined };
  github: () => Promise<OpenedGithub>;
  clock: Pick<Clock, "now">;
}

/** What has come of it, for the run. */
export interface Delivered {
  pullRequest: RunPullRequest;
  /** Where the branch is now. */
  where: string;
  /** Why it is to be asked for again: its comment may be written later. */
  unfinished?: Error;
}

/** The one comment at GitHub is found again by it. */
const MARKER = `${OWN_MARK}: state of this work -->`;
/** Git says so in these words where a host is not reached, which passes. */
const PASSING =
  /could not resolve host|timed? ?out|connection (?:refused|reset|closed)|unable to access|early EOF|HTTP 5\d\d|network is unreachable|did not finish within|was stopped before/i;

/** And so where it is reached and says no, which does not. */
const DENIED = /returned error: 4(?!08|29)\d\d/i;

/**
 * Pushes a session's branch and makes sure that there is a pull request for it. Asked again it finds what it has done.
 * @param how.asked what it is to say, and of which branch; what the run tells by itself where that does not say it
 * @param how.isAgain a former try may have come to its end
 * @throws Refused, NotNow, Unknown
 */
export async function deliverPullRequest(
  tools: DeliverTools,
  runId: string,
  { asked, isAgain, signal }: { asked: AskedPullRequest; isAgain: boolean; signal: AbortSignal },
): Promise<Delivered> {
  const found = tools.runsOf(runId);
  if (!found) throw new Refused("the run is not there any more");
  const { run, session } = found;
  const settings = tools.settings();
  const isDraft = settings.pullRequests !== "ready";
  const facts = factsOf(run, session);
  const text = { title: asked.title ?? titleOf(facts), body: asked.body ?? bodyOf(facts) };
  const ofOther = asked.branch === undefined ? {} : { ofOtherBranch: true as const };
  let forge: Forge | undefined;

  function manner({ address, branch, base }: { address: string; branch: string; base: string }): PushManner {
    forge = forgeOf(address, settings);
    if (!forge)
      throw new WorkspaceError(
        `it is not known how pull requests are opened at ${hostOf(address) ?? "the remote"}: AUTOMAGIK_WORKFLOWS_FORGES says it of GitLab and Gitea`,
      );
    if (forge.kind === "github") return { ref: `refs/heads/${branch}`, options: [] };
    return pushOf(forge.kind, { ...text, branch, base, draft: isDraft });
  }

  const published = await tools.workspaces
    .publish(
      { runId: run.runId, sessionKey: run.sessionId },
      { manner, signal, ...(asked.branch === undefined ? {} : { branch: asked.branch }) },
    )
    .catch(asDeliveryError);
  if (!forge) throw new Refused("nothing was pushed");
  if (forge.kind !== "github")
    return {
      pullRequest: { ...pushedRequest(published, isDraft, isAgain), ...ofOther },
      where: published.address,
    };
  const { branch, base, commit } = published;
  const brought = await bringPullRequest(
    (await tools.github()).github,
    {
      repository: forge.repository,
      asked: { ...text, head: branch, base, draft: isDraft },
      // What the session has done says nothing of another branch.
      comment:
        asked.comment ??
        (asked.branch === undefined ? commentOf(facts, commit, tools.clock.now()) : undefined),
      marker: MARKER,
      comments: commentsOf(session),
    },
    signal,
  );
  const { pull, commentId, notes, unfinished } = brought;
  return {
    where: published.address,
    ...(unfinished ? { unfinished } : {}),
    pullRequest: {
      ...{ state: "open", url: pull.url, number: pull.number, repository: fullName(forge.repository) },
      ...{ branch, base: pull.base, commit, isDraft: pull.isDraft, ...ofOther },
      ...(commentId === undefined ? {} : { commentId }),
      ...(notes.length > 0 ? { problem: notes.join(" ") } : {}),
    },
  };
}

/** Such a host says what it has opened, or nothing: then its own pages tell. */
function pushedRequest(
  { branch, base, commit, told, hadAll }: Published,
  isDraft: boolean,
  isAgain: boolean,
): RunPullRequest {
  const url = findRequestUrl(told);
  const known = { branch, base, commit, isDraft, ...(url ? { url } : {}) };
  if (url) return { state: "open", ...known };
  const why = hadAll
    ? `The host had all of ${branch} ${isAgain ? "already: a former try may have opened a request" : "before, and opens a request only with something new"}.`
    : "The host took the branch and did not say whether it has opened a request.";
  return { state: "pushed", ...known, problem: `${why} Look for ${branch} at the host.` };
}

/** The comments that runs of the session have kept so far, the newest first, with the numbers of their pull requests. */
function commentsOf(session: readonly EngineRun[]): { number: number; id: number }[] {
  return session.flatMap(({ pullRequest: { number, commentId: id } = {} }) =>
    number === undefined || id === undefined ? [] : [{ number, id }],
  );
}

function asDeliveryError(error: Error): never {
  if (!(error instanceof WorkspaceError)) throw error;
  const text = error.message.replace(/[.\s]+$/, "");
  if (PASSING.test(text) && !DENIED.test(text)) throw new NotNow(text);
  throw /cut short/i.test(text) ? new Unknown(text) : new Refused(text);
}
