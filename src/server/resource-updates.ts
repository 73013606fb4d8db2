import type { Services } from "../actions/define-action.js";
import { bareRun } from "../runs/run-facts.js";
import { createFollowedPlans } from "./followed-plans.js";
import { runIdOf, runUri, SESSIONS_URI, WORKFLOWS_URI } from "./resources.js";
import { createPaced } from "./throttle-by-key.js";

/** At most two updates a second for each resource. */
const UPDATE_PAUSE_MS = 500;

/** What subscribers of resources are told of. */
export interface ResourceUpdates {
  /** The resource at this address has changed. */
  touch(uri: string): void;
  /**
   * What nobody waits for is watched for the sake of its subscriber.
   * @returns ends that; undefined where nothing has to be watched
   */
  watchFor(uri: string): (() => void) | undefined;
  close(): void;
}

/** @param tell called with the address of what has changed, at most twice a second for each */
export function createResourceUpdates(services: Services, tell: (uri: string) => void): ResourceUpdates {
  const { watcher, catalogue, sessions, plans, clock } = services;
  const updates = createPaced<string>(clock, UPDATE_PAUSE_MS, tell);
  const stopEvents = watcher.onEvent(({ type, run }) => {
    updates.touch(runUri(run.runId));
    if (type === "finished") updates.touch(`${runUri(run.runId)}/result`);
    if (type === "status" || type === "finished") updates.touch(SESSIONS_URI);
  });
  const stopSessions = sessions.onChange(() => updates.touch(SESSIONS_URI));
  const stopCatalogue = catalogue.onChange(() => updates.touch(WORKFLOWS_URI));
  const followed = createFollowedPlans({ plans, clock, onChange: (uri) => updates.touch(uri) });
  return {
    touch: (uri) => updates.touch(uri),
    watchFor(uri) {
      const runId = runIdOf(uri);
      if (runId === undefined) return followed.follow(uri);
      const watch = watcher.watch(watcher.latest(runId) ?? bareRun(runId), () => {});
      return () => watch.stop();
    },
    close() {
      stopEvents();
      stopSessions();
      stopCatalogue();
      followed.close();
      updates.close();
    },
  };
}
