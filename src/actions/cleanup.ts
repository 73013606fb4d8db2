import { ApiError } from "../api/errors.js";
import { isFinal } from "../api/types.js";
import { asSentence } from "../shared/text.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { nameFurther, nameRun } from "./describe-run.js";
import { confirmWithPerson } from "./forms/confirm.js";
import { describeEnded, describeForConfirmation, readTarget } from "./read-run.js";
import { TARGET_ABOUT } from "./resolve-target.js";

const CLEANUP_PARAMETERS = ["run_id", "session_name", "session_id", "force", "confirm"] as const;

/** Removes what a run has left on the server, after the person agreed, and tells what was removed. */
export const cleanupAction = defineAction({
  name: "cleanup",
  toolName: "cleanup_run",
  title: "Clean up after a run",
  summary: "remove a run's workspace, after the person agreed.",
  description:
    "Removes what a run has left on the server (workspace, temporary files), after the person agreed (by a form, " +
    "else confirm: true), and tells what was removed.",
  searchHint: "remove delete workspace worktree of a workflow run automagik",
  parameters: CLEANUP_PARAMETERS,
  about: {
    ...TARGET_ABOUT,
    force: "Clean up even while the run goes on.",
    confirm: "true only after the person agreed to the cleanup.",
  },
  endpoint: "cleanup",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
  answerParts: ["cleanup", "missing"],

  async handle(
    args: Arguments<(typeof CLEANUP_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    const run = await readTarget(args, "newest", call, services);
    if ("outcome" in run) return run;
    if (!isFinal(run.status) && !args.force) {
      return {
        outcome: "running",
        summary: `Nothing was sent: the ${nameRun(run)} is still ${run.status}. Wait for its end, kill it first, or use force.`,
        next: {
          action: "kill",
          arguments: { run_id: run.runId },
          reason: "Only if the person wants to end the run.",
        },
      };
    }
    const described = isFinal(run.status)
      ? await describeEnded(run, call, services)
      : `${describeForConfirmation(run)}, which is still going on`;
    const ended = await confirmWithPerson(
      {
        action: "cleanup",
        deed: `Remove the workspace of ${described}`,
        detail: `By ${nameFurther(run)}`,
        arguments: { run_id: run.runId, ...(args.force ? { force: true } : {}) },
        confirm: args.confirm,
      },
      call,
    );
    if (ended) return ended;
    try {
      const report = await services.api.cleanupRun(run.runId, args.force === true);
      const said = [
        report.removed.length > 0
          ? `Cleaned up after ${nameRun(run)}. Removed: ${report.removed.join(", ")}.`
          : `Nothing of ${nameRun(run)} was removed${report.errors.length > 0 ? "." : ": there was nothing left to remove."}`,
        report.note ?? "",
        report.errors.length > 0 ? `Errors: ${asSentence(report.errors.join("; "))}` : "",
        !report.success && report.removed.length > 0 ? "The API did not report success." : "",
      ];
      return {
        outcome: report.errors.length > 0 ? "failed" : "ok",
        summary: said.filter(Boolean).join(" "),
        cleanup: { success: report.success, removed: report.removed, errors: report.errors },
      };
    } catch (error) {
      if (!(error instanceof ApiError) || !error.mayHaveActed) throw error;
      return { outcome: "unknown", summary: `It is unknown whether the cleanup was done. ${error.message}` };
    }
  },
});
