import type { Services } from "../actions/define-action.js";
import { type KnownPast, readUsualTurns, withUsualTurns } from "../actions/follow/expect-turns.js";
import { ApiError } from "../api/errors.js";
import { isFinal, type Run } from "../api/types.js";
import { optional } from "../plans/plan.js";
import { mergeRun } from "../runs/merge-run.js";
import { bareRun } from "../runs/run-facts.js";
import { cleanLine, cleanText, cutText } from "../shared/text.js";
import { needsOfRun } from "./needs.js";
import { NotThere } from "./not-there.js";
import { type RunPlace, toRow } from "./run-row.js";
import type { DiffView, RunDetail } from "./views/run.js";

const TASK_CHARS = 4_000;
const RESULT_CHARS = 20_000;
const NAME_CHARS = 200;
const MOST_FILES = 500;
/** More of a diff is not shown, in bytes. */
const DIFF_BYTES = 1024 * 1024;

/** The run as it stands now. @throws NotThere when the API does not know it (any more); ApiError */
export async function readRun(
  runId: string,
  services: Pick<Services, "runs" | "sessions" | "watcher" | "clock">,
  signal: AbortSignal,
): Promise<Run> {
  const { runs, sessions, watcher } = services;
  const listed = sessions.listed(runId) ?? bareRun(runId);
  const latest = watcher.latest(runId);
  const known = await sessions.recall(latest ? mergeRun(listed, latest) : listed);
  try {
    const [run] = await Promise.all([runs.read(runId, signal), readUsualTurns(services)]);
    return mergeRun(known, run);
  } catch (error) {
    if (error instanceof ApiError && error.kind === "not_found") throw new NotThere(tellGone(runId));
    throw error;
  }
}

export function tellGone(runId: string): string {
  return `The workflows API does not know the run ${cleanLine(runId, 100)} (any more): it was removed there, or it was never one. Nothing was changed.`;
}

/** What is looked at beside the run itself. */
interface Around {
  services: KnownPast & {
    watcher: Pick<Services["watcher"], "stalledFor">;
    capabilities: Pick<Services["capabilities"], "hasEndpoint" | "describesEndpoint">;
  };
  place: RunPlace | undefined;
  /** Epoch ms. */
  now: number;
}

/** The page of a run, without its log. */
export function toRunDetail(run: Run, { services, place, now }: Around): RunDetail {
  const text = (value: string | undefined, chars: number) => (value ? cleanText(value, chars) : undefined);
  const isOver = isFinal(run.status);
  return {
    ...toRow(withUsualTurns(run, services), {
      place,
      stalledMs: isOver ? undefined : services.watcher.stalledFor(run),
    }),
    now,
    ...optional("durationS", run.durationS),
    ...optional("tokens", run.tokens?.total),
    ...optional("task", text(run.message ?? run.messageStart, TASK_CHARS)),
    ...optional("result", text(run.result, RESULT_CHARS)),
    ...optional("error", text(run.error, TASK_CHARS)),
    ...optional("errorCode", run.errorCode && cleanLine(run.errorCode, 60)),
    needs: needsOfRun(run, place),
    ...optional("work", workOf(run)),
    filesChanged: run.filesChanged.slice(0, MOST_FILES).map((file) => cleanLine(file)),
    log: [],
    logLeft: 0,
    may: deedsOf(run, services),
  };
}

function workOf({ work }: Run): RunDetail["work"] {
  if (!work) return undefined;
  const line = (value: string | undefined) => (value ? cleanLine(value, NAME_CHARS) : undefined);
  return {
    branch: cleanLine(work.branch, NAME_CHARS),
    ...optional("baseBranch", line(work.baseBranch)),
    commits: work.commits.map(({ id, title }) => ({ id: cleanLine(id, 40), title: cleanLine(title) })),
    commitCount: work.commitCount,
    ...optional("files", work.files),
    ...optional("insertions", work.insertions),
    ...optional("deletions", work.deletions),
    deliveredTo: work.deliveredTo,
    ...optional("where", line(work.where)),
    ...optional("mergedInto", line(work.mergedInto)),
    ...optional("problem", work.problem && cleanLine(work.problem)),
    ...optional("uncommitted", work.uncommitted),
  };
}

/** What can be done with it now; the actions themselves look again. */
function deedsOf({ status, work }: Run, { capabilities }: Around["services"]): RunDetail["may"] {
  const isOver = isFinal(status);
  const hasWork = work !== undefined && (work.commitCount > 0 || work.uncommitted === true);
  const isPossible: Record<RunDetail["may"][number], boolean> = {
    feedback: !isOver && capabilities.hasEndpoint("add_message"),
    take: isOver && hasWork && capabilities.describesEndpoint("take"),
    discard: isOver && work !== undefined && capabilities.describesEndpoint("discard"),
    kill: !isOver && capabilities.hasEndpoint("kill"),
    diff: capabilities.describesEndpoint("diff"),
  };
  return (Object.keys(isPossible) as RunDetail["may"]).filter((deed) => isPossible[deed]);
}

/** What the commits of the run's session change. @throws NotThere, ApiError */
export async function readDiff(
  runId: string,
  { api, capabilities }: Pick<Services, "api" | "capabilities">,
  signal: AbortSignal,
): Promise<DiffView> {
  if (!capabilities.describesEndpoint("diff"))
    throw new NotThere("This workflows API tells no changes. Look at the run's branch with git.");
  try {
    const { text, cut, branch, baseBranch } = await api.readDiff(runId, DIFF_BYTES, { signal });
    return {
      text: cutText(text, DIFF_BYTES),
      cut: cut || text.length > DIFF_BYTES,
      ...optional("branch", branch && cleanLine(branch, NAME_CHARS)),
      ...optional("baseBranch", baseBranch && cleanLine(baseBranch, NAME_CHARS)),
    };
  } catch (error) {
    if (error instanceof ApiError && error.kind === "not_found") throw new NotThere(tellGone(runId));
    throw error;
  }
}
