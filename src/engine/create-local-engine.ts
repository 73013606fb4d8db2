import { availableParallelism } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type Settings, tellingSettings } from "../settings/settings.js";
import type { Clock } from "../shared/clock.js";
import { resolveConfigFolder } from "../shared/config-folder.js";
import { isLoopback } from "../shared/http/loopback.js";
import type { Log } from "../shared/log.js";
import { resolvePackageFolder } from "../shared/package-folder.js";
import { ensurePrivateFolder } from "../shared/private-files.js";
import { listDatabaseFiles } from "../store/database-file.js";
import { listCommitFolders } from "./agent/acp/git-folders.js";
import { createAgentGuard } from "./agent/agent-guard.js";
import type { AgentKind } from "./agent/agent-kind.js";
import { AGENT_KINDS, configuredPath } from "./agent/agent-kinds.js";
import { sweepStartFiles } from "./agent/claude/start-files.js";
import { endLeftover } from "./agent/process-tree.js";
import { createCommands } from "./agent/run-command.js";
import { createEngine } from "./engine.js";
import type { EngineLimits } from "./engine-options.js";
import { createEngineApp } from "./http/app.js";
import { serveEngine } from "./http/serve.js";
import { createLiveAgents } from "./live-agents.js";
import { createLiveSandbox } from "./live-sandbox.js";
import { createRunPolicy } from "./permissions/run-policy.js";
import { createScriptConsents } from "./permissions/script-consents.js";
import { createPullRequests } from "./pull-requests/pull-requests.js";
import { noteIssueOfRun } from "./run-issue.js";
import { createRunNotices } from "./run-notices.js";
import { openRunStore } from "./runs/open-run-store.js";
import { pruneDaily } from "./runs/prune-daily.js";
import { hasEnded } from "./runs/run.js";
import type { WriteAlongside } from "./runs/write-changes.js";
import { DRAINS, openWorker, type SharedWork } from "./workers/open-worker.js";
import { seeSoleWorker } from "./workers/worker-sights.js";
import { createWorkflowLibrary } from "./workflows/workflow-library.js";
import { ALLOWED_FILE, createAllowedRepositories } from "./workspaces/allowed-repositories.js";
import { createWorkspaces } from "./workspaces/workspaces.js";

/** The settings of an engine. All of them may change while it runs. */
export type LocalEngineSettings = Pick<
  Settings,
  | "claudePath"
  | "engineConcurrency"
  | "engineCostLimitUsd"
  | "engineQuestionTimeoutS"
  | "engineCheckTimeoutS"
  | "engineAllowedFolders"
  | "enginePush"
  | "engineHooks"
  | "engineSandbox"
  | "engineAgentVariables"
> &
  Partial<Settings>;

export interface LocalEngineOptions {
  apiKey: string;
  host: string;
  /** 0 for any free one. */
  port: number;
  /** The product's state folder, where the database is. */
  stateFolder: string;
  /** The PostgreSQL database that it shares with other engines, as one of several workers. */
  shared?: SharedWork | undefined;
  /** The engine's own folder, which exists and is private; workspaces and handover notes go below it. */
  folder: string;
  /** The engine's folder for what no agent may read or write: its key, and what was allowed for good. */
  privateFolder: string;
  /** The kinds of agents; all that there are when left out. */
  kinds?: readonly AgentKind[];
  /** Called for every request. */
  touch?: () => void;
  /** Names under which others may call it, beside loopback's. */
  allowedHosts?: readonly string[];
  settings: LocalEngineSettings;
  /** Gets each secret of another service that is read, for the log never to show it. */
  onSecret?: ((secret: string) => void) | undefined;
  /** How long an agent that has given its result can be told something still, in ms; a second when left out. */
  lingerMs?: number;
  /**
   * The settings when they have changed since the last call, else undefined. Called before each request is answered, so
   * that a request of whoever has changed them finds them changed. Must not throw.
   */
  readChangedSettings?: () => Promise<LocalEngineSettings | undefined>;
  /** What agents and git get, without this product's own variables. */
  env: NodeJS.ProcessEnv;
  home: string;
  platform: NodeJS.Platform;
  clock: Clock;
  log: Log;
  version: string;
}

/** An engine that listens. */
export interface LocalEngine {
  url: string;
  /** Runs that are waiting or going on. */
  activeRuns(): number;
  /** A pull request is still to be opened here: its service may be away for hours. */
  opensPullRequests(): boolean;
  /** Open streams of events. */
  clients(): number;
  /** Looks whether the settings have changed. */
  refresh(): Promise<void>;
  /** Begins nothing more from now on. Resolves when nothing goes on any more. */
  drain(): Promise<void>;
  /** Ends the runs that go on, in an orderly way; they can be continued. @param why for the person */
  interrupt(why: string): Promise<void>;
  /** Ends runs in an orderly way, tells it to those who listen, and stops listening. */
  close(): Promise<void>;
}

/** Whether people or other services are told in another way. */
function tellsOtherwise(changed: Partial<Settings>, former: Partial<Settings>): boolean {
  return tellingSettings.some((name) => !isDeepStrictEqual(changed[name], former[name]));
}

/**
 * Puts the engine together, opens it, and listens.
 * @throws an Error worded for a person when a folder cannot be used, and the system's when the port cannot be had;
 * nothing is left open then
 */
export async function createLocalEngine(options: LocalEngineOptions): Promise<LocalEngine> {
  const { folder, env, home, platform, clock, log, version } = options;
  let { settings } = options;
  const sandbox = createLiveSandbox({ env, platform, log });
  await sandbox.follow(settings.engineSandbox);
  const lacking = sandbox.problem();
  if (lacking !== undefined) throw new Error(lacking);
  await ensurePrivateFolder(options.privateFolder);
  const guard = createAgentGuard(platform);
  const notices = createRunNotices(options);
  const pullRequests = createPullRequests(options);
  const alongside: WriteAlongside = async (trx, event, run) => {
    await notices.write(trx, event, run);
    await noteIssueOfRun(trx, event, run);
    await pullRequests.write(trx, event, run);
  };
  const concurrency = () => settings.engineConcurrency ?? availableParallelism();
  const limits: EngineLimits = {
    get concurrency() {
      return concurrency();
    },
    get questionTimeoutMs() {
      return settings.engineQuestionTimeoutS * 1000;
    },
    lingerMs: options.lingerMs,
    get costLimitUsd() {
      return settings.engineCostLimitUsd;
    },
    get resumeOnce() {
      return settings.engineResume === "once";
    },
    get costLimitPerDayUsd() {
      return settings.engineCostLimitPerDayUsd;
    },
    get costLimitPerDayAndCallerUsd() {
      return settings.engineCostLimitPerDayAndCallerUsd;
    },
  };
  const { shared } = options;
  const own = { places: concurrency, limits, alongside };
  const opened = shared && (await openWorker({ ...options, shared, ...own }));
  const runs = opened?.runs ?? (await openRunStore({ ...options, alongside }));
  const configFolder = resolveConfigFolder({ env, platform, home });
  const allowedFile = join(configFolder, ALLOWED_FILE);
  const allowedRepositories = createAllowedRepositories({ file: allowedFile, now: () => clock.now() });
  const library = createWorkflowLibrary({
    shippedFolder: resolvePackageFolder("workflows"),
    ownFolder: join(configFolder, "workflows"),
    clock,
    onProblem: ({ name, message }) => log.warn(`Workflow ${name}: ${message}`),
  });
  const workspaces = createWorkspaces({
    folder: join(folder, "workspaces"),
    get allowedFolders() {
      return settings.engineAllowedFolders ?? [];
    },
    allowedRepositories,
    get pushAllowed() {
      return settings.enginePush === "on";
    },
    sessionInUse: (sessionKey) => runs.ofSession(sessionKey).some((run) => !hasEnded(run)),
    get checkTimeoutMs() {
      return settings.engineCheckTimeoutS * 1000;
    },
    commands: createCommands({
      env,
      clock,
      get passed() {
        return settings.engineAgentVariables ?? [];
      },
    }),
    env,
    clock,
  });
  // Earlier versions have their key in the engine's own folder. A database may be set aside while the engine runs.
  const listPrivatePaths = () => [
    options.privateFolder,
    join(folder, "key"),
    allowedFile,
    ...listDatabaseFiles(options.stateFolder),
    ...(shared?.databaseFile ? [shared.databaseFile] : []),
  ];
  const agents = createLiveAgents({
    kinds: options.kinds ?? AGENT_KINDS,
    settings: {
      configured: (kind) => configuredPath(kind, settings),
      get personHooks() {
        return settings.engineHooks === "on";
      },
      get limitsCost() {
        const { costLimitUsd, costLimitPerDayUsd, costLimitPerDayAndCallerUsd } = limits;
        return [costLimitUsd, costLimitPerDayUsd, costLimitPerDayAndCallerUsd].some(
          (usd) => usd !== undefined,
        );
      },
      get passedVariables() {
        return settings.engineAgentVariables ?? [];
      },
    },
    ...{ sandbox, guard, listPrivatePaths, env, platform, clock },
  });
  const consents = createScriptConsents({
    file: join(options.privateFolder, "permissions.json"),
    now: () => clock.now(),
  });
  const engine = createEngine({
    runs,
    worker: opened && { ...opened.worker, workspaces },
    workspaces,
    library,
    agents,
    async prepareHandover(sessionId) {
      const own = join(folder, "handovers", sessionId);
      await ensurePrivateFolder(own);
      return join(own, "handover.md");
    },
    policyFor: (workflow, workspace, { capabilities }) =>
      createRunPolicy({
        facts: {
          allowedTools: workflow.allowedTools,
          workspace: workspace.path,
          privateFolders: listPrivatePaths(),
          ...(capabilities.rules === "asked"
            ? { judgesRules: true, writesGit: listCommitFolders(workspace.path).length > 0 }
            : {}),
        },
        consents,
        repository: workspace.repositoryUrl,
        sandboxed: capabilities.sandbox && sandbox.wanted(),
      }),
    limits,
    github: pullRequests.github,
    env,
    clock,
    log,
    endLeftover: (identity) => endLeftover(identity, clock),
  });
  let refreshed = Promise.resolve();
  // Never together with an earlier look, which may have been before the change.
  function refresh(): Promise<void> {
    refreshed = refreshed.then(takeChanges).catch((error: Error) => {
      log.error(`Changed settings could not be taken over: ${error.message}`);
    });
    return refreshed;
  }

  async function takeChanges(): Promise<void> {
    const former = settings;
    const changed = await options.readChangedSettings?.();
    if (!changed) return;
    if (changed.engineSandbox !== former.engineSandbox) await sandbox.follow(changed.engineSandbox);
    settings = changed;
    if (tellsOtherwise(changed, former)) notices.change(changed);
    pullRequests.change(changed);
    engine.limitsChanged();
  }

  try {
    await workspaces
      .open()
      .catch((error: Error) => log.warn(`Workspaces could not be looked at: ${error.message}`));
    await engine.open();
    sweepStartFiles();
    const stopPruning = await pruneDaily(runs, clock, log);
    notices.tell(runs);
    pullRequests.begin({ runs, workspaces, workerId: opened?.worker.id, start: engine.start });
    const joined = await opened?.join(engine);
    const { app, clients } = createEngineApp({
      engine: joined?.engine ?? engine,
      runs,
      keyPrefix: runs.keyPrefix,
      // A repository of one machine is none that others could work on.
      ...(isLoopback(options.host) && !joined
        ? { repositories: { runs, workspaces, allowedRepositories } }
        : {}),
      library,
      apiKey: options.apiKey,
      agents,
      ...(options.touch ? { onRequest: options.touch } : {}),
      async beforeRequest() {
        await Promise.all([refresh(), runs.refresh()]);
      },
      ...(options.allowedHosts ? { allowedHosts: options.allowedHosts } : {}),
      workers: joined?.see ?? (() => seeSoleWorker(engine, { runs, places: concurrency })),
      ready: joined?.ready ?? (async () => (engine.isDraining() ? DRAINS : undefined)),
      clock,
      log,
      version,
    });
    const served = await serveEngine({ app, host: options.host, port: options.port });
    return {
      url: served.url,
      activeRuns: () => engine.activeRuns(),
      opensPullRequests: () =>
        runs
          .all()
          .some(
            ({ pullRequest, worker }) => pullRequest?.state === "pending" && worker === opened?.worker.id,
          ),
      clients,
      refresh,
      async drain() {
        await Promise.all([joined?.workers.drain(), engine.drain()]);
      },
      interrupt: (why) => engine.interruptAll(why),
      async close() {
        stopPruning();
        // In this order, so that those who listen hear how their runs have ended.
        await engine.close();
        guard.close();
        await served.close();
        await Promise.all([notices.close(), pullRequests.close()]);
      },
    };
  } catch (error) {
    await engine.close();
    guard.close();
    await notices.close();
    throw error;
  }
}
