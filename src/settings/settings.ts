import { delimiter, isAbsolute } from "node:path";
import { z } from "zod";
import { isPlaceholder, UNFILLED } from "./placeholder.js";
import { findFaultInRedisAddress } from "./redis-address.js";
import { parseTokens } from "./tokens.js";

/** Every variable begins with this. */
const PREFIX = "AUTOMAGIK_WORKFLOWS_";
/** The names of the product's earlier generation, still accepted. */
const OLD_PREFIX = "AUTOMAGIK_WORKFLOWS_V2_";

interface SettingMeta {
  /** The variable's name behind the prefix; the flag is the same in kebab case. */
  variable: string;
  /** The name behind the old prefix, where it was another one. */
  oldVariable?: string;
  about: string;
  bounds: string;
  /** The value is never shown, in any message. */
  secret?: true;
  /** It also concerns an engine that is started in the background, which gets it handed on. */
  forEngine?: true;
}

/** A number written in decimal notation: `Number()` would also take "", "0x10" and "1e3". */
function decimal(min: number, max: number, whole = false) {
  const number = z.number().min(min).max(max);
  return z.preprocess(
    (value) => (typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value),
    whole ? number.int() : number,
  );
}

/**
 * An address without a trailing slash. A path prefix may stay; the API's own path is taken off when somebody
 * pasted the whole of it.
 */
const baseUrl = z.string().transform((text, context) => {
  const refuse = (message: string) => {
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) return refuse("is not an address");
  if (url.protocol !== "http:" && url.protocol !== "https:") return refuse("is neither http nor https");
  if (url.username || url.password) return refuse("carries credentials");
  if (url.search || url.hash) return refuse("has a query or a fragment");
  return `${url.origin}${url.pathname}`.replace(/(\/api\/v1(\/workflows(\/claude-code)?)?)?\/*$/, "");
});

// A key that is no legal header value would be refused by fetch in an error that quotes it.
const headerText = z
  .string()
  .regex(/^[\x21-\x7e]+$/)
  .refine((text) => !isPlaceholder(text), UNFILLED);

/** Folders in the way of PATH; `~` stays, because only the one who uses it knows whose it is. */
const folderList = z.string().transform((text, context) => {
  const folders = text.split(delimiter).flatMap((folder) => folder.trim() || []);
  if (folders.every((folder) => isAbsolute(folder) || /^~($|[\\/])/.test(folder))) return folders;
  context.addIssue({ code: "custom", message: "has a folder that depends on where the program is started" });
  return z.NEVER;
});

/** Parts separated by commas, each of the form. */
function list(form: RegExp) {
  return z.string().transform((text, context) => {
    const parts = text.split(",").flatMap((part) => part.trim() || []);
    if (parts.length > 0 && parts.every((part) => form.test(part))) return parts;
    context.addIssue({ code: "custom", message: "has a part that is none" });
    return z.NEVER;
  });
}
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;
const ORIGIN = /^https?:\/\/(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

const tokens = z.string().transform((text, context) => {
  try {
    return parseTokens(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
    return z.NEVER;
  }
});

const redisAddress = z.string().transform((text, context) => {
  const fault = findFaultInRedisAddress(text);
  if (!fault) return text;
  context.addIssue({ code: "custom", message: fault });
  return z.NEVER;
});

function setting<T extends z.ZodType>(schema: T, meta: SettingMeta): T {
  return schema.meta({ ...meta }) as T;
}

/** The one schema of all settings: bounds, defaults, and the words of the table in docs/settings.md. */
const settingsSchema = z.object({
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
    about: "User on whose behalf runs are started.",
    bounds: "a UUID",
  }),
  inputFormat: setting(z.enum(["stream-json", "text"]).default("stream-json"), {
    variable: "INPUT_FORMAT",
    about: "How the API talks to the agent. The public Automagik server completes runs only with `text`.",
    bounds: "`stream-json` or `text`",
  }),
  timeoutS: setting(decimal(60, 14_400, true).default(7200), {
    variable: "TIMEOUT",
    about: "A run's own time limit.",
    bounds: "60–14400 s, whole",
  }),
  maxTurns: setting(decimal(1, 200, true).default(50), {
    variable: "MAX_TURNS",
    about: "Turns a run may take.",
    bounds: "1–200, whole",
  }),
  maxConcurrentRuns: setting(decimal(1, 1_000, true).optional(), {
    variable: "MAX_CONCURRENT_RUNS",
    about:
      "Runs of this server that may go on at once; a further one waits in line before anything is sent. By default " +
      "any number.",
    bounds: "1–1000, whole",
  }),
  pollingIntervalS: setting(decimal(0.2, 60).default(8), {
    variable: "POLLING_INTERVAL",
    about: "The slowest that a watched run is polled.",
    bounds: "0.2–60 s",
  }),
  pollingRate: setting(decimal(1, 1000, true).default(20), {
    variable: "POLLING_RATE",
    about: "What watching runs may take of the API, however many there are.",
    bounds: "1–1000 requests a second, whole",
  }),
  maxRetries: setting(decimal(0, 10, true).default(3), {
    variable: "MAX_RETRIES",
    about: "How often a read is tried again. Starting a run is never repeated.",
    bounds: "0–10, whole",
  }),
  requestTimeoutS: setting(decimal(1, 120).default(10), {
    variable: "REQUEST_TIMEOUT",
    about: "How long one request to the API may take.",
    bounds: "1–120 s",
  }),
  refreshIntervalS: setting(decimal(5, 3600).default(60), {
    variable: "REFRESH_INTERVAL",
    about: "How often the list of workflows is read again.",
    bounds: "5–3600 s",
  }),
  elicitationTimeoutS: setting(decimal(10, 3600).default(600), {
    variable: "ELICITATION_TIMEOUT",
    about: "How long a form stays open for the person.",
    bounds: "10–3600 s",
  }),
  toolset: setting(z.enum(["super", "named"]).default("super"), {
    variable: "TOOLSET",
    about: "`super`: one tool with actions. `named`: one tool for each action.",
    bounds: "`super` or `named`",
  }),
  state: setting(redisAddress.optional(), {
    variable: "STATE",
    about:
      "Redis server on which sessions are remembered, for several servers at once. Without it they are in the folder `STATE_DIR`.",
    bounds: "`redis://` or `rediss://` with user, password, port and database as needed",
    secret: true,
  }),
  stateDir: setting(z.string().optional(), {
    variable: "STATE_DIR",
    about: "Folder in which sessions are remembered. By default the user's own state folder.",
    bounds: "a folder",
  }),
  logLevel: setting(
    z.enum(["silent", "fatal", "error", "warn", "log", "info", "debug", "trace", "verbose"]).default("info"),
    {
      variable: "LOG_LEVEL",
      about: "What is written to stderr.",
      bounds: "`silent`, `fatal`, `error`, `warn`, `log`, `info`, `debug`, `trace` or `verbose`",
      forEngine: true,
    },
  ),
  httpHost: setting(
    z
      .string()
      .regex(/^[\w.:-]+$/)
      .default("127.0.0.1"),
    {
      variable: "HTTP_HOST",
      about: "Where the command `serve` listens (`--host` for short); off loopback only with `TOKENS`.",
      bounds: "an address or a name of this machine",
    },
  ),
  httpPort: setting(decimal(0, 65_535, true).default(28_882), {
    variable: "HTTP_PORT",
    about: "Port of the command `serve` (`--port` for short); 0 is any free one.",
    bounds: "0–65535, whole",
  }),
  httpAllowedHosts: setting(list(HOST).optional(), {
    variable: "HTTP_ALLOWED_HOSTS",
    about:
      "`serve`: names by which it is called, beside loopback and `HTTP_HOST`: that of the proxy in front of it. " +
      "Requests with another `Host` are refused.",
    bounds: "host names separated by commas, each with or without a port",
  }),
  httpOrigins: setting(list(ORIGIN).optional(), {
    variable: "HTTP_ORIGINS",
    about:
      "`serve`: web pages that may call it, and get CORS headers. By default none but the server's own on loopback, without the headers.",
    bounds: "origins like `https://example.org`, separated by commas",
  }),
  tokens: setting(tokens.optional(), {
    variable: "TOKENS",
    about:
      "`serve`: the callers' tokens, sent as `Authorization: Bearer …`. Without any, everybody on this machine is served.",
    bounds: "`name=token` separated by commas, each token of 16 characters or more",
    secret: true,
  }),
  tokensFile: setting(z.string().optional(), {
    variable: "TOKENS_FILE",
    about: "`serve`: file with the callers' tokens, one a line; lines that begin with `#` are remarks.",
    bounds: "a file; not together with `TOKENS`",
  }),
  callerKeys: setting(z.enum(["off", "on"]).default("off"), {
    variable: "CALLER_KEYS",
    about:
      "`serve`: whether a caller may bring its own key of the workflows API, in the header `x-workflows-api-key`, " +
      "of 8 characters or more. Sessions with different keys share nothing but the limit `MAX_CONCURRENT_RUNS`.",
    bounds: "`off` or `on`",
  }),
  httpRate: setting(decimal(1, 100_000, true).default(600), {
    variable: "HTTP_RATE",
    about: "`serve`: requests that one caller may send.",
    bounds: "1–100000 a minute, whole",
  }),
  httpReplica: setting(
    z
      .string()
      .regex(/^[a-z\d-]{1,32}$/)
      .optional(),
    {
      variable: "HTTP_REPLICA",
      about:
        "`serve`: this replica's name among several behind a proxy. Its session ids begin with it and a dot, so that the proxy can tell whose they are.",
      bounds: "up to 32 of `a`–`z`, `0`–`9` and `-`",
    },
  ),
  httpMaxSessions: setting(decimal(1, 1_000, true).default(16), {
    variable: "HTTP_MAX_SESSIONS",
    about: "`serve`: sessions of one caller; a new one takes the place of one that nobody uses.",
    bounds: "1–1000, whole",
  }),
  httpMaxCalls: setting(decimal(1, 1_000, true).default(16), {
    variable: "HTTP_MAX_CALLS",
    about: "`serve`: calls of one caller at once.",
    bounds: "1–1000, whole",
  }),
  httpBodyLimitKib: setting(decimal(16, 10_240, true).default(1_024), {
    variable: "HTTP_BODY_LIMIT",
    about: "`serve`: size of one request.",
    bounds: "16–10240 KiB, whole",
  }),
  httpIdleTimeoutS: setting(decimal(10, 86_400).default(1_800), {
    variable: "HTTP_IDLE_TIMEOUT",
    about: "`serve`: how long a session stays whose client neither listens nor asks.",
    bounds: "10–86400 s",
  }),
  httpGitHosts: setting(list(/^[\w.-]+$/).optional(), {
    variable: "HTTP_GIT_HOSTS",
    about: "`serve`: hosts whose repositories are looked at to suggest branches. By default none.",
    bounds: "host names separated by commas",
  }),
  engine: setting(z.enum(["off", "local"]).default("off"), {
    variable: "ENGINE",
    about:
      "`local`: runs are carried out on this machine, by an engine in the background that all chat windows share. " +
      "`BASE_URL` then does not count.",
    bounds: "`off` or `local`",
  }),
  claudePath: setting(z.string().optional(), {
    variable: "CLAUDE_PATH",
    about: "Engine: the Claude Code program. By default `claude` is looked for on PATH.",
    bounds: "a program",
    forEngine: true,
  }),
  engineHost: setting(
    z
      .string()
      .regex(/^[\w.:-]+$/)
      .default("127.0.0.1"),
    {
      variable: "ENGINE_HOST",
      about:
        "Where the command `engine` listens (`--host` for short); off loopback only with an `API_KEY` of 16 characters or more. " +
        "An engine in the background is never off loopback.",
      bounds: "an address or a name of this machine",
    },
  ),
  enginePort: setting(decimal(0, 65_535, true).optional(), {
    variable: "ENGINE_PORT",
    about:
      "Port of the engine (`--port` for short); 0 is any free one. By default 28881 for the command `engine`, and " +
      "any free one in the background.",
    bounds: "0–65535, whole",
    forEngine: true,
  }),
  engineConcurrency: setting(decimal(1, 64, true).optional(), {
    variable: "ENGINE_CONCURRENCY",
    about: "Engine: agents at work at once. By default as many as the machine has cores.",
    bounds: "1–64, whole",
    forEngine: true,
  }),
  engineCostLimitUsd: setting(decimal(0.01, 10_000).optional(), {
    variable: "ENGINE_COST_LIMIT",
    about: "Engine: what one run may cost. Default: no limit.",
    bounds: "0.01–10000 USD",
    forEngine: true,
  }),
  engineQuestionTimeoutS: setting(decimal(10, 86_400).default(1800), {
    variable: "ENGINE_QUESTION_TIMEOUT",
    about: "Engine: how long an agent waits for the answer to its question before it goes on without.",
    bounds: "10–86400 s",
    forEngine: true,
  }),
  engineIdleTimeoutS: setting(decimal(10, 86_400).default(600), {
    variable: "ENGINE_IDLE_TIMEOUT",
    about: "How long an engine in the background stays without runs and clients.",
    bounds: "10–86400 s",
    forEngine: true,
  }),
  engineAllowedFolders: setting(folderList.optional(), {
    variable: "ENGINE_ALLOWED_FOLDERS",
    about: "Engine: local repositories are taken from inside these folders only. By default from nowhere.",
    bounds: "absolute folders, separated as in PATH; `~` is allowed",
    forEngine: true,
  }),
  enginePush: setting(z.enum(["off", "on"]).default("off"), {
    variable: "ENGINE_PUSH",
    about: "Engine: whether work that is merged at the end of a run is also pushed.",
    bounds: "`off` or `on`",
    forEngine: true,
  }),
  engineSandbox: setting(z.enum(["auto", "on", "off"]).default("auto"), {
    variable: "ENGINE_SANDBOX",
    about:
      "Engine: whether commands of agents run in Claude Code's sandbox: `auto` where the machine has what it needs " +
      "(bubblewrap and socat on Linux), `on` to have no engine without it.",
    bounds: "`auto`, `on` or `off`",
    forEngine: true,
  }),
  engineHooks: setting(z.enum(["off", "on"]).default("off"), {
    variable: "ENGINE_HOOKS",
    about: "Engine: whether the hooks of your own Claude Code settings and plugins run in agents, too.",
    bounds: "`off` or `on`",
    forEngine: true,
  }),
  engineAgentVariables: setting(list(/^\w+\*?$/).optional(), {
    variable: "ENGINE_AGENT_VARIABLES",
    about:
      "Engine: variables that agents get although their names are those of credentials (`GITHUB_TOKEN`, `SLACK_…`), " +
      "which they otherwise do not.",
    bounds: "names separated by commas; a `*` at the end stands for any rest",
    forEngine: true,
  }),
});

/** Settings as the rest of the house sees them. Times in seconds. */
export type Settings = z.output<typeof settingsSchema>;

/** A setting that cannot be used. The message is one line and fit to be shown. */
export class SettingsError extends Error {
  override name = "SettingsError";
}

interface Entry extends SettingMeta {
  property: keyof Settings;
  flag: string;
  defaultValue: unknown;
}

function entries(): Entry[] {
  return Object.entries(settingsSchema.shape).map(([property, schema]) => {
    const meta = schema.meta() as unknown as SettingMeta;
    return {
      ...meta,
      property: property as keyof Settings,
      flag: meta.variable.toLowerCase().replaceAll("_", "-"),
      defaultValue: schema.safeParse(undefined).data,
    };
  });
}

/** The flags that override variables, by their name without dashes: for a command line parser. */
export function listSettingFlags(): string[] {
  return entries().map((entry) => entry.flag);
}

/**
 * Reads settings from variables and flags; a flag wins over the variable, the present name over the old one,
 * and an empty value counts as not set.
 * @param env environment variables
 * @param flags flag values by their name without dashes
 * @throws SettingsError naming each variable or flag at fault, what is wrong and the bounds
 */
export function readSettings(
  env: Readonly<Record<string, string | undefined>> = {},
  flags: Readonly<Record<string, string | undefined>> = {},
): Settings {
  const { raw, sources } = readRaw(env, flags);
  const parsed = settingsSchema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const wrong = new Map<string, string>();
  for (const issue of parsed.error.issues) {
    const property = String(issue.path[0]);
    const entry = entries().find((one) => one.property === property);
    if (!entry || wrong.has(property)) continue;
    // Of an address only our own words are said: it may carry a password.
    const quoted = entry.secret || property === "baseUrl" ? "" : ` ${JSON.stringify(raw[property])}`;
    const reason = issue.code === "custom" ? issue.message : "is not allowed";
    wrong.set(property, `${sources[property]}: the value${quoted} ${reason}; allowed: ${entry.bounds}`);
  }
  throw new SettingsError([...wrong.values()].join(" | "));
}

/**
 * The settings that concern an engine in the background, as variables under their whole names: for its environment.
 * Takes what {@link readSettings} takes; what is left at its default is left out.
 */
export function listEngineVariables(
  env: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const { raw } = readRaw(env, flags);
  const given = entries().filter((entry) => entry.forEngine && raw[entry.property] !== undefined);
  return Object.fromEntries(given.map((entry) => [PREFIX + entry.variable, raw[entry.property] as string]));
}

/** The settings that are given, as variables under their whole names; of secrets only the names. */
export function listGivenVariables(
  env: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string | undefined>>,
): { variables: Record<string, string>; omitted: string[] } {
  const { raw } = readRaw(env, flags);
  const given = entries().filter((entry) => raw[entry.property] !== undefined);
  return {
    variables: Object.fromEntries(
      given
        .filter((entry) => !entry.secret)
        .map((entry) => [PREFIX + entry.variable, raw[entry.property] as string]),
    ),
    omitted: given
      .filter((entry) => entry.secret && entry.property !== "apiKey")
      .map((entry) => PREFIX + entry.variable),
  };
}

/** The texts that are set, by property, and what each was read from. */
function readRaw(
  env: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string | undefined>>,
): { raw: Record<string, string>; sources: Record<string, string> } {
  const raw: Record<string, string> = {};
  const sources: Record<string, string> = {};
  for (const entry of entries()) {
    const candidates: [string, string | undefined][] = [
      [`--${entry.flag}`, flags[entry.flag]],
      [PREFIX + entry.variable, env[PREFIX + entry.variable]],
      [
        OLD_PREFIX + (entry.oldVariable ?? entry.variable),
        env[OLD_PREFIX + (entry.oldVariable ?? entry.variable)],
      ],
    ];
    const found = candidates.find(([, value]) => value !== undefined && value.trim() !== "");
    if (!found?.[1]) continue;
    raw[entry.property] = found[1].trim();
    sources[entry.property] = found[0];
  }
  return { raw, sources };
}

/** The settings table of docs/settings.md, in Markdown, one row a setting, without a trailing newline. */
export function renderSettingsTable(): string {
  const rows = entries().map((entry) => {
    const shown = entry.defaultValue === undefined ? "–" : `\`${entry.defaultValue}\``;
    return `| \`${PREFIX}${entry.variable}\` | \`--${entry.flag}\` | ${shown} | ${entry.bounds} | ${entry.about} |`;
  });
  return ["| variable | flag | default | allowed | what it does |", "|---|---|---|---|---|", ...rows].join(
    "\n",
  );
}
