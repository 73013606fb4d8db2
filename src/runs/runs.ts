import type { WorkflowsApi } from "../api/client.js";
import { createRunFollower, type RunFollower } from "./run-follower.js";
import { createRunReader, type RunReader } from "./run-reader.js";
import { createRunStarter, type RunStarter, type StartOptions } from "./run-starter.js";
import type { RunWatcher } from "./run-watcher.js";

/** Starting, following and reading runs. */
export interface Runs extends RunStarter, RunFollower, RunReader {}

/** Puts the three together over one client of the API and one watcher. */
export function createRuns(
  options: StartOptions & { api: Pick<WorkflowsApi, "getRun">; watcher: RunWatcher },
): Runs {
  return { ...createRunStarter(options), ...createRunFollower(options), ...createRunReader(options) };
}
