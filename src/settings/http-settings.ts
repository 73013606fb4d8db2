import * as z from "zod";
import { setting } from "./setting.js";
import { decimal, HOST, list, ORIGIN, tokens } from "./values.js";

/** The command `serve`. */
export const httpSettings = {
  httpHost: setting(
    z
      .string()
      .regex(/^[\w.:-]+$/)
      .default("127.0.0.1"),
    {
      variable: "HTTP_HOST",
      about:
        "Address on which the command `serve` listens (short: `--host`). An address other than loopback requires `TOKENS`.",
      bounds: "an address or a name of this machine",
    },
  ),
  httpPort: setting(decimal(0, 65_535, true).default(28_882), {
    variable: "HTTP_PORT",
    about: "Port on which the command `serve` listens (short: `--port`); 0 takes any free port.",
    bounds: "0–65535, whole",
  }),
  httpAllowedHosts: setting(list(HOST).optional(), {
    variable: "HTTP_ALLOWED_HOSTS",
    about:
      "`serve`: host names under which it may be called, beside loopback and `HTTP_HOST`, such as that of a proxy in front of it. Requests with another `Host` are refused.",
    bounds: "host names separated by commas, each with or without a port",
  }),
  httpOrigins: setting(list(ORIGIN).optional(), {
    variable: "HTTP_ORIGINS",
    about:
      "`serve`: origins of web pages that may call it; they get CORS headers. Default: only the server's own origin on loopback, without these headers.",
    bounds: "origins like `https://example.org`, separated by commas",
  }),
  tokens: setting(tokens.optional(), {
    variable: "TOKENS",
    about:
      "`serve`: the callers' tokens, sent as `Authorization: Bearer …`. Default: none; everybody on this machine is served.",
    bounds: "`name=token` separated by commas, each token of 16 characters or more",
    secret: true,
  }),
  tokensFile: setting(z.string().optional(), {
    variable: "TOKENS_FILE",
    about: "`serve`: file with the callers' tokens, one per line; lines that begin with `#` are comments.",
    bounds: "a file; not together with `TOKENS`",
  }),
  httpCallers: setting(z.enum(["shared", "apart"]).default("shared"), {
    variable: "HTTP_CALLERS",
    about:
      "`serve`: `apart`: each caller sees and touches only its own sessions, runs and plans, by the names of `TOKENS`; the API has to be an engine of ours. `shared`: all callers see all.",
    bounds: "`shared` or `apart`; `apart` not together with `USER_ID` or `CALLER_KEYS`",
  }),
  callerKeys: setting(z.enum(["off", "on"]).default("off"), {
    variable: "CALLER_KEYS",
    about:
      "`serve`: whether callers may send their own key of the workflows API, in the header `x-workflows-api-key` (8 characters or more). Sessions with different keys share nothing but the limit `MAX_CONCURRENT_RUNS`.",
    bounds: "`off` or `on`",
  }),
  httpRate: setting(decimal(1, 100_000, true).default(600), {
    variable: "HTTP_RATE",
    about: "`serve`: maximum requests per minute, for each caller.",
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
        "`serve`: name of this replica among several behind a proxy. Its session ids begin with the name and a dot, by which the proxy can route.",
      bounds: "up to 32 of `a`–`z`, `0`–`9` and `-`",
    },
  ),
  httpMaxSessions: setting(decimal(1, 1_000, true).default(16), {
    variable: "HTTP_MAX_SESSIONS",
    about: "`serve`: maximum sessions of one caller; a new session replaces one that is not in use.",
    bounds: "1–1000, whole",
  }),
  httpMaxCalls: setting(decimal(1, 1_000, true).default(16), {
    variable: "HTTP_MAX_CALLS",
    about: "`serve`: maximum calls of one caller at once.",
    bounds: "1–1000, whole",
  }),
  httpBodyLimitKib: setting(decimal(16, 10_240, true).default(1_024), {
    variable: "HTTP_BODY_LIMIT",
    about: "`serve`: maximum size of a request body.",
    bounds: "16–10240 KiB, whole",
  }),
  httpIdleTimeoutS: setting(decimal(10, 86_400).default(1_800), {
    variable: "HTTP_IDLE_TIMEOUT",
    about: "`serve`: time after which a session ends when its client neither listens nor sends requests.",
    bounds: "10–86400 s",
  }),
  httpGitHosts: setting(list(/^[\w.-]+$/).optional(), {
    variable: "HTTP_GIT_HOSTS",
    about:
      "`serve`: hosts whose repositories may be read, for their branches and their templates of plans. Default: none.",
    bounds: "host names separated by commas",
  }),
};
