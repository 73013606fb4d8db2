import { ApiError } from "../api/errors.js";
import { isFinal, type Run, type Work } from "../api/types.js";
import type { TakeReport, TakeRequest, WorkDiff } from "../api/work-types.js";
import { asCode, readCheckCommand } from "../shared/check-command.js";
import { ActionError, type Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { nameBriefly, nameFurther, nameRun } from "./describe-run.js";
import { listCommits, tellBriefly, tellUncommitted } from "./describe-work.js";
import { resolveWaitMs } from "./follow/wait-budget.js";
import { confirmWithPerson } from "./forms/confirm.js";
import { watchAgain } from "./next-steps.js";
import { readAgain } from "./read-run.js";
import { namesTarget, TARGET_ABOUT } from "./resolve-target.js";
import { readWorkTarget } from "./sole-work.js";

const TAKE_PARAMETERS = [
  "run_id",
  "session_name",
  "session_id",
  "into",
  "squash",
  "check",
  "wait_seconds",
  "confirm",
] as const;

/** What the API needs beside the check itself, in ms: fetching twice, and putting the worktree back. */
const AROUND_CHECK_MS = 300_000;
/** What a call that cannot wait for ever keeps of its time for the rest, in s. */
const ANSWER_SECONDS = 5;
/** Of a line of a form some clients show so many characters. */
const LINE_CHARS = 118;
/** Of a diff that is only looked at for whether there is one, in bytes. */
const LOOK_BYTES = 1_024;
/** How often a check's progress is told, in ms. */
const PROGRESS_MS = 10_000;

/**
 * Merges a session's commits into a branch of the person's repository, after the person agreed: what an agent has written
 * may be run there as soon as it is checked out, and an agent's own text may ask a model for it. A check runs what the
 * agent has written at once, so that the person agrees to its exact command, too.
 */
export const takeAction = defineAction({
  name: "take",
  toolName: "take_work",
  title: "Take a session's work",
  summary: "merge them into a branch, after the person agreed.",
  description:
    "Merges a session's commits into a branch of the person's repository, after the person agreed.",
  searchHint: "merge take accept apply work commits branch of a workflow run automagik",
  parameters: TAKE_PARAMETERS,
  about: {
    ...TARGET_ABOUT,
    into: "The branch (default: base).",
    squash: "As one commit.",
    check: "A command that must pass on the merge before anything is merged.",
    wait_seconds: "How long the check may take; then it is ended, and nothing is merged.",
    confirm: "true only after the person agreed.",
  },
  endpoint: "take",
  instead: "Where the run's status names its branch, merge that with git in the repository.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  answerParts: ["check", "missing"],

  async handle(
    args: Arguments<(typeof TAKE_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    const check = await readCheck(args.check, services);
    const run = await readWorkTarget(args, call, services);
    if ("outcome" in run) return run;
    if (!isFinal(run.status)) {
      return {
        outcome: "running",
        summary: `Nothing was merged: the ${nameRun(run)} is still ${run.status}.`,
        next: watchAgain(run, "Wait for its end."),
      };
    }
    const chosen = {
      ...(args.into ? { into: args.into } : {}),
      ...(args.squash ? { squash: true } : {}),
      ...(check === undefined ? {} : { check }),
    };
    const seen = await lookBefore(run, call, services);
    const loose = tellUncommitted(run);
    if (seen?.text === "" && loose)
      return {
        outcome: "failed",
        summary: `Nothing was merged, and nobody was asked: ${nameBriefly(run)} has committed nothing. ${loose} Have them committed there, then take it again.`,
      };
    if (seen?.text === "" && (args.into === undefined || args.into === seen.baseBranch))
      return {
        outcome: "failed",
        summary: `Nothing was merged, and nobody was asked: ${seen.baseBranch ?? "the base branch"} has all of the work of ${nameBriefly(run)} already${seen.branch ? ` (branch ${seen.branch})` : ""}.`,
      };
    if (args.into === undefined && (await wasMerged(run, call, services)))
      return {
        outcome: "failed",
        summary: `Nothing was merged, and nobody was asked: the work of ${nameBriefly(run)} was merged into ${run.work?.mergedInto} before, and nothing was committed since. To merge it again, name the branch with \`into\`.`,
      };
    const ended = await confirmWithPerson(
      {
        action: "take",
        deed: describeDeed(run, { base: seen?.baseBranch, ...chosen }, services),
        detail:
          run.work &&
          [
            tellBriefly(run.work, LINE_CHARS),
            ...listCommits(run.work),
            ...tellFurther(run.work, args.into),
            ...(loose ? [`Not merged: ${loose}`] : []),
            `By ${nameFurther(run)}`,
          ].join("\n"),
        arguments: { run_id: run.runId, ...chosen },
        // Nobody has agreed to what the call did not name.
        confirm: namesTarget(args) ? args.confirm : undefined,
      },
      call,
    );
    if (ended) return ended;
    try {
      const report =
        check === undefined
          ? await services.api.takeWork(run.runId, chosen)
          : await takeChecked(run.runId, { ...chosen, check }, args.wait_seconds, call, services);
      if (report.taken) await readAgain(run, call, services);
      return answerReport(report, check, loose);
    } catch (error) {
      if (!(error instanceof ApiError) || !error.mayHaveActed) throw error;
      const ending =
        check === undefined ? "" : " A check that nobody waits for any more is ended, and merges nothing.";
      return {
        outcome: "unknown",
        summary:
          `It is unknown whether the work was merged. ${error.message}${ending} \`git log\` in the repository tells, and ` +
          "so does the run's status (merged_into).",
        next: {
          action: "status",
          arguments: { run_id: run.runId },
          reason: "See whether it was merged before taking it again.",
        },
      };
    }
  },
});

/** @throws ActionError for a command that nobody could agree to, or where the API runs none */
async function readCheck(text: string | undefined, services: Services): Promise<string | undefined> {
  // An empty one is not left out: nothing is to be merged unchecked because a variable was empty.
  if (text === undefined) return undefined;
  const read = readCheckCommand(text);
  if (!read.ok) throw new ActionError(`${read.problem} Nothing was merged.`);
  if (await services.capabilities.readTakesCheck()) return read.value;
  throw new ActionError(
    "This workflows API does not say that it runs checks, so it might merge without. Nothing was merged. Run the check " +
      "where the work is (its status has the commands), then take it without `check`.",
  );
}

/**
 * What a session changes now whose run is known to have left no commits: somebody may have committed there since.
 * @returns undefined for any other session, and where it cannot be looked at
 */
async function lookBefore(
  run: Run,
  call: Call,
  { api, capabilities }: Services,
): Promise<WorkDiff | undefined> {
  const hadNone = run.hasNoWork || run.work?.commitCount === 0;
  if (!hadNone || !capabilities.hasEndpoint("diff")) return undefined;
  try {
    return await api.readDiff(run.runId, LOOK_BYTES, { signal: call.signal });
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

/** True when its base branch was given all of it, and the session has the same commits still. */
async function wasMerged(
  { runId, work }: Run,
  call: Call,
  { api, capabilities }: Services,
): Promise<boolean> {
  if (work?.mergedInto === undefined || work.mergedInto !== work.baseBranch) return false;
  if (!capabilities.describesEndpoint("work")) return false;
  try {
    const { headCommit } = await api.readHead(runId, { signal: call.signal });
    return headCommit !== undefined && headCommit === work.headCommit;
  } catch (error) {
    if (error instanceof ApiError) return false;
    throw error;
  }
}

/** What the person agrees to; what matters first, since a form of Claude Code shows about 120 characters of it. */
function describeDeed(
  run: Run,
  { into, squash, check, base }: TakeRequest & { base: string | undefined },
  { settings }: Services,
): string {
  const target = into ?? run.work?.baseBranch ?? base ?? "its base branch";
  const merge = `erge the work of ${nameBriefly(run)} into ${target}${squash ? " as one commit" : ""}`;
  if (check === undefined) return `M${merge}`;
  const where =
    settings.engine === "local" ? "on this machine as you" : "on the engine's machine as its user";
  return `Run ${asCode(check)} ${where}, and if it passes m${merge}`;
}

/** What is merged beside the session's own commits, where it goes into another branch than its base. */
function tellFurther({ baseBranch, commitCount }: Work, into: string | undefined): string[] {
  if (into === undefined || baseBranch === undefined || into === baseBranch || commitCount === 0) return [];
  return [`It began at ${baseBranch}: what that has and ${into} has not is merged as well.`];
}

/** Takes it with a check, and tells how long that has been going on. */
async function takeChecked(
  runId: string,
  how: TakeRequest & { check: string },
  waitSeconds: number | undefined,
  call: Call,
  { api, clock, settings }: Services,
): Promise<TakeReport> {
  const waitMs = resolveWaitMs(call.wantsProgress, call.clientName, waitSeconds);
  const bearableS = waitMs === undefined ? undefined : Math.floor(waitMs / 1000) - ANSWER_SECONDS;
  const checkTimeoutS = Math.max(1, Math.min(Math.ceil(settings.engineCheckTimeoutS), bearableS ?? Infinity));
  const began = clock.elapsed();
  let cancel = () => {};
  const tell = () => {
    const seconds = Math.round((clock.elapsed() - began) / 1000);
    call.progress({ message: `Checking: ${how.check}${seconds > 0 ? `, ${seconds} s` : ""}` });
    cancel = clock.after(PROGRESS_MS, tell);
  };
  tell();
  try {
    const report = await api.takeWork(
      runId,
      { ...how, checkTimeoutS },
      { signal: call.signal, timeoutMs: checkTimeoutS * 1000 + AROUND_CHECK_MS },
    );
    if (!report.check?.timedOut) return report;
    const advice =
      checkTimeoutS === bearableS
        ? "This call waits no longer: `wait_seconds`, or `automagik-workflows-mcp sessions take` in a terminal, gives it more time."
        : "ENGINE_CHECK_TIMEOUT gives it more time.";
    return { ...report, message: `${report.message ?? "Nothing was merged."} ${advice}` };
  } finally {
    cancel();
  }
}

/** @param loose what was not taken, since it is in no commit */
function answerReport(
  { message, taken, conflicts, check }: TakeReport,
  asked: string | undefined,
  loose: string,
): Answer {
  const files = conflicts.length > 0 ? ` In conflict: ${conflicts.join(", ")}.` : "";
  const unchecked =
    taken && asked !== undefined && !check?.passed ? " The API did not say that the check has passed." : "";
  return {
    outcome: taken && unchecked === "" ? "ok" : "failed",
    summary: `${message ?? (taken ? "Merged." : "Nothing was merged.")}${files}${unchecked}${taken && loose ? ` ${loose}` : ""}`,
    ...(check
      ? {
          check: {
            command: check.command,
            passed: check.passed,
            ...(check.exitCode === undefined ? {} : { exit_code: check.exitCode }),
            ...(check.seconds === undefined ? {} : { seconds: check.seconds }),
            output: check.output,
            cut: check.cut,
          },
        }
      : {}),
  };
}
