import { createStartLimiter } from "../../runs/start-limiter.js";
import { serveHttp } from "../../server/fastmcp/serve-http.js";
import { KEY_HEADER } from "../../server/http/callers.js";
import { settleTokens } from "../../server/http/serve-settings.js";
import { createServer, type ServerOptions, type WorkflowsServer } from "../../server/server.js";
import { readSettings } from "../../settings/settings.js";
import { findSharedDatabase } from "../../settings/shared-database.js";
import { callerId } from "../../shared/caller-id.js";
import { systemClock } from "../../shared/clock.js";
import type { Invocation } from "../command-line.js";
import { describeServer, openServerLog } from "../describe-server.js";
import { monitor } from "../monitor.js";
import { openAnswersFor } from "../outside-answers.js";
import { openSharedNotifier } from "../window-notifier.js";

/** When told to stop, the server answers calls in flight for so long, in ms. */
const GRACE_MS = 3_000;
/** The process ends this long after the grace at the latest, in ms; until then it waits for answers and connections. */
const STOP_LIMIT_MS = 1_500;

/** `serve`: serves chat clients over HTTP until a signal comes. */
export async function serve({ flags, sse, script }: Invocation): Promise<undefined> {
  const settings = readSettings(process.env, flags);
  const tokens = settleTokens(settings);
  const secrets = [settings.apiKey, findSharedDatabase(settings), ...tokens.map(({ token }) => token)];
  const log = openServerLog(settings, secrets);
  const monitoring = await monitor(settings, log, secrets);
  const notifier = await openSharedNotifier(settings, log, secrets, monitoring?.notified);
  const parts = { settings, flags, script, log, secrets, drivesPlans: true };
  const forAll = {
    counters: monitoring,
    sharesMachine: false,
    gitHosts: settings.httpGitHosts ?? [],
    // One limit for all callers, those with a key of their own included.
    startLimiter: createStartLimiter({ limit: settings.maxConcurrentRuns, clock: systemClock }),
  };
  const described = describeServer(parts);
  const common: ServerOptions = {
    ...described,
    ...forAll,
    ...{ monitoring, notifier },
    // That of the state folder may be of what the person of this machine does elsewhere.
    outbox: described.outbox?.address === undefined ? undefined : described.outbox,
    // What is asked is brought to the services by what tells, where servers share a database.
    openAnswers: notifier && ((services) => openAnswersFor(services, settings, described, notifier)),
  };
  const server = createServer(common);
  const persons = settings.httpCallers === "apart" ? new Map(tokens.map(createServerOf)) : undefined;

  /** A server that sees what is this person's alone. */
  function createServerOf({ name }: { name: string }): [string, WorkflowsServer] {
    const own = describeServer({ ...parts, caller: callerId(name) });
    // It is closed with the server that sees all.
    const told = notifier && { ...notifier, close: async () => {} };
    return [name, createServer({ ...own, ...forAll, notifier: told })];
  }

  /** A server for callers that bring their own key, which stays secret for as long as it serves. */
  function createServerForKey(apiKey: string) {
    // Whoever brings the key that this server has is served by it, at one rate with all others.
    if (apiKey === settings.apiKey) return { ...server, close: async () => {} };
    secrets.push(apiKey);
    const {
      store: _store,
      plans: _plans,
      outbox: _outbox,
      templates: _templates,
      monitoring: _monitoring,
      notifier: _notifier,
      // What the keys of other services can read is not for whoever has one of the API.
      secrets: _secrets,
      ...rest
    } = common;
    const own = createServer({
      ...rest,
      settings: { ...settings, apiKey },
      refusedKeyAdvice: `Open a new session with a key in ${KEY_HEADER} that this API accepts.`,
    });
    return {
      ...own,
      async close(graceMs?: number) {
        await own.close(graceMs);
        secrets.splice(secrets.lastIndexOf(apiKey), 1);
      },
    };
  }

  const served = await serveHttp({
    server,
    persons,
    createServerForKey,
    clock: systemClock,
    log,
    host: settings.httpHost,
    port: settings.httpPort,
    allowedHosts: settings.httpAllowedHosts ?? [],
    allowedOrigins: settings.httpOrigins ?? [],
    tokens,
    takesKeys: settings.callerKeys === "on",
    era: settings.era,
    sse: sse === true,
    replica: settings.httpReplica,
    metrics: settings.metrics === "on" ? monitoring?.text : undefined,
    requestsPerMinute: settings.httpRate,
    maxSessions: settings.httpMaxSessions,
    maxCalls: settings.httpMaxCalls,
    bodyLimitBytes: settings.httpBodyLimitKib * 1024,
    idleMs: settings.httpIdleTimeoutS * 1000,
  });
  // Those that were begun before callers were kept apart as well.
  for (const one of [server, ...(persons?.values() ?? [])]) void one.carryOnPlans();
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      // A second signal ends it at once.
      if (stopping) process.exit(1);
      stopping = true;
      log.info(`Stopping: ${signal}`);
      setTimeout(() => process.exit(0), GRACE_MS + STOP_LIMIT_MS);
      void served.close(GRACE_MS).then(() => process.exit(0));
    });
  }
  // Not by the log, whose level may hide it: with port 0 this line is the only place that names the port.
  process.stderr.write(`Serving at ${served.url}/mcp${tokens.length > 0 ? ", with a token" : ""}\n`);
}
