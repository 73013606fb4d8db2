import * as z from "zod";
import { setting } from "./setting.js";
import { baseUrl, decimal, headerText, postgresAddress } from "./values.js";

/** The workflows API, runs, sessions, the log: what concerns every way of serving. */
export const clientSettings = {
  apiKey: setting(headerText.optional(), {
    variable: "API_KEY",
    about:
      "Key of the workflows API. Needed for every call; without it the server starts and says what is missing.",
    bounds: "printable characters without spaces",
    secret: true,
  }),
  baseUrl: setting(baseUrl.default("http://localhost:28881"), {
    variable: "BASE_URL",
    oldVariable: "API_BASE_URL",
    about: "Address of the workflows API.",
    bounds: "http or https; a path prefix is allowed, credentials are not",
  }),
  userId: setting(z.guid().optional(), {
    variable: "USER_ID",
    about:
      "User on whose behalf runs are started. Default: none; `serve` tells an engine of ours who calls, by the names of `TOKENS`.",
    bounds: "a UUID",
  }),
  inputFormat: setting(z.enum(["stream-json", "text"]).default("stream-json"), {
    variable: "INPUT_FORMAT",
    about:
      "Format in which the API passes messages to the agent. The public Automagik server completes runs only with `text`.",
    bounds: "`stream-json` or `text`",
  }),
  timeoutS: setting(decimal(60, 14_400, true).default(7200), {
    variable: "TIMEOUT",
    about: "Time limit of a run, unless the call sets another.",
    bounds: "60–14400 s, whole",
  }),
  maxTurns: setting(decimal(1, 200, true).default(50), {
    variable: "MAX_TURNS",
    about: "Turn limit of a run, unless the call sets another.",
    bounds: "1–200, whole",
  }),
  finish: setting(z.enum(["branch", "merge", "pull_request"]).default("branch"), {
    variable: "FINISH",
    about:
      "What becomes of a run's work when it succeeds, unless the call says otherwise. `branch`: it stays on the session's branch. `merge`: it is merged into the base branch where that can be done. `pull_request`: it is pushed, and a pull request is opened.",
    bounds: "`branch`, `merge` or `pull_request`",
  }),
  maxConcurrentRuns: setting(decimal(1, 1_000, true).optional(), {
    variable: "MAX_CONCURRENT_RUNS",
    about:
      "Maximum runs of this server at once. Further starts are queued, and nothing is sent for them yet. Default: no limit.",
    bounds: "1–1000, whole",
  }),
  pollingIntervalS: setting(decimal(0.2, 60).default(8), {
    variable: "POLLING_INTERVAL",
    about: "Maximum time between two polls of a watched run.",
    bounds: "0.2–60 s",
  }),
  pollingRate: setting(decimal(1, 1000, true).default(20), {
    variable: "POLLING_RATE",
    about: "Maximum polling requests per second, for all runs together.",
    bounds: "1–1000 requests a second, whole",
  }),
  maxRetries: setting(decimal(0, 10, true).default(3), {
    variable: "MAX_RETRIES",
    about: "Maximum retries of a read that failed. A start is never retried.",
    bounds: "0–10, whole",
  }),
  requestTimeoutS: setting(decimal(1, 120).default(10), {
    variable: "REQUEST_TIMEOUT",
    about: "Time limit of one request to the API.",
    bounds: "1–120 s",
  }),
  refreshIntervalS: setting(decimal(5, 3600).default(60), {
    variable: "REFRESH_INTERVAL",
    about: "Time between two reads of the list of workflows.",
    bounds: "5–3600 s",
  }),
  elicitationTimeoutS: setting(decimal(10, 3600).default(600), {
    variable: "ELICITATION_TIMEOUT",
    about: "Time that a form stays open for the person's answer.",
    bounds: "10–3600 s",
  }),
  era: setting(z.enum(["auto", "legacy"]).default("auto"), {
    variable: "ERA",
    about:
      "`auto`: protocol 2026-07-28 with clients that open with it, on which runs become tasks, and the earlier ones with all others; `legacy`: up to 2025-11-25 only.",
    bounds: "`auto` or `legacy`",
  }),
  taskAfterS: setting(decimal(0, 3600).default(60), {
    variable: "TASK_AFTER",
    about:
      "With `ERA` on `auto`: how long a call shows its progress in the chat before it becomes a task in the background, where the client has tasks.",
    bounds: "0–3600 s",
  }),
  toolset: setting(z.enum(["super", "named"]).default("super"), {
    variable: "TOOLSET",
    about: "`super`: one tool with actions. `named`: one tool for each action.",
    bounds: "`super` or `named`",
  }),
  database: setting(postgresAddress.optional(), {
    variable: "DATABASE",
    about:
      "PostgreSQL database (13 or newer) that stores sessions, history and plans, for several servers at once. Default: none; they are stored in the folder `STATE_DIR`.",
    bounds: "`postgres://user:password@host:port/database`, with `?sslmode=verify-full` for TLS",
    secret: true,
  }),
  databaseFile: setting(z.string().optional(), {
    variable: "DATABASE_FILE",
    about: "File with the address of that database.",
    bounds: "a file; not together with `DATABASE`",
  }),
  stateDir: setting(z.string().optional(), {
    variable: "STATE_DIR",
    about: "Folder in which sessions are stored. Default: the user's own state folder.",
    bounds: "a folder",
  }),
  historyDays: setting(decimal(1, 36_500, true).default(730), {
    variable: "HISTORY_DAYS",
    about: "How long figures of ended runs and plans are kept.",
    bounds: "1–36500 days, whole",
  }),
  logLevel: setting(
    z.enum(["silent", "fatal", "error", "warn", "log", "info", "debug", "trace", "verbose"]).default("info"),
    {
      variable: "LOG_LEVEL",
      about: "Level of the log, which is written to stderr.",
      bounds: "`silent`, `fatal`, `error`, `warn`, `log`, `info`, `debug`, `trace` or `verbose`",
      forEngine: true,
    },
  ),
};
