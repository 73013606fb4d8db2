import type { Services } from "../actions/define-action.js";
import { createFigureChoices } from "../actions/figure-choice.js";
import { createClaimedDecisions } from "../actions/plans/claimed-decisions.js";
import type { Connection } from "../api/call.js";
import { createCapabilities } from "../api/capabilities.js";
import { createApiClient, type WorkflowsApi } from "../api/client.js";
import { LEAST_STALL_MS, stallAfter } from "../history/expect.js";
import { createElsewhere } from "../integrations/elsewhere.js";
import { createOutboxReader } from "../integrations/outbox-reader.js";
import type { Counters, Monitoring } from "../monitoring/monitoring.js";
import type { Notifier } from "../notices/notifier.js";
import {
  createNoPlans,
  createPlansAccess,
  createSharedPlansAccess,
  type PlansAccess,
} from "../plan-runner/plans-access.js";
import { openLazily } from "../plan-templates/templates.js";
import { createClaimedQuestions } from "../runs/claimed-questions.js";
import { createRunIssues } from "../runs/run-issues.js";
import { createRunList } from "../runs/run-list.js";
import { createRunNotices } from "../runs/run-notices.js";
import { keepStreamOpen } from "../runs/run-stream.js";
import { createRunWatcher } from "../runs/run-watcher.js";
import { createRuns } from "../runs/runs.js";
import { createSlotTracker } from "../runs/slot-tracker.js";
import { createStartLimiter, type StartLimiter } from "../runs/start-limiter.js";
import { createSessions } from "../sessions/sessions.js";
import { createMemorySessionStore } from "../sessions/store/memory-session-store.js";
import type { SessionStore } from "../sessions/store/session-store.js";
import { planLimitsOf } from "../settings/plan-settings.js";
import type { Secrets } from "../settings/secrets.js";
import type { Settings } from "../settings/settings.js";
import { hasSharedDatabase } from "../settings/shared-database.js";
import { type Clock, systemClock } from "../shared/clock.js";
import { createGit } from "../shared/git/git.js";
import type { Log } from "../shared/log.js";
import { createDatabaseCheck, type Unready } from "../store/database-check.js";
import type { StorePlace } from "../store/open-store.js";
import { createCatalogue } from "../workflows/catalogue.js";
import { createRouting } from "../workflows/routing.js";
import { limitGit, limitHosts, NO_REDIRECTS } from "./http/limit-git.js";

/** What the services are made of. */
export interface ServiceOptions {
  settings: Settings;
  log: Log;
  /** Finds an API whose address is not in the settings: the engine of this machine. */
  locate?: (() => Promise<Connection>) | undefined;
  /** What a person is told with a start of settings that hold in place of this server's; undefined for nothing new. */
  tellOtherSettings?: (() => Promise<string | undefined>) | undefined;
  /** Stands in for the client of the API: what one that is not running has stored. */
  api?: WorkflowsApi;
  /** The only caller whose runs are seen, by its id; all are when left out. */
  caller?: string | undefined;
  /** What to do when the API refuses the key, where it is not the one of the settings. */
  refusedKeyAdvice?: string;
  /** Told with each answer whether the API takes the key. Must not throw. */
  onKey?: ((isTaken: boolean) => void) | undefined;
  /** Begins to ask people by other services, where this process carries plans out. */
  openAnswers?: ((services: Services) => Promise<{ close(): Promise<void> } | undefined>) | undefined;
  /** Told of each run that was started here; what it does is waited for before closing. Must not throw or reject. */
  onRunStarted?: (() => Promise<void>) | undefined;
  /** Counts for operators what is done. */
  counters?: Counters | undefined;
  /** Tells operators of the runs and plans of these services, and is closed together with them. */
  monitoring?: Pick<Monitoring, "watch" | "close"> | undefined;
  /** Where sessions are remembered; in memory when left out. */
  store?: SessionStore;
  /**
   * Where plans are kept, in the state folder or in the PostgreSQL database at an address, and who carries them out: this
   * process, unless `findDriver` finds or starts another one.
   */
  plans?: (StorePlace & { upstream: string; findDriver?: () => Promise<void> }) | undefined;
  /** Whose outbox those who call may see; no one's when left out. */
  outbox?: StorePlace | undefined;
  /** The folder of the person's own templates of plans, and where agreements to a repository's are kept. */
  templates?: { ownFolder?: string; stateFolder?: string };
  /** The queue of starts, where servers share one; by default one of this server's own. */
  startLimiter?: StartLimiter;
  clock?: Clock;
  /** 0…1, for the jitter of retries. */
  random?: () => number;
  /** The environment that git gets. */
  env?: Record<string, string | undefined>;
  /** Client and server share a machine (stdio), so the client's folders may be looked at. */
  sharesMachine?: boolean;
  /** Folders in which the server stands for a client that names none; looked at where they share a machine. */
  ownFolders?: readonly string[];
  /** The person's home folder, for `~`. */
  home?: string;
  /** The only hosts whose repositories are looked at for their branches; any when left out. */
  gitHosts?: readonly string[];
  /** The keys of other services; none when left out. */
  secrets?: Secrets | undefined;
  /** Gets each secret that is found in another way, for the log never to show it. Must not throw. */
  onSecret?: ((secret: string) => void) | undefined;
  /** How long serving may wait for the first list of workflows, in ms. */
  discoveryBudgetMs?: number;
  /** Tells the person of runs that no call follows; nobody when left out. It is closed together with the services. */
  notifier?: Notifier | undefined;
  /** After this long without any change a run is reported as stalled at the soonest, in ms; five minutes unless told. */
  stallAfterMs?: number;
}

/** The services of one server, from the first look at the API to the last. */
export interface ServiceHost {
  services: Services;
  /** Reads the list of workflows and what the API says of itself, once; resolves when that is done, within a budget. */
  discover(): Promise<void>;
  /** The same for the list of workflows alone. */
  listWorkflows(): Promise<void>;
  /** Why runs cannot be started right now; undefined when they can. Asks the API and the database when needed. */
  checkReadiness(): Promise<Unready | undefined>;
  /** Stops everything. Runs go on. */
  close(): Promise<void>;
}

/** Discovery may hold back serving for this long: some clients give up on a server after ten seconds. */
const DISCOVERY_BUDGET_MS = 3_000;
/** Readiness is asked every few seconds by whatever balances load; the API need not be each time. */
const READINESS_TTL_MS = 5_000;
const API_AWAY = "The workflows API is not available.";

/** Puts the services together. Nothing is sent and nothing is read before they are asked to. */
export function createServices(options: ServiceOptions): ServiceHost {
  const { settings, log, clock = systemClock, stallAfterMs = LEAST_STALL_MS } = options;
  const api =
    options.api ??
    createApiClient({
      baseUrl: settings.baseUrl,
      apiKey: settings.apiKey,
      requestTimeoutMs: settings.requestTimeoutS * 1000,
      maxRetries: settings.maxRetries,
      clock,
      random: options.random ?? Math.random,
      locate: options.locate,
      caller: options.caller,
      refusedKeyAdvice: options.refusedKeyAdvice,
      onKey: options.onKey,
      onAnswered: options.counters?.answered,
      env: options.env,
    });
  const capabilities = createCapabilities({ api, clock, log });
  const catalogue = createCatalogue({
    api,
    clock,
    log,
    refreshIntervalMs: settings.refreshIntervalS * 1000,
    onReading: () => void capabilities.refresh(),
  });
  const watcher = createRunWatcher({
    api,
    clock,
    log,
    listen: (signal, listener) => keepStreamOpen({ api, capabilities, clock, log }, signal, listener),
    pollingIntervalMs: settings.pollingIntervalS * 1000,
    perSecond: settings.pollingRate,
    stallAfterMs,
    stallAfter: ({ workflowName, repositoryUrl, message, messageStart }) => {
      const past = sessions.history.known();
      return stallAfter(past.expect(workflowName, repositoryUrl, message ?? messageStart), stallAfterMs);
    },
  });
  const store = options.store ?? createMemorySessionStore();
  const sessions = createSessions({
    ...{ store, runList: createRunList({ api, clock }), watcher, clock, log },
    remembersTasks: !hasSharedDatabase(settings),
  });
  const findRouter = createRouting({ catalogue, history: sessions.history });
  const notices = createRunNotices({
    watcher,
    notifier: options.notifier,
    isNotedElsewhere: settings.engine === "local",
    clock,
  });
  const issues = createRunIssues({
    watcher,
    notifier: options.notifier,
    isToldElsewhere: () => settings.engine === "local" || capabilities.takesIssue(),
    clock,
  });
  const stopped = new AbortController();
  let afterStart: Promise<void> | undefined;
  const runs = createRuns({
    api,
    watcher,
    clock,
    stopped: stopped.signal,
    keys: capabilities,
    onStarted(run, request) {
      notices.began(run);
      afterStart = options.onRunStarted?.();
      issues.began(run, request);
      return sessions.started(run, request);
    },
  });
  const startLimiter =
    options.startLimiter ?? createStartLimiter({ limit: settings.maxConcurrentRuns, clock });
  const slotTracker = createSlotTracker({ watcher, startLimiter, clock });
  const gitEnv = { ...options.env, ...(options.gitHosts ? NO_REDIRECTS : {}) };
  const anyGit = createGit({ env: gitEnv });
  const git = options.gitHosts ? limitGit(anyGit, options.gitHosts) : anyGit;
  const plans = accessPlans();
  const templates = openLazily(async () => {
    const { openTemplates } = await import("../plan-templates/open-templates.js");
    return openTemplates({
      ownFolder: options.templates?.ownFolder,
      stateFolder: options.templates?.stateFolder,
      offers: (workflow) => catalogue.find(workflow) !== undefined,
      // Folders are looked at for who is on this machine, and where runs can work in them.
      readsFolders: options.sharesMachine !== false && settings.engine === "local",
      allows: options.gitHosts && limitHosts(options.gitHosts),
      env: gitEnv,
      clock,
    });
  });
  const services: Services = {
    settings,
    api,
    catalogue,
    findRouter,
    capabilities,
    watcher,
    runs,
    startLimiter,
    slotTracker,
    sessions,
    git,
    clock,
    claimedQuestions: createClaimedQuestions(watcher),
    claimedDecisions: createClaimedDecisions(),
    notices: {
      ...notices,
      saw(run) {
        notices.saw(run);
        issues.saw(run);
      },
    },
    // Of several people behind one server none finds in the form what another has chosen.
    figureChoices: createFigureChoices(options.sharesMachine ? options.templates?.stateFolder : undefined),
    plans,
    templates,
    elsewhere: createElsewhere({
      ...{
        settings,
        clock,
        log,
        secrets: options.secrets,
        env: options.env ?? {},
        onSecret: options.onSecret,
      },
      sharesMachine: options.sharesMachine ?? false,
      stateFolder: options.sharesMachine ? options.templates?.stateFolder : undefined,
    }),
    outbox: options.outbox && createOutboxReader(options.outbox),
    sharesMachine: options.sharesMachine ?? false,
    ownFolders: options.ownFolders ?? [],
    home: options.home,
    // They name folders of this machine, which are nothing for a caller elsewhere.
    tellOtherSettings: (options.sharesMachine && options.tellOtherSettings) || (async () => undefined),
  };

  options.monitoring?.watch(services);

  /** What it needs is loaded with the first plan. */
  function accessPlans(): PlansAccess {
    const { plans: place } = options;
    if (!place)
      return createNoPlans(
        "Plans need a state folder of this server's own, and it has none. Nothing was begun.",
      );
    async function load() {
      const { openPlans } = await import("../plan-runner/open-plans.js");
      return openPlans({
        ...(place as NonNullable<typeof place>),
        ...{ api, runs, watcher, capabilities, clock, log, notifier: options.notifier },
        defaults: {
          inputFormat: settings.inputFormat,
          maxTurns: settings.maxTurns,
          timeoutS: settings.timeoutS,
          // Plans of earlier versions do not know it.
          ...(settings.userId ? { userId: settings.userId } : {}),
        },
        onFound: (run, request) => sessions.started(run, request),
        workflows: () => {
          const { available, workflows } = catalogue.state();
          return available ? workflows : undefined;
        },
        findRouter,
        history: async (workflow, repository) => {
          const { turns, seconds, costUsd } = (await sessions.history.read()).expect(workflow, repository);
          const known = { turns: turns?.median, durationS: seconds?.median, costUsd: costUsd?.median };
          const most = { turns: turns?.p90, durationS: seconds?.p90, costUsd: costUsd?.p90 };
          return { ...known, most, n: turns?.n };
        },
        limits: planLimitsOf(settings),
        agreeAbove: { runs: settings.planAskAboveRuns, costUsd: settings.planAskAboveUsd },
      });
    }
    const onProblem = (message: string) => log.warn(message);
    if (place.address === undefined) return createPlansAccess({ folder: place.folder, load, onProblem });
    return createSharedPlansAccess({ load, carriesOut: !place.findDriver, clock, onProblem });
  }

  let discovery: { listed: Promise<void>; all: Promise<void> } | undefined;
  let checkedAt = Number.NEGATIVE_INFINITY;
  const checkDatabase = createDatabaseCheck(store.reach, clock);

  async function checkApi(): Promise<string | undefined> {
    await discoverOnce().all;
    const { available, problem } = catalogue.state();
    // An engine on this machine is started when a run needs it, not for the sake of an answer to this.
    if (!options.locate && clock.elapsed() - checkedAt >= READINESS_TTL_MS) {
      checkedAt = clock.elapsed();
      await catalogue.refresh();
      return catalogue.state().problem;
    }
    return available ? problem : (problem ?? "The list of workflows has not been read yet.");
  }

  function discoverOnce(): { listed: Promise<void>; all: Promise<void> } {
    if (!discovery) {
      const budgetMs = options.discoveryBudgetMs ?? DISCOVERY_BUDGET_MS;
      const listed = catalogue.start(budgetMs);
      discovery = { listed, all: Promise.all([listed, capabilities.start(budgetMs)]).then(() => {}) };
      if (api.hasKey) watcher.start();
    }
    return discovery;
  }

  return {
    services,
    discover: () => discoverOnce().all,
    listWorkflows: () => discoverOnce().listed,
    async checkReadiness() {
      const [database, reason] = await Promise.all([checkDatabase(), checkApi()]);
      return database ?? (reason === undefined ? undefined : { reason, brief: API_AWAY });
    },
    async close() {
      await afterStart;
      // It looks at them once more.
      await options.monitoring?.close();
      await plans.close();
      stopped.abort();
      catalogue.close();
      slotTracker.close();
      await sessions.close();
      capabilities.close();
      watcher.close();
      await options.notifier?.close();
      await api.close();
    },
  };
}
