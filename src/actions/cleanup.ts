import { ApiError } from "../upstream/errors.js";
import { isFinal } from "../upstream/types.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { confirmWithPerson } from "./confirm.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { nameRun } from "./describe-run.js";
import { describeForConfirmation, readRun } from "./kill.js";
import { resolveTarget } from "./resolve-target.js";

const CLEANUP_PARAMETERS = ["run_id", "session_name", "session_id", "force", "confirm"] as const;

/** Removes what a run has left on the server, after the person agreed, and tells what was removed. */
export const cleanupAction = defineAction({
  name: "cleanup",
  toolName: "cleanup_run",
  title: "Clean up after a run",
  summary: "remove a run's workspace, after the person agreed.",
  description:
    "Removes what a run has left on the server (workspace, temporary files), after the person agreed (asked by a " +
    "form, or confirm: true where there are none), and tells what was removed.",
  parameters: CLEANUP_PARAMETERS,
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
  answerParts: ["cleanup", "missing"],

  async handle(
    args: Arguments<(typeof CLEANUP_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    const target = await resolveTarget(args, "newest", call, services);
    const run = await readRun(target.run, call, services);
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
    const ended = await confirmWithPerson(
      {
        action: "cleanup",
        deed: `Remove the workspace of ${describeForConfirmation(run)}${isFinal(run.status) ? "" : ", which is still going on"}`,
        arguments: { run_id: run.runId, ...(args.force ? { force: true } : {}) },
        confirm: args.confirm,
      },
      call,
    );
    if (ended) return ended;
    try {
      const report = await services.api.cleanupRun(run.runId, args.force === true);
      const removed = report.removed.length > 0 ? `Removed: ${report.removed.join(", ")}.` : "";
      const errors = report.errors.length > 0 ? `Errors: ${report.errors.join("; ")}.` : "";
      const nothing =
        report.removed.length === 0 && report.errors.length === 0 ? "There was nothing left to remove." : "";
      return {
        outcome: report.errors.length > 0 ? "failed" : "ok",
        summary: [`Cleaned up after ${nameRun(run)}.`, removed, errors, nothing].filter(Boolean).join(" "),
        cleanup: { success: report.success, removed: report.removed, errors: report.errors },
      };
    } catch (error) {
      if (!(error instanceof ApiError) || !error.mayHaveActed) throw error;
      return { outcome: "unknown", summary: `It is unknown whether the cleanup was done. ${error.message}` };
    }
  },
});
