import type { RunState } from "./types.js";

/** A moment as the contract writes it: UTC, marked so. */
export function offset(ms: number): string {
  return new Date(ms).toISOString();
}

/** A moment as the public server writes it: UTC with microseconds and without saying that it is UTC. */
export function naive(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000");
}

/** What a cleanup found, also kept in the public server's debug metadata. */
export function cleanupDetails(state: RunState) {
  const removed = state.cleanup?.removed ?? false;
  return {
    workspace_removed: removed,
    temp_files_removed: false,
    git_worktree_removed: false,
    process_cleaned: false,
    workspace_path: removed ? state.workspacePath : null,
    errors: [],
  };
}
