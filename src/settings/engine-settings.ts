import * as z from "zod";
import { setting } from "./setting.js";
import { decimal, folderList, list } from "./values.js";

/** The engine of this machine. */
export const engineSettings = {
  engine: setting(z.enum(["off", "local"]).default("off"), {
    variable: "ENGINE",
    about:
      "`local`: runs are carried out on this machine, by an engine in the background that all chat windows share; `BASE_URL` is then ignored.",
    bounds: "`off` or `local`",
  }),
  claudePath: setting(z.string().optional(), {
    variable: "CLAUDE_PATH",
    about: "Engine: path of the Claude Code program. Default: `claude` on the PATH.",
    bounds: "a program",
    forEngine: true,
  }),
  codexAcpPath: setting(z.string().optional(), {
    variable: "CODEX_ACP_PATH",
    about:
      "Engine: path of codex-acp, by which it works with Codex ([engine.md](engine.md#codex)). Default: `codex-acp` on the PATH.",
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
        "Address on which the command `engine` listens (short: `--host`). An address other than loopback requires an `API_KEY` of 16 characters or more. An engine in the background listens on loopback only.",
      bounds: "an address or a name of this machine",
    },
  ),
  enginePort: setting(decimal(0, 65_535, true).optional(), {
    variable: "ENGINE_PORT",
    about:
      "Port of the engine (short: `--port`); 0 takes any free port. Default: 28881 for the command `engine`, any free port in the background. An engine that runs keeps its port.",
    bounds: "0–65535, whole",
    forEngine: true,
    atEngineStart: true,
  }),
  engineConcurrency: setting(decimal(1, 64, true).optional(), {
    variable: "ENGINE_CONCURRENCY",
    about:
      "Engine: maximum agents at work at once; one that waits for a person does not count after a minute. Default: the number of the machine's cores.",
    bounds: "1–64, whole",
    forEngine: true,
  }),
  engineCostLimitUsd: setting(decimal(0.01, 10_000).optional(), {
    variable: "ENGINE_COST_LIMIT",
    about:
      "Engine: maximum cost of one run. With it, agents that do not tell their cost are not started. Default: no limit.",
    bounds: "0.01–10000 USD",
    forEngine: true,
  }),
  engineCostLimitPerDayUsd: setting(decimal(0.01, 100_000).optional(), {
    variable: "ENGINE_COST_LIMIT_PER_DAY",
    about:
      "Engine: maximum cost of all runs of a day, by this machine's calendar. When it is reached nothing is started, and what goes on is ended after its turn; agents that do not tell their cost are never started. Default: no limit.",
    bounds: "0.01–100000 USD",
    forEngine: true,
  }),
  engineCostLimitPerDayAndCallerUsd: setting(decimal(0.01, 100_000).optional(), {
    variable: "ENGINE_COST_LIMIT_PER_DAY_AND_CALLER",
    about:
      "Engine: the same for the runs of each caller, whom a start names by `user_id`. Default: no limit.",
    bounds: "0.01–100000 USD",
    forEngine: true,
  }),
  engineQuestionTimeoutS: setting(decimal(10, 86_400).default(1800), {
    variable: "ENGINE_QUESTION_TIMEOUT",
    about: "Engine: time that an agent waits for the answer to its question; then it goes on without one.",
    bounds: "10–86400 s",
    forEngine: true,
  }),
  engineCheckTimeoutS: setting(decimal(10, 14_400).default(600), {
    variable: "ENGINE_CHECK_TIMEOUT",
    about: "Engine: maximum time of the check that has to pass before work is taken (`take` with `check`).",
    bounds: "10–14400 s",
    forEngine: true,
  }),
  engineIdleTimeoutS: setting(decimal(10, 86_400).default(600), {
    variable: "ENGINE_IDLE_TIMEOUT",
    about: "Time after which an engine in the background ends when it has no runs and no clients.",
    bounds: "10–86400 s",
    forEngine: true,
  }),
  engineWorkerTimeoutS: setting(decimal(3, 3600).default(60), {
    variable: "ENGINE_WORKER_TIMEOUT",
    about:
      "Engine on a `DATABASE`: time of silence after which the others take a worker for gone, and its runs are interrupted. Longer than your database takes to start again.",
    bounds: "3–3600 s",
  }),
  engineMoveAfterS: setting(decimal(3, 604_800).default(600), {
    variable: "ENGINE_MOVE_AFTER",
    about:
      "Engine on a `DATABASE`: time after which the sessions of a worker that is gone go on elsewhere, from what they have committed.",
    bounds: "3–604800 s",
  }),
  engineResume: setting(z.enum(["off", "once"]).default("off"), {
    variable: "ENGINE_RESUME",
    about:
      "Engine: what becomes of a run that was interrupted since its engine or machine went away. `once`: a new paid run goes on with it, once ever. Not of one that a person has ended or a plan goes on with.",
    bounds: "`off` or `once`",
    forEngine: true,
  }),
  engineMoveLimitMb: setting(decimal(0, 1024).default(64), {
    variable: "ENGINE_MOVE_LIMIT",
    about:
      "Engine on a `DATABASE`: up to this size the commits of a session that are not pushed are kept in it, so that it can go on elsewhere.",
    bounds: "0–1024 MB",
  }),
  engineAllowedFolders: setting(folderList.optional(), {
    variable: "ENGINE_ALLOWED_FOLDERS",
    about:
      "Engine: folders whose local repositories may be used without asking. Default: none; see the command `allow`.",
    bounds: "absolute folders, separated as in PATH; `~` is allowed",
    forEngine: true,
  }),
  enginePush: setting(z.enum(["off", "on"]).default("off"), {
    variable: "ENGINE_PUSH",
    about:
      "Engine: whether branches of sessions, and what is merged, are pushed to https and ssh repositories.",
    bounds: "`off` or `on`",
    forEngine: true,
  }),
  engineSandbox: setting(z.enum(["auto", "on", "off"]).default("auto"), {
    variable: "ENGINE_SANDBOX",
    about:
      "Engine: whether agents' commands run in Claude Code's sandbox. `auto`: where the machine has what it needs (bubblewrap and socat on Linux); `on`: the engine does not start without it.",
    bounds: "`auto`, `on` or `off`",
    forEngine: true,
  }),
  engineHooks: setting(z.enum(["off", "on"]).default("off"), {
    variable: "ENGINE_HOOKS",
    about: "Engine: whether the hooks of your own Claude Code settings and plugins also run in agents.",
    bounds: "`off` or `on`",
    forEngine: true,
  }),
  engineAgentVariables: setting(list(/^\w+\*?$/).optional(), {
    variable: "ENGINE_AGENT_VARIABLES",
    about:
      "Engine: environment variables that agents get although their names look like credentials (`GITHUB_TOKEN`, `SLACK_…`). Default: none of those.",
    bounds: "names separated by commas; a `*` at the end stands for any rest",
    forEngine: true,
  }),
};
