import { z } from "zod";
import { setting } from "./setting.js";
import { decimal, folderList, list } from "./values.js";

/** The engine of this machine. */
export const engineSettings = {
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
};
