import * as z from "zod";
import type { KillReport } from "../types.js";
import type { CleanupReport } from "../work-types.js";
import { compact, flag, line, lines, record, text } from "./fields.js";

export const killWire = z.looseObject({
  success: flag,
  kill_method: text,
  message: text,
  cleanup_status: record,
});
export const cleanupWire = z.looseObject({ success: flag, message: text, cleanup_details: record });

export function toKillReport(runId: string, wire: z.output<typeof killWire>): KillReport {
  return compact<KillReport>({
    runId,
    success: wire.success ?? true,
    method: line(wire.kill_method),
    processTerminated:
      typeof wire.cleanup_status?.process_terminated === "boolean"
        ? wire.cleanup_status.process_terminated
        : undefined,
    message: line(wire.message),
  });
}

/** What cleanup may have removed, in the wire's names and ours. */
const REMOVABLE: Record<string, string> = {
  workspace_removed: "workspace",
  temp_files_removed: "temporary files",
  git_worktree_removed: "git worktree",
  process_cleaned: "process",
};

export function toCleanupReport(runId: string, wire: z.output<typeof cleanupWire>): CleanupReport {
  const details = wire.cleanup_details ?? {};
  return compact<CleanupReport>({
    runId,
    success: wire.success ?? true,
    removed: Object.entries(REMOVABLE).flatMap(([key, name]) => (details[key] === true ? [name] : [])),
    workspacePath: line(details.workspace_path, 500),
    errors: lines(details.errors),
    note: line(details.note, 2_000),
    message: line(wire.message),
  });
}
