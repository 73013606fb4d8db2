import { ApiError } from "../api/errors.js";
import { isFinal } from "../api/types.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { nameRun } from "./describe-run.js";
import { listCommits } from "./describe-work.js";
import { confirmWithPerson } from "./forms/confirm.js";
import { watchAgain } from "./next-steps.js";
import { readTarget } from "./read-run.js";
import { SHORT_TARGET_ABOUT } from "./resolve-target.js";

const TAKE_PARAMETERS = ["run_id", "session_name", "session_id", "into", "squash", "confirm"] as const;

/**
 * Merges a session's commits into a branch of the person's repository, after the person agreed: what an agent has written
 * may be run there as soon as it is checked out, and an agent's own text may ask a model for it.
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
    ...SHORT_TARGET_ABOUT,
    into: "The branch (default: base).",
    squash: "As one commit.",
    confirm: "true only after the person agreed.",
  },
  endpoint: "take",
  instead: "Where the run's status names its branch, merge that with git in the repository.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  answerParts: ["missing"],

  async handle(
    args: Arguments<(typeof TAKE_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    const run = await readTarget(args, "newest", call, services);
    if ("outcome" in run) return run;
    if (!isFinal(run.status)) {
      return {
        outcome: "running",
        summary: `Nothing was merged: the ${nameRun(run)} is still ${run.status}.`,
        next: watchAgain(run, "Wait for its end."),
      };
    }
    const chosen = { ...(args.into ? { into: args.into } : {}), ...(args.squash ? { squash: true } : {}) };
    const into = args.into ?? run.work?.baseBranch ?? "its base branch";
    const ended = await confirmWithPerson(
      {
        action: "take",
        deed: `Merge the work of ${nameRun(run)} into ${into}${args.squash ? " as one commit" : ""}`,
        detail: run.work && listCommits(run.work).join("\n"),
        arguments: { run_id: run.runId, ...chosen },
        confirm: args.confirm,
      },
      call,
    );
    if (ended) return ended;
    try {
      const { message, ...report } = await services.api.takeWork(run.runId, chosen);
      const files = report.conflicts.length > 0 ? ` In conflict: ${report.conflicts.join(", ")}.` : "";
      return {
        outcome: report.taken ? "ok" : "failed",
        summary: `${message ?? (report.taken ? "Merged." : "Nothing was merged.")}${files}`,
      };
    } catch (error) {
      if (!(error instanceof ApiError) || !error.mayHaveActed) throw error;
      return {
        outcome: "unknown",
        summary: `It is unknown whether the work was merged. ${error.message} \`git log\` in the repository tells.`,
      };
    }
  },
});
