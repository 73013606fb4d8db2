import { type Carrier, createCarrier } from "../../integrations/carrier.js";
import type { OpenedGithub } from "../../integrations/github/open-github.js";
import { addDelivery } from "../../integrations/outbox.js";
import { createSecrets } from "../../settings/secrets.js";
import { readSettings, type Settings } from "../../settings/settings.js";
import type { Clock } from "../../shared/clock.js";
import { createFindProxy } from "../../shared/http/proxy.js";
import type { Log } from "../../shared/log.js";
import type { RunPullRequest } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";
import type { WriteAlongside } from "../runs/write-changes.js";
import type { Engine } from "../types.js";
import type { ReviewableWorkspaces } from "../workspaces/workspaces.js";
import { createPullRequestTarget, type PullRequestPayload } from "./target.js";
import { watchPullRequests } from "./watch.js";

/** Opens the pull requests of runs, in the background: a service that is away delays none of them. */
export interface PullRequests {
  /** Notes what is to be opened in the transaction of what has happened. */
  write: WriteAlongside;
  /** Begins to open, also what a former engine has left. */
  begin(engine: {
    runs: Pick<RunStore, "get" | "all" | "ofSession" | "record" | "subscribe" | "keyPrefix">;
    workspaces: Pick<ReviewableWorkspaces, "publish">;
    /** The id of this engine, where several share a database. */
    workerId: string | undefined;
    /** Starts a run, as the engine does. */
    start: Engine["start"];
  }): void;
  /** GitHub, as the settings have it now. */
  github(): Promise<OpenedGithub>;
  change(settings: Partial<Settings>): void;
  close(): Promise<void>;
}

/** Its branch is where the worker is that has the session. */
function targetName(worker: string | undefined): string {
  return worker === undefined ? "pull_request" : `pull_request/${worker}`;
}

/**
 * What it needs is loaded with the first pull request.
 * @param options.openGithub stands in for GitHub, for tests
 */
export function createPullRequests(options: {
  stateFolder: string;
  shared?: { database: string } | undefined;
  settings: Partial<Settings>;
  env: NodeJS.ProcessEnv;
  home: string;
  onSecret?: ((secret: string) => void) | undefined;
  clock: Clock;
  log: Log;
  openGithub?: () => Promise<OpenedGithub>;
}): PullRequests {
  const { clock, log, env } = options;
  let settings = options.settings;
  let opened: Promise<OpenedGithub> | undefined;
  let carrier: Carrier | undefined;
  let stopWatching = async () => {};

  async function open(): Promise<OpenedGithub> {
    const { openGithub } = await import("../../integrations/github/open-github.js");
    const secrets = createSecrets({ ...options, settings });
    const { github: isOn, githubUrl } = { ...readSettings(), ...settings };
    const secret = secrets.has("githubToken")
      ? { read: () => secrets.read("githubToken"), forget: () => secrets.forget("githubToken") }
      : undefined;
    return openGithub({
      ...options,
      settings: { github: isOn, githubUrl },
      secret,
      // Who runs engines for others sets the token that they are to use.
      takesGh: options.shared === undefined,
      findProxy: createFindProxy(env),
    });
  }

  function github(): Promise<OpenedGithub> {
    opened ??= (options.openGithub ?? open)();
    return opened;
  }

  return {
    async write(trx, event, run) {
      const { runId, sessionId, pullRequest, worker } = run;
      if (pullRequest?.state !== "pending") return;
      if (event.type !== "ended" && event.type !== "pull-request-asked") return;
      const id = `${runId}/pull-request/${event.id}`;
      const target = targetName(worker);
      // What was asked for goes along: by then the run may have been asked for another branch.
      const asked = (event.data as Partial<PullRequestPayload>).asked ?? {};
      const payload: PullRequestPayload = { runId, asked };
      // One after the other: a branch is pushed to in the order of its runs.
      await addDelivery(trx, { id, target, kind: "pull_request", payload, lane: sessionId }, event.at);
    },

    begin({ runs, workspaces, workerId, start }) {
      const runsOf = (runId: string) => {
        const run = runs.get(runId);
        return run && { run, session: runs.ofSession(run.sessionId) };
      };
      const tools = { workspaces, runsOf, settings: () => settings, github, clock };
      const note = async (
        runId: string,
        { pullRequest, where }: { pullRequest: RunPullRequest; where?: string },
      ) => {
        const change = {
          type: "pull-request" as const,
          pullRequest,
          ...(where === undefined ? {} : { where }),
        };
        await runs.record(runId, change, "written");
      };
      const target = createPullRequestTarget({
        name: targetName(workerId),
        async deliver({ runId, asked }, how) {
          const { deliverPullRequest } = await import("./deliver.js");
          return deliverPullRequest(tools, runId, { ...how, asked });
        },
        find: (runId) => runs.get(runId),
        note,
      });
      const place = { folder: options.stateFolder, address: options.shared?.database };
      carrier = createCarrier({ ...place, targets: [target], clock, log });
      runs.subscribe(({ type }) => {
        if (type === "ended" || type === "pull-request-asked") carrier?.look();
      });
      carrier.look();
      stopWatching = watchPullRequests({
        ...{ runs, start, github, clock, log },
        isOn: () => settings.watchPullRequests === "on",
        isOwn: ({ worker }) => worker === workerId,
      });
    },

    github,

    change(changed) {
      settings = changed;
      opened = undefined;
      carrier?.look();
    },

    async close() {
      await stopWatching();
      await carrier?.close();
    },
  };
}
