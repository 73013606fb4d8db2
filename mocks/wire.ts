import { randomUUID } from "node:crypto";
import { killWords } from "./conduct.js";
import type { Profile, QueueState, RunPage, RunState, TakeReport, WorkflowSeed } from "./types.js";
import { automagikRunRow, automagikStatus } from "./wire-automagik.js";
import { contractRunRow, contractStatus, diffAnswer, headAnswer, takenAnswer } from "./wire-contract.js";
import { cleanupDetails, naive, offset } from "./wire-parts.js";

// The recorded server's own durations; nothing here takes time.
const DURATION_MS = 2;

/** Puts the world's states into the words of one profile's answers. */
export function createWire(profile: Profile) {
  const time = profile === "contract" ? offset : naive;
  return {
    time,
    status: profile === "contract" ? contractStatus : automagikStatus,

    started(state: RunState) {
      const refused = state.status === "failed";
      // The public server echoes the requested session or makes an id up that it stores nowhere.
      const session =
        profile === "contract" ? state.sessionId : (state.body.session_id ?? (randomUUID() as string));
      return {
        run_id: state.runId,
        status: state.status,
        message: refused
          ? `Failed to start ${state.workflowName} workflow: ${state.error}`
          : `Started ${state.workflowName} workflow. Use the status endpoint to track progress.`,
        session_id: session,
        workflow_name: state.workflowName,
        started_at: time(state.startedAt),
        auto_commit_sha: null,
      };
    },

    runs(page: RunPage) {
      return {
        runs: page.runs.map((run) => (profile === "contract" ? contractRunRow(run) : automagikRunRow(run))),
        total_count: page.total,
        page: page.page,
        page_size: page.pageSize,
        has_next: page.hasNext,
      };
    },

    queue(runId: string, queue: QueueState, now: number) {
      const oldest = queue.waiting[0];
      return {
        run_id: runId,
        current_size: queue.waiting.length,
        total_added: queue.added,
        total_consumed: queue.consumed,
        oldest_message_age: oldest === undefined ? null : (now - oldest.at) / 1000,
      };
    },

    killed(state: RunState, force: boolean, now: number) {
      return {
        success: true,
        run_id: state.runId,
        workflow_name: state.workflowName,
        killed_at: time(now),
        kill_method: force ? "force" : "graceful",
        kill_duration_ms: DURATION_MS,
        cleanup_status: { session_updated: true, audit_logged: true, process_terminated: true },
        message: `Workflow ${state.workflowName} (${killWords(force)}) in 0.00s`,
      };
    },

    cleanedUp(state: RunState, now: number) {
      const removed = state.cleanup?.removed ?? false;
      // The public server calls it an error when there is nothing left to remove.
      const success = profile === "contract" || removed;
      return {
        success,
        run_id: state.runId,
        workflow_name: state.workflowName,
        cleanup_time: time(now),
        cleanup_duration_ms: DURATION_MS,
        cleanup_details: cleanupDetails(state),
        message: `Workspace cleanup completed ${success ? "successfully" : "with errors"} in 0.00s`,
      };
    },

    diff: diffAnswer,
    head: headAnswer,
    taken: (runId: string, report: TakeReport) => takenAnswer(runId, report),

    manage: (seeds: WorkflowSeed[]) =>
      seeds.map((seed) => ({
        name: seed.name,
        description: seed.description,
        path: `/workflows/${seed.name}`,
        valid: true,
        icon: seed.icon ?? "Bot",
        mainColour: seed.mainColour ?? "#3B82F6",
        displayName: seed.displayName ?? seed.name,
        category: seed.category ?? "custom",
        capabilities: seed.capabilities ?? [],
        emoji: seed.emoji ?? "🤖",
        maxTurns: seed.maxTurns ?? null,
        suggestedTurns: seed.suggestedTurns ?? 50,
      })),

    /** The older servers' list. */
    workflows: (seeds: WorkflowSeed[]) =>
      seeds.map(({ name, description }) => ({ name, description, path: `/workflows/${name}`, valid: true })),

    health(seeds: WorkflowSeed[], now: number) {
      const names = seeds.map((seed) => seed.name);
      // The public server lists a folder that it then refuses to run.
      if (profile === "automagik-0.6") names.push("claude");
      return {
        status: "healthy",
        timestamp: time(now),
        agent_available: true,
        workflows: Object.fromEntries(names.map((name) => [name, true])),
        container_manager: false,
        feature_enabled: true,
        claude_cli_path: "SDK Executor (Post-Migration)",
      };
    },

    rootHealth: (now: number) => ({
      status: "healthy",
      timestamp: time(now),
      version: profile === "contract" ? "1.0.0" : "0.6.19",
      environment: "development",
    }),
  };
}
