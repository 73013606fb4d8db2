import { ApiError } from "../api/errors.js";
import { isFinal, type Run } from "../api/types.js";
import { asSentence } from "../shared/text.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { nameFurther, nameRun } from "./describe-run.js";
import { listCommits } from "./describe-work.js";
import { confirmWithPerson } from "./forms/confirm.js";
import { describeEnded, readAgain, readTarget } from "./read-run.js";
import { TARGET_ABOUT } from "./resolve-target.js";

const DISCARD_PARAMETERS = ["run_id", "session_name", "session_id", "confirm"] as const;

/** Throws a session's worktree and branches away, after the person agreed. */
export const discardAction = defineAction({
  name: "discard",
  toolName: "discard_work",
  title: "Throw a session's work away",
  summary: "throw its worktree and branch away, after the person agreed.",
  description:
    "Throws a session's worktree (uncommitted changes too) and branches away, after the person agreed (as for cleanup).",
  searchHint: "discard throw away reject work branch worktree of a workflow run automagik",
  parameters: DISCARD_PARAMETERS,
  about: { ...TARGET_ABOUT, confirm: "true only after the person agreed." },
  endpoint: "discard",
  instead: "Where the run's status names its branch, delete that with git in the repository.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
  answerParts: ["cleanup", "missing"],

  async handle(
    args: Arguments<(typeof DISCARD_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    const run = await readTarget(args, "newest", call, services);
    if ("outcome" in run) return run;
    if (!isFinal(run.status)) {
      return {
        outcome: "running",
        summary: `Nothing was sent: the ${nameRun(run)} is still ${run.status}. Wait for its end, or kill it first.`,
      };
    }
    const ended = await confirmWithPerson(
      {
        action: "discard",
        deed: `Throw away the worktree and the branch of ${await describeEnded(run, call, services)}`,
        detail: describeLoss(run),
        arguments: { run_id: run.runId },
        confirm: args.confirm,
      },
      call,
    );
    if (ended) return ended;
    try {
      const { removed, lost, kept, errors } = await services.api.discardWork(run.runId);
      await readAgain(run, call, services);
      const said = [
        removed.length > 0 ? `Thrown away: ${removed.join(", ")}.` : "Nothing was thrown away.",
        lost.length > 0 ? `Commits that were nowhere else: ${lost.join("; ")}.` : "",
        ...kept.map(asSentence),
        errors.length > 0 ? `Errors: ${asSentence(errors.join("; "))}` : "",
      ];
      return {
        outcome: errors.length > 0 ? "failed" : "ok",
        summary: said.filter(Boolean).join(" "),
        cleanup: { success: errors.length === 0, removed, errors },
      };
    } catch (error) {
      if (!(error instanceof ApiError) || !error.mayHaveActed) throw error;
      return {
        outcome: "unknown",
        summary: `It is unknown whether the work was thrown away. ${error.message}`,
      };
    }
  },
});

/** What would be gone, for the person who decides. */
function describeLoss(run: Run): string {
  const { work } = run;
  const lines = [
    ...(work ? listCommits(work) : []),
    work?.mergedInto ? `They are merged into ${work.mergedInto}, which stays.` : "",
    work?.uncommitted ? "Changes that are in no commit go too." : "",
    `By ${nameFurther(run)}`,
  ];
  return lines.filter(Boolean).join("\n");
}
