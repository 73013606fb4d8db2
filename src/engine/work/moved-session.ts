import { cleanLine } from "../../shared/text.js";
import type { EngineOptions, EngineWorker } from "../engine-options.js";
import type { EngineRun } from "../runs/run.js";
import type { StoredSession } from "../workers/session-bundles.js";
import { homeOf } from "../workers/session-homes.js";
import type { MovedWork, PackedWork } from "../workspaces/moving-types.js";
import type { Workspace } from "../workspaces/types.js";
import { findOwnTalk, hasTalked } from "./agent-change.js";
import { placeHandover } from "./handover-notes.js";
import { tellSize } from "./keep-session.js";

/** A session that has worked, or talked, at another worker so far. */
export interface Move {
  /** For the workspace; undefined where that is here. */
  moved?: MovedWork;
  /** The conversation is not here: another one begins. */
  talksAnew: boolean;
  /** The session's handover note is here. */
  hasHandover: boolean;
  /** What the agent is told, on one line. */
  prompt: string;
  /** What the person is told. @param workspace as it was prepared */
  describe(workspace: Workspace): string;
}

/**
 * Finds out whether a run goes on with what was done at another worker, and brings the handover note here. Its commits
 * come with the workspace.
 * @returns undefined where all of its session is here, as in an engine that is alone
 * @throws StoreError, and what the file system throws
 */
export async function findMove(run: EngineRun, engine: EngineOptions): Promise<Move | undefined> {
  const { worker, runs, prepareHandover, clock } = engine;
  if (!worker) return undefined;
  const others = runs.ofSession(run.sessionId).filter(({ runId }) => runId !== run.runId);
  const elsewhere = (id: string | undefined) => (id === worker.id ? undefined : id);
  const workedAt = run.request.tempWorkspace ? undefined : elsewhere(homeOf(others));
  const last = others.find(hasTalked);
  const notedAt = elsewhere(last?.worker);
  const talkedAt = elsewhere((findOwnTalk(run, engine) ?? last)?.worker);
  const home = workedAt ?? talkedAt ?? notedAt;
  if (home === undefined) return undefined;
  const stored = await worker.bundles.read(run.sessionId);
  if (notedAt !== undefined) await placeHandover(await prepareHandover(run.sessionId), stored?.handover);
  const worked = others.find((one) => one.worker === home && one.workspacePath !== undefined);
  // What was thrown away there does not come back here.
  const work = worked?.workGone ? undefined : stored?.work;
  const startFrom = others.findLast((one) => one.request.startFrom)?.request.startFrom;
  const hasHandover = notedAt === undefined || stored?.handover !== undefined;
  const away = tellAway(worker.find(home), clock.now());
  return {
    ...(workedAt !== undefined && {
      moved: {
        ...(work && { work }),
        ...(stored?.bundleId && { writeBundle: (file) => worker.bundles.writeBundle(stored, file) }),
        startFrom,
      },
    }),
    talksAnew: talkedAt !== undefined,
    hasHandover,
    prompt:
      "This session goes on here from another machine, with what was committed there; " +
      (hasHandover
        ? "the conversation that it had is not here: the handover note tells of it."
        : "the conversation that it had is not here, and no handover note of it."),
    describe: (workspace) =>
      [
        `Session "${run.sessionName}" goes on at worker ${worker.name}${workedAt === undefined ? "." : ` ${tellBegin(work, workspace)}.`}`,
        away,
        ...(workedAt === undefined ? [] : [tellMissing(worked, stored)]),
        ...(talkedAt === undefined ? [] : [tellTalk(hasHandover)]),
      ].join(" "),
  };
}

function tellBegin(work: PackedWork | undefined, { kind, startCommit = "" }: Workspace): string {
  if (kind !== "repository") return "in an empty folder: without a repository its files are only there";
  const at = startCommit.slice(0, 7);
  const count = `${work?.commits} ${work?.commits === 1 ? "commit" : "commits"}`;
  switch (work?.kind) {
    case "bundle":
    case "pushed":
      return `from commit ${at} (${count})`;
    case "large":
      return `from its base ${at}, since its ${count} exceeded the size that is kept (${tellSize(work.bytes)})`;
    case "base":
      return `from its base ${at}, since it had committed nothing that is not in the repository`;
    default:
      return `from its base ${at}, since nothing of its work was kept: no run there has come to its end, or it was thrown away`;
  }
}

function tellAway(home: ReturnType<EngineWorker["find"]>, now: number): string {
  if (!home) return "The worker that had it is not known any more.";
  const name = cleanLine(home.name, 100);
  const since = tellTime(now - home.silentMs);
  return home.state === "gone"
    ? `Its worker ${name} is away since ${since}.`
    : home.state === "ended"
      ? `Its worker ${name} has ended at ${since}.`
      : `It was at worker ${name} before.`;
}

/** "2026-11-30 17:49 UTC" */
const tellTime = (ms: number) => `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;

function tellMissing(last: EngineRun | undefined, stored: StoredSession | undefined): string {
  const uncommitted = "What was not committed there is not here";
  const isOfLast = stored?.runId === last?.runId;
  if (!last || (isOfLast && stored?.isAtEnd)) return `${uncommitted}.`;
  const since = isOfLast && stored ? ` after ${tellTime(stored.storedAt)}` : "";
  return `${uncommitted}, and what its last run there (${last.request.workflowName}, ${last.status}) has committed${since} is not here either: that worker has it.`;
}

function tellTalk(hasHandover: boolean): string {
  const anew = "The conversation begins anew";
  return hasHandover ? `${anew} with the handover note.` : `${anew}; no handover note was kept.`;
}
