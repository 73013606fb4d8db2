import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { FastMCP } from "fastmcp";
import type { Services } from "../actions/define-action.js";
import { actions } from "../actions/index.js";
import type { Connection } from "../api/call.js";
import { createOffer } from "../api/capabilities.js";
import { createUpstream } from "../api/client.js";
import { createQuestionsInHand } from "../runs/questions-in-hand.js";
import { createRunList } from "../runs/run-list.js";
import { keepStreamOpen } from "../runs/run-stream.js";
import { createRunWatcher } from "../runs/run-watcher.js";
import { createRuns } from "../runs/runs.js";
import { createPlaceKeeper } from "../runs/slot-tracker.js";
import { createStartLine, type StartLine } from "../runs/start-limiter.js";
import { createSessions } from "../sessions/sessions.js";
import { createMemorySessionStore } from "../sessions/store/memory-session-store.js";
import type { SessionStore } from "../sessions/store/session-store.js";
import type { Settings } from "../settings/settings.js";
import { type Clock, systemClock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import { createGit } from "../shared/git/git.js";
import type { Log } from "../shared/log.js";
import { VERSION } from "../shared/version.js";
import { createCatalogue } from "../workflows/catalogue.js";
import { createComplete } from "./completions.js";
import { withoutContents } from "./fastmcp/log-lines.js";
import { publishPrompts } from "./fastmcp/publish-prompts.js";
import { publishResources } from "./fastmcp/publish-resources.js";
import { publishTools } from "./fastmcp/publish-tools.js";
import { createCallDesk } from "./fastmcp/serve-call.js";
import { holdToolLists, installSessionHook, prepareGreeting } from "./fastmcp/session-hook.js";
import { createStdioTransport, type Streams } from "./fastmcp/stdio-transport.js";
import { limitGit, NO_REDIRECTS } from "./http/limit-git.js";
import { writeInstructions } from "./tools/instructions.js";
import { buildTools, projectSteps } from "./tools/registry.js";

export interface ServerOptions {
  settings: Settings;
  log: Log;
  /** Finds an API whose address is not in the settings: the engine of this machine. */
  locate?: (() => Promise<Connection>) | undefined;
  /** What to do when the API refuses the key, where it is not the one of the settings. */
  refusedKeyAdvice?: string;
  /** Where sessions are remembered; in memory when left out. */
  store?: SessionStore;
  /** The line of starts, where servers share one; by default one of this server's own. */
  startLine?: StartLine;
  clock?: Clock;
  /** 0…1, for the jitter of retries. */
  random?: () => number;
  /** The environment that git gets. */
  env?: Record<string, string | undefined>;
  /** Client and server share a machine (stdio), so the client's folders may be looked at. */
  sharesMachine?: boolean;
  /** The only hosts whose repositories are looked at for their branches; any when left out. */
  gitHosts?: readonly string[];
  /** How long serving may wait for the first list of workflows, in ms. */
  discoveryBudgetMs?: number;
  /** After this long without any change a run is reported as stalled, in ms. */
  stallAfterMs?: number;
}

export interface WorkflowsServer {
  /**
   * Serves one client over two streams; the first list of tools waits for the list of workflows, within its budget.
   * When the client sends no more, what it has sent is answered, and the session ends.
   */
  serveStdio(streams: Streams): Promise<void>;
  /** The same for one session over any transport of the SDK. */
  connect(transport: Transport): Promise<void>;
  /** Called when the last session of a stdio server has gone. */
  onIdle(listener: () => void): void;
  /** Why runs cannot be started right now, worded for a person; undefined when they can. Asks the API when needed. */
  checkReadiness(): Promise<string | undefined>;
  /** Makes every call in flight answer now; resolves when they have, or after `graceMs`. */
  drain(graceMs: number): Promise<void>;
  /** Answers the calls in flight within `graceMs`, then stops everything. Runs go on. */
  close(graceMs?: number): Promise<void>;
}

/** A client that sends no more is mostly gone: what it has asked is answered within this, in ms, as usual … */
const END_GRACE_MS = 1_000;
/** … then calls are told to end, for which a start under way needs most of this … */
const END_STOP_MS = 1_800;
/** … and a list of tools may still wait for the workflows. */
const END_LIST_MS = 1_500;
/** Discovery may hold back serving for this long: some clients give up on a server after ten seconds. */
const DISCOVERY_BUDGET_MS = 3_000;
/** The greeting waits so long for the names of the workflows, in ms: clients show a server as starting meanwhile. */
const GREETING_BUDGET_MS = 1_500;
/** An agent's longest ordinary silence is a command that runs for minutes. */
const STALL_AFTER_MS = 5 * 60_000;
/** Readiness is asked every few seconds by whatever balances load; the API need not be each time. */
const READINESS_TTL_MS = 5_000;

/** Puts the server together. Nothing is sent and nothing is read before it serves. */
export function createServer(options: ServerOptions): WorkflowsServer {
  const { settings, log, clock = systemClock } = options;
  const api = createUpstream({
    baseUrl: settings.baseUrl,
    apiKey: settings.apiKey,
    requestTimeoutMs: settings.requestTimeoutS * 1000,
    maxRetries: settings.maxRetries,
    clock,
    random: options.random ?? Math.random,
    locate: options.locate,
    refusedKeyAdvice: options.refusedKeyAdvice,
    env: options.env,
  });
  const offer = createOffer({ api, clock, log });
  const catalogue = createCatalogue({
    api,
    clock,
    log,
    refreshIntervalMs: settings.refreshIntervalS * 1000,
    onReading: () => void offer.refresh(),
  });
  const feed = createRunWatcher({
    api,
    clock,
    log,
    listen: (signal, listener) => keepStreamOpen({ api, offer, clock, log }, signal, listener),
    pollingIntervalMs: settings.pollingIntervalS * 1000,
    perSecond: settings.pollingRate,
    stallAfterMs: options.stallAfterMs ?? STALL_AFTER_MS,
  });
  const store = options.store ?? createMemorySessionStore();
  const sessions = createSessions({ store, runList: createRunList({ api, clock }), feed, clock, log });
  const stopped = new AbortController();
  const runs = createRuns({
    api,
    feed,
    clock,
    stopped: stopped.signal,
    onStarted: (run, request) => sessions.started(run, request),
  });
  const placeKeeper = createPlaceKeeper({ feed, clock });
  const anyGit = createGit({ env: { ...options.env, ...(options.gitHosts ? NO_REDIRECTS : {}) } });
  const git = options.gitHosts ? limitGit(anyGit, options.gitHosts) : anyGit;
  const services: Services = {
    settings,
    api,
    catalogue,
    offer,
    feed,
    runs,
    startLine: options.startLine ?? createStartLine({ limit: settings.maxConcurrentRuns, clock }),
    placeKeeper,
    sessions,
    git,
    clock,
    questionsInHand: createQuestionsInHand(feed),
    sharesMachine: options.sharesMachine ?? false,
  };

  const project = projectSteps(settings.toolset, actions, offer);
  const instructions = () => writeInstructions(catalogue.state(), project);
  installSessionHook();
  const server = new FastMCP({
    name: "automagik-workflows-mcp",
    version: VERSION as `${number}.${number}.${number}`,
    // Read for each session when it is made.
    get instructions() {
      return instructions();
    },
    logger: {
      debug: (...args) => log.debug(withoutContents(args)),
      // Mostly what a client has got wrong. What fails in here is logged where it fails.
      error: (...args) => log.warn(withoutContents(args)),
      info: (...args) => log.info(withoutContents(args)),
      log: (...args) => log.info(withoutContents(args)),
      warn: (...args) => log.warn(withoutContents(args)),
    },
    ping: { enabled: false },
    roots: { enabled: false },
  });
  const desk = createCallDesk({ clock, elicitationTimeoutMs: settings.elicitationTimeoutS * 1000 });
  const tools = buildTools(settings.toolset, actions, (error) => log.error("A tool failed:", error), offer);
  publishTools(server, tools, { catalogue, offer, desk, services });
  const complete = createComplete({ catalogue, sessions });
  const stopInforming = publishResources(server, services, complete);
  publishPrompts(server, project, complete);

  let discovery: Promise<void> | undefined;
  let listed: Promise<void> | undefined;
  const discover = () => {
    if (!discovery) {
      const budgetMs = options.discoveryBudgetMs ?? DISCOVERY_BUDGET_MS;
      listed = catalogue.start(budgetMs);
      discovery = Promise.all([listed, offer.start(budgetMs)]).then(() => {});
      if (api.hasKey) feed.start();
    }
    return discovery;
  };
  let closing: Promise<void> | undefined;
  let checkedAt = 0;

  return {
    async serveStdio(streams) {
      const transport = createStdioTransport(streams, (problem) => log.warn(problem));
      // The client is greeted soon; only its first list of tools waits longer for the workflows.
      const connected = new Promise((resolve) => server.on("connect", resolve));
      holdToolLists(Promise.all([discover(), connected]));
      prepareGreeting(
        withDeadline(clock, GREETING_BUDGET_MS, async () => listed),
        instructions,
      );
      // Whatever comes last is read while the session is being set up, and may be all there is.
      void transport.ended.then(async () => {
        // With its input at its end, nothing else may be left that keeps the process.
        const alive = setInterval(() => {}, END_GRACE_MS);
        await connected;
        const waiting = transport.answered();
        await withDeadline(clock, END_GRACE_MS, () => waiting);
        // Calls that wait for a run are answered now, with the run's id.
        await withDeadline(clock, END_STOP_MS, () => Promise.all([waiting, desk.stop(END_STOP_MS)]));
        await withDeadline(clock, END_LIST_MS, () => waiting);
        await transport.flushed();
        await transport.close();
        clearInterval(alive);
      });
      await server.connect(transport);
    },
    async connect(transport) {
      await discover();
      await server.connect(transport);
    },
    onIdle(listener) {
      server.on("disconnect", () => {
        if (server.sessions.length === 0) listener();
      });
    },
    async checkReadiness() {
      await discover();
      const { available, problem } = catalogue.state();
      // An engine on this machine is started when a run needs it, not for the sake of an answer to this.
      if (!options.locate && clock.now() - checkedAt >= READINESS_TTL_MS) {
        checkedAt = clock.now();
        await catalogue.refresh();
        return catalogue.state().problem;
      }
      return available ? problem : (problem ?? "The list of workflows is not there yet.");
    },
    drain: (graceMs) => desk.stop(graceMs),
    close(graceMs = 3_000) {
      closing ??= (async () => {
        await desk.stop(graceMs);
        stopped.abort();
        stopInforming();
        catalogue.close();
        placeKeeper.close();
        await sessions.close();
        offer.close();
        feed.close();
        await api.close();
        await Promise.allSettled([...server.sessions].map((session) => session.close()));
        await server.stop();
      })();
      return closing;
    },
  };
}
