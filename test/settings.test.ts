import { readFileSync } from "node:fs";
import { delimiter } from "node:path";
import { describe, expect, test } from "vitest";
import { renderSettingsTable } from "../scripts/render-settings-table.js";
import { readCommandLine } from "../src/cli/command-line.js";
import { listSettingFlags } from "../src/settings/entries.js";
import { listEngineVariables } from "../src/settings/list-variables.js";
import { readSettings, type Settings, SettingsError } from "../src/settings/settings.js";
import { tellUnknownVariables } from "../src/settings/unknown-variables.js";
import { VERSION } from "../src/shared/version.js";
import { toVariables } from "./support/bin.js";

interface Case {
  property: keyof Settings;
  fallback: unknown;
  /** What is written and what comes of it. */
  good: [string, unknown][];
  bad: string[];
  /** The name behind the old prefix, where it was another one. */
  old?: string;
}

const numbers = (...values: string[]): [string, unknown][] => values.map((text) => [text, Number(text)]);
const texts = (...values: string[]): [string, unknown][] => values.map((text) => [text, text]);
const NO_NUMBERS = ["soon", "1e2", "0x10", "-1", "+5", "1,5", "NaN", "Infinity"];
const USER = "0b5a1c9e-6f1d-4c55-9d1c-2f6f1a1f2a3b";

const CASES: Record<string, Case> = {
  API_KEY: {
    property: "apiKey",
    fallback: undefined,
    good: [...texts("sk-1", "!~", "a".repeat(500)), [" sk-1\n", "sk-1"]],
    bad: ["two words", "two\nlines", "two\tparts", "schlüssel", "a\u0000b"],
  },
  BASE_URL: {
    property: "baseUrl",
    fallback: "http://localhost:28881",
    old: "API_BASE_URL",
    good: [
      ...texts("http://127.0.0.1:28881", "https://api.example.com", "http://[::1]:8080", "https://host/a/b"),
      ["HTTPS://Host/", "https://host"],
      ["https://host/prefix///", "https://host/prefix"],
      ["https://host/api/v1", "https://host"],
      ["https://host/api/v1/workflows/", "https://host"],
      ["https://host/prefix/api/v1/workflows/claude-code/", "https://host/prefix"],
      ["https://host/api/v10", "https://host/api/v10"],
    ],
    bad: [
      "localhost",
      "localhost:28881",
      "ftp://host",
      "//host",
      "http://",
      "http://user@host",
      "http://:pass@host",
      "http://user:pass@host",
      "https://host/?key=x",
      "https://host/#x",
    ],
  },
  USER_ID: {
    property: "userId",
    fallback: undefined,
    good: texts(USER, USER.toUpperCase()),
    bad: ["1", "felix", USER.slice(1), `{${USER}}`],
  },
  INPUT_FORMAT: {
    property: "inputFormat",
    fallback: "stream-json",
    good: texts("stream-json", "text"),
    bad: ["json", "TEXT"],
  },
  TIMEOUT: {
    property: "timeoutS",
    fallback: 7200,
    good: numbers("60", "14400", "0600"),
    bad: ["59", "14401", "60.5", ...NO_NUMBERS],
  },
  MAX_TURNS: {
    property: "maxTurns",
    fallback: 50,
    good: numbers("1", "200"),
    bad: ["0", "201", "1.5", ...NO_NUMBERS],
  },
  FINISH: {
    property: "finish",
    fallback: "branch",
    good: texts("branch", "merge", "pull_request"),
    bad: ["Merge", "pull"],
  },
  MAX_CONCURRENT_RUNS: {
    property: "maxConcurrentRuns",
    fallback: undefined,
    good: numbers("1", "1000"),
    bad: ["0", "1001", "2.5", ...NO_NUMBERS],
  },
  POLLING_INTERVAL: {
    property: "pollingIntervalS",
    fallback: 8,
    good: numbers("0.2", "60", "1.5"),
    bad: ["0.19", "60.1", ".5", "1.", ...NO_NUMBERS],
  },
  POLLING_RATE: {
    property: "pollingRate",
    fallback: 20,
    good: numbers("1", "1000"),
    bad: ["0", "1001", "2.5", ...NO_NUMBERS],
  },
  MAX_RETRIES: {
    property: "maxRetries",
    fallback: 3,
    good: numbers("0", "10"),
    bad: ["11", "0.5", ...NO_NUMBERS],
  },
  REQUEST_TIMEOUT: {
    property: "requestTimeoutS",
    fallback: 10,
    good: numbers("1", "120", "2.5"),
    bad: ["0", "0.9", "121", ...NO_NUMBERS],
  },
  REFRESH_INTERVAL: {
    property: "refreshIntervalS",
    fallback: 60,
    good: numbers("5", "3600"),
    bad: ["4.9", "3601", ...NO_NUMBERS],
  },
  ELICITATION_TIMEOUT: {
    property: "elicitationTimeoutS",
    fallback: 600,
    good: numbers("10", "3600"),
    bad: ["9", "3601", ...NO_NUMBERS],
  },
  ERA: { property: "era", fallback: "auto", good: texts("auto", "legacy"), bad: ["modern", "Auto"] },
  TASK_AFTER: {
    property: "taskAfterS",
    fallback: 60,
    good: numbers("0", "3600", "2.5"),
    bad: ["3601", ...NO_NUMBERS],
  },
  TOOLSET: { property: "toolset", fallback: "super", good: texts("super", "named"), bad: ["all", "Super"] },
  DATABASE: {
    property: "database",
    fallback: undefined,
    good: texts(
      "postgres://127.0.0.1/team",
      "postgresql://user:pass@host.example:5433/team?sslmode=verify-full",
    ),
    bad: ["host.example:5432", "http://host.example/team", "postgres://host.example", "redis://host.example"],
  },
  DATABASE_FILE: {
    property: "databaseFile",
    fallback: undefined,
    good: texts("/run/secrets/database", "~/x"),
    bad: [],
  },
  STATE_DIR: { property: "stateDir", fallback: undefined, good: texts("/var/lib/x", "~/x", "x y"), bad: [] },
  HISTORY_DAYS: {
    property: "historyDays",
    fallback: 730,
    good: numbers("1", "36500"),
    bad: ["0", "36501", "2.5", ...NO_NUMBERS],
  },
  LOG_LEVEL: {
    property: "logLevel",
    fallback: "info",
    good: texts("silent", "fatal", "error", "warn", "log", "info", "debug", "trace", "verbose"),
    bad: ["loud", "INFO", "3"],
  },
  NOTIFY: {
    property: "notify",
    fallback: "auto",
    good: texts("auto", "desktop", "off", "desktop, slack", "slack ntfy"),
    bad: ["on", "Off", "slack, off", ","],
  },
  NOTIFY_COMMAND: {
    property: "notifyCommand",
    fallback: undefined,
    good: texts("cat", "curl -sd @- https://ntfy.example/topic | head"),
    bad: [],
  },
  SLACK_CHANNEL: {
    property: "slackChannel",
    fallback: undefined,
    good: texts("C0123456789"),
    bad: ["#general", "c012", "C"],
  },
  SLACK_ANSWERERS: {
    property: "slackAnswerers",
    fallback: undefined,
    good: [["U012, W345,", ["U012", "W345"]]],
    bad: ["ann", "@U012", ","],
  },
  DISCORD_CHANNEL: {
    property: "discordChannel",
    fallback: undefined,
    good: texts("123456789012345678"),
    bad: ["general"],
  },
  DISCORD_ANSWERERS: {
    property: "discordAnswerers",
    fallback: undefined,
    good: [["111,222", ["111", "222"]]],
    bad: ["ann", ","],
  },
  NTFY_ANSWERERS: { property: "ntfyAnswerers", fallback: undefined, good: [["Ann", ["Ann"]]], bad: [","] },
  ANSWER_PERMISSIONS: {
    property: "answerPermissions",
    fallback: "off",
    good: texts("off", "on"),
    bad: ["yes"],
  },
  SLACK_URL: {
    property: "slackUrl",
    fallback: "https://slack.com",
    good: [["http://127.0.0.1:8080/", "http://127.0.0.1:8080"]],
    bad: ["slack.com", "https://a:b@slack.com"],
  },
  DISCORD_URL: {
    property: "discordUrl",
    fallback: "https://discord.com/api",
    good: [["http://127.0.0.1:8080/api/", "http://127.0.0.1:8080/api"]],
    bad: ["discord.com", "https://a:b@discord.com"],
  },
  DASHBOARD_URL: {
    property: "dashboardUrl",
    fallback: undefined,
    good: [
      ["https://mcp.example.org/dashboard/", "https://mcp.example.org/dashboard"],
      ["http://localhost:28882/dashboard", "http://localhost:28882/dashboard"],
    ],
    bad: ["mcp.example.org", "https://me:secret@host", "https://host/?x"],
  },
  GITHUB: { property: "github", fallback: "auto", good: texts("auto", "off"), bad: ["on", "Off"] },
  GITHUB_URL: {
    property: "githubUrl",
    fallback: "https://api.github.com",
    good: [
      ["https://git.example.com/api/v3/", "https://git.example.com/api/v3"],
      ["http://127.0.0.1:4000", "http://127.0.0.1:4000"],
    ],
    bad: ["http://git.example.com/api/v3", "git.example.com", "https://me:secret@git.example.com"],
  },
  PULL_REQUESTS: {
    property: "pullRequests",
    fallback: "draft",
    good: texts("draft", "ready"),
    bad: ["off", "Draft"],
  },
  WATCH_PULL_REQUESTS: {
    property: "watchPullRequests",
    fallback: "off",
    good: texts("off", "on"),
    bad: ["yes", "ON"],
  },
  FORGES: {
    property: "forges",
    fallback: undefined,
    good: [
      ["git.example.com=gitlab", { "git.example.com": "gitlab" }],
      ["A.example=Gitea, b.example=gitlab", { "a.example": "gitea", "b.example": "gitlab" }],
    ],
    bad: ["git.example.com", "a=github", ","],
  },
  LINEAR_URL: {
    property: "linearUrl",
    fallback: "https://api.linear.app/graphql",
    good: [["http://127.0.0.1:8080/graphql/", "http://127.0.0.1:8080/graphql"]],
    bad: ["api.linear.app", "http://linear.example/graphql", "https://a:b@linear.app"],
  },
  METRICS: { property: "metrics", fallback: "off", good: texts("off", "on"), bad: ["auto", "On"] },
  METRICS_PORT: {
    property: "metricsPort",
    fallback: 0,
    good: numbers("0", "9464", "65535"),
    bad: ["65536", "1.5", ...NO_NUMBERS],
  },
  OTLP_ENDPOINT: {
    property: "otlpEndpoint",
    fallback: undefined,
    good: [
      ...texts("http://127.0.0.1:4318", "https://host/a/b"),
      ["https://Host/prefix//", "https://host/prefix"],
    ],
    bad: [
      "localhost:4318",
      "ftp://host",
      "https://user:word@host",
      "https://host?key=1",
      "https://host#part",
    ],
  },
  OTLP_HEADERS: {
    property: "otlpHeaders",
    fallback: undefined,
    good: [
      ["authorization=Bearer abc", { authorization: "Bearer abc" }],
      ["X-Key=a=b, x-other=2", { "x-key": "a=b", "x-other": "2" }],
    ],
    bad: ["Bearer abc", "=value", "name=", "na me=value", ","],
  },
  OTLP_INTERVAL: {
    property: "otlpIntervalS",
    fallback: 60,
    good: numbers("1", "2.5", "3600"),
    bad: ["0", "3601", ...NO_NUMBERS],
  },
  PLAN_RUNS: {
    property: "planRuns",
    fallback: 20,
    good: numbers("1", "1000"),
    bad: ["0", "1001", "2.5", ...NO_NUMBERS],
  },
  PLAN_PARALLEL: {
    property: "planParallel",
    fallback: 3,
    good: numbers("1", "100"),
    bad: ["0", "101", "2.5", ...NO_NUMBERS],
  },
  PLAN_MINUTES: {
    property: "planMinutes",
    fallback: 240,
    good: numbers("1", "100000"),
    bad: ["0", "100001", "2.5", ...NO_NUMBERS],
  },
  PLAN_COST_LIMIT: {
    property: "planCostLimitUsd",
    fallback: undefined,
    good: numbers("0.01", "100000", "2.5"),
    bad: ["0", "100001", ...NO_NUMBERS],
  },
  PLAN_ASK_ABOVE_RUNS: {
    property: "planAskAboveRuns",
    fallback: 8,
    good: numbers("1", "1000"),
    bad: ["0", "1001", "2.5", ...NO_NUMBERS],
  },
  PLAN_ASK_ABOVE_COST: {
    property: "planAskAboveUsd",
    fallback: 10,
    good: numbers("0", "100000", "2.5"),
    bad: ["100001", ...NO_NUMBERS],
  },
  HTTP_HOST: {
    property: "httpHost",
    fallback: "127.0.0.1",
    good: texts("127.0.0.1", "::1", "0.0.0.0", "localhost"),
    bad: ["http://x", "a b", "host/"],
  },
  HTTP_PORT: {
    property: "httpPort",
    fallback: 28_882,
    good: numbers("0", "28882", "65535"),
    bad: ["65536", "1.5", ...NO_NUMBERS],
  },
  HTTP_ALLOWED_HOSTS: {
    property: "httpAllowedHosts",
    fallback: undefined,
    good: [["mcp.example.org, [::1]:80,build:1234,", ["mcp.example.org", "[::1]:80", "build:1234"]]],
    bad: ["https://x", "a b", "host/", ","],
  },
  HTTP_ORIGINS: {
    property: "httpOrigins",
    fallback: undefined,
    good: [["https://example.org,http://localhost:6274", ["https://example.org", "http://localhost:6274"]]],
    bad: ["*", "example.org", "https://example.org/", "https://example.org/x", "null"],
  },
  TOKENS: {
    property: "tokens",
    fallback: undefined,
    good: [
      ["anna=0123456789abcdef", [{ name: "anna", token: "0123456789abcdef" }]],
      [
        "anna=0123456789abcde=, ben.2 = 0123456789abcdeg",
        [
          { name: "anna", token: "0123456789abcde=" },
          { name: "ben.2", token: "0123456789abcdeg" },
        ],
      ],
    ],
    bad: [
      "0123456789abcdef",
      "anna=short",
      "anna=0123456789 abcdef",
      "=0123456789abcdef",
      ",",
      "anna=0123456789abcdef,anna=0123456789abcdeg",
      "anna=0123456789abcdef,ben=0123456789abcdef",
    ],
  },
  TOKENS_FILE: { property: "tokensFile", fallback: undefined, good: texts("/run/secrets/tokens"), bad: [] },
  HTTP_CALLERS: { property: "httpCallers", fallback: "shared", good: texts("shared", "apart"), bad: ["yes"] },
  CALLER_KEYS: { property: "callerKeys", fallback: "off", good: texts("off", "on"), bad: ["yes"] },
  HTTP_RATE: {
    property: "httpRate",
    fallback: 600,
    good: numbers("1", "100000"),
    bad: ["0", "100001", "1.5", ...NO_NUMBERS],
  },
  HTTP_REPLICA: {
    property: "httpReplica",
    fallback: undefined,
    good: texts("a", "replica-2", "r".repeat(32)),
    bad: ["A", "a.b", "a b", "r".repeat(33)],
  },
  HTTP_MAX_SESSIONS: {
    property: "httpMaxSessions",
    fallback: 16,
    good: numbers("1", "1000"),
    bad: ["0", "1001", "1.5", ...NO_NUMBERS],
  },
  HTTP_MAX_CALLS: {
    property: "httpMaxCalls",
    fallback: 16,
    good: numbers("1", "1000"),
    bad: ["0", "1001", "1.5", ...NO_NUMBERS],
  },
  HTTP_BODY_LIMIT: {
    property: "httpBodyLimitKib",
    fallback: 1_024,
    good: numbers("16", "10240"),
    bad: ["15", "10241", "16.5", ...NO_NUMBERS],
  },
  HTTP_IDLE_TIMEOUT: {
    property: "httpIdleTimeoutS",
    fallback: 1_800,
    good: numbers("10", "86400"),
    bad: ["9", "86401", ...NO_NUMBERS],
  },
  HTTP_GIT_HOSTS: {
    property: "httpGitHosts",
    fallback: undefined,
    good: [["github.com, git.example.org", ["github.com", "git.example.org"]]],
    bad: ["https://github.com", "github.com:22", "*"],
  },
  ENGINE: {
    property: "engine",
    fallback: "off",
    good: texts("off", "local"),
    bad: ["on", "LOCAL", "remote"],
  },
  CLAUDE_PATH: { property: "claudePath", fallback: undefined, good: texts("/opt/claude", "claude"), bad: [] },
  CODEX_ACP_PATH: {
    property: "codexAcpPath",
    fallback: undefined,
    good: texts("/opt/codex-acp", "codex-acp"),
    bad: [],
  },
  ENGINE_HOST: {
    property: "engineHost",
    fallback: "127.0.0.1",
    good: texts("127.0.0.1", "::1", "0.0.0.0", "localhost", "build-host.example"),
    bad: ["http://x", "a b", "host/"],
  },
  ENGINE_PORT: {
    property: "enginePort",
    fallback: undefined,
    good: numbers("0", "28881", "65535"),
    bad: ["65536", "1.5", ...NO_NUMBERS],
  },
  ENGINE_CONCURRENCY: {
    property: "engineConcurrency",
    fallback: undefined,
    good: numbers("1", "64"),
    bad: ["0", "65", "1.5", ...NO_NUMBERS],
  },
  ENGINE_COST_LIMIT: {
    property: "engineCostLimitUsd",
    fallback: undefined,
    good: numbers("0.01", "2.5", "10000"),
    bad: ["0", "10001", ...NO_NUMBERS],
  },
  ENGINE_COST_LIMIT_PER_DAY: {
    property: "engineCostLimitPerDayUsd",
    fallback: undefined,
    good: numbers("0.01", "20", "100000"),
    bad: ["0", "100001", ...NO_NUMBERS],
  },
  ENGINE_COST_LIMIT_PER_DAY_AND_CALLER: {
    property: "engineCostLimitPerDayAndCallerUsd",
    fallback: undefined,
    good: numbers("0.01", "20", "100000"),
    bad: ["0", "100001", ...NO_NUMBERS],
  },
  ENGINE_QUESTION_TIMEOUT: {
    property: "engineQuestionTimeoutS",
    fallback: 1800,
    good: numbers("10", "86400"),
    bad: ["9", "86401", ...NO_NUMBERS],
  },
  ENGINE_CHECK_TIMEOUT: {
    property: "engineCheckTimeoutS",
    fallback: 600,
    good: numbers("10", "14400"),
    bad: ["9", "14401", ...NO_NUMBERS],
  },
  ENGINE_IDLE_TIMEOUT: {
    property: "engineIdleTimeoutS",
    fallback: 600,
    good: numbers("10", "86400"),
    bad: ["9", "86401", ...NO_NUMBERS],
  },
  ENGINE_WORKER_TIMEOUT: {
    property: "engineWorkerTimeoutS",
    fallback: 60,
    good: numbers("3", "3600"),
    bad: ["2", "3601", ...NO_NUMBERS],
  },
  ENGINE_MOVE_AFTER: {
    property: "engineMoveAfterS",
    fallback: 600,
    good: numbers("3", "604800"),
    bad: ["2", "604801", ...NO_NUMBERS],
  },
  ENGINE_RESUME: {
    property: "engineResume",
    fallback: "off",
    good: texts("off", "once"),
    bad: ["on", "ONCE"],
  },
  ENGINE_MOVE_LIMIT: {
    property: "engineMoveLimitMb",
    fallback: 64,
    good: numbers("0", "1024"),
    bad: ["-1", "1025", ...NO_NUMBERS],
  },
  ENGINE_ALLOWED_FOLDERS: {
    property: "engineAllowedFolders",
    fallback: undefined,
    good: [
      ["/srv/code", ["/srv/code"]],
      [`/srv/my code${delimiter} ~/code${delimiter}${delimiter}~`, ["/srv/my code", "~/code", "~"]],
    ],
    bad: ["code", `/srv${delimiter}./code`, "~anna/code"],
  },
  ENGINE_PUSH: { property: "enginePush", fallback: "off", good: texts("off", "on"), bad: ["yes", "ON"] },
  ENGINE_SANDBOX: {
    property: "engineSandbox",
    fallback: "auto",
    good: texts("auto", "on", "off"),
    bad: ["yes", "1"],
  },
  ENGINE_HOOKS: { property: "engineHooks", fallback: "off", good: texts("off", "on"), bad: ["yes", "1"] },
  ENGINE_AGENT_VARIABLES: {
    property: "engineAgentVariables",
    fallback: undefined,
    good: [
      ["GH_TOKEN", ["GH_TOKEN"]],
      ["GH_TOKEN, SLACK_*", ["GH_TOKEN", "SLACK_*"]],
    ],
    bad: [",", "A*B", "GH TOKEN", "NAME=value"],
  },
};

const flagOf = (name: string) => name.toLowerCase().replaceAll("_", "-");
const read = (name: string, text: string) => readSettings(toVariables({ [name]: text }));

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError);
    return (error as Error).message;
  }
  throw new Error("It was not refused.");
}

test("the cases below cover every setting", () => {
  expect(Object.keys(CASES).map(flagOf)).toEqual(listSettingFlags());
});

describe.each(Object.entries(CASES))("%s", (name, { property, fallback, good, bad, old }) => {
  test("has its default when it is not set or empty", () => {
    expect(readSettings()[property]).toEqual(fallback);
    expect(read(name, "")[property]).toEqual(fallback);
    expect(read(name, " \n")[property]).toEqual(fallback);
    expect(readSettings({}, { [flagOf(name)]: "" })[property]).toEqual(fallback);
  });

  test.each(good)("takes %j", (text, expected) => {
    expect(read(name, text)[property]).toEqual(expected);
    expect(read(`V2_${old ?? name}`, text)[property]).toEqual(expected);
    expect(readSettings({}, { [flagOf(name)]: text })[property]).toEqual(expected);
  });

  if (bad.length === 0) return;
  test("refuses what is out of bounds, in one line that names its source", () => {
    for (const text of bad) {
      const message = refusal(() => read(name, text));
      expect(message, text).toMatch(new RegExp(`^AUTOMAGIK_WORKFLOWS_${name}: the value .*; allowed: `));
      expect(message).not.toContain("\n");
      expect(refusal(() => read(`V2_${old ?? name}`, text))).toMatch(/^AUTOMAGIK_WORKFLOWS_V2_/);
      expect(refusal(() => readSettings({}, { [flagOf(name)]: text }))).toMatch(
        new RegExp(`^--${flagOf(name)}: `),
      );
    }
  });
});

describe("settings", () => {
  test("are taken from the flag before the variable, and from the variable before its old name", () => {
    const env = toVariables({ V2_MAX_TURNS: "1", MAX_TURNS: "2" });
    expect(readSettings(env, { "max-turns": "3" }).maxTurns).toBe(3);
    expect(readSettings(env, { "max-turns": "" }).maxTurns).toBe(2);
    expect(readSettings({ ...env, AUTOMAGIK_WORKFLOWS_MAX_TURNS: " " }).maxTurns).toBe(1);
  });

  test("ignore a wrong value that another one overrides", () => {
    expect(readSettings(toVariables({ TIMEOUT: "soon" }), { timeout: "60" }).timeoutS).toBe(60);
  });

  test("quote a wrong value, but never a key or an address", () => {
    expect(refusal(() => read("TIMEOUT", "so\non"))).toBe(
      'AUTOMAGIK_WORKFLOWS_TIMEOUT: the value "so\\non" is not allowed; allowed: 60–14400 s, whole',
    );
    expect(refusal(() => read("API_KEY", "my secret"))).not.toMatch(/my|secret/);
    expect(refusal(() => read("TOKENS", "anna=secret"))).not.toMatch(/secret/);
    for (const address of [
      "http://anna:secret@host",
      "ftp://anna:secret@host",
      "http://anna:secret@host:port",
    ]) {
      expect(refusal(() => read("BASE_URL", address))).not.toMatch(/anna|secret|host/);
    }
  });

  test.each(["AUTOMAGIK_WORKFLOWS_API_KEY", "env:KEY", "input:workflows-key", "user_config.api_key"])(
    "refuse the placeholder of %s that a client did not fill in, as a key and as a token",
    (name) => {
      const placeholder = `\${${name}}`;
      expect(refusal(() => read("API_KEY", placeholder))).toMatch(
        /^AUTOMAGIK_WORKFLOWS_API_KEY: the value holds a placeholder that the client did not fill in; [^|]*$/,
      );
      for (const text of [placeholder, `anna=${placeholder}`, `anna=0123456789abcdef,ben=${placeholder}`]) {
        expect(refusal(() => read("TOKENS", text))).toMatch(
          /^AUTOMAGIK_WORKFLOWS_TOKENS: the value holds a placeholder that the client did not fill in; [^|]*$/,
        );
      }
    },
  );

  test("say what is wrong with an address", () => {
    const why = (address: string) => refusal(() => read("BASE_URL", address));
    expect(why("localhost")).toContain("is not an address");
    expect(why("localhost:28881")).toContain("is neither http nor https");
    expect(why("http://a:b@host")).toContain("contains credentials");
    expect(why("http://host?x")).toContain("has a query or a fragment");
  });

  test("name everything that is wrong at once, still on one line", () => {
    const message = refusal(() =>
      readSettings(toVariables({ TIMEOUT: "1", TOOLSET: "x" }), { "max-turns": "0" }),
    );
    expect(message.split(" | ").map((part) => part.split(":")[0])).toEqual([
      "AUTOMAGIK_WORKFLOWS_TIMEOUT",
      "--max-turns",
      "AUTOMAGIK_WORKFLOWS_TOOLSET",
    ]);
    expect(message).not.toContain("\n");
  });
});

test("who still shares sessions by Redis is told what to set instead, without the address", () => {
  for (const name of ["AUTOMAGIK_WORKFLOWS_STATE", "AUTOMAGIK_WORKFLOWS_V2_STATE"]) {
    const read = () => readSettings({ [name]: "redis://:secret@host.example" });
    expect(read).toThrow(
      new RegExp(`^${name}: servers no longer share .* set AUTOMAGIK_WORKFLOWS_DATABASE to .*postgres://`),
    );
    expect(read).not.toThrow("secret");
    expect(readSettings({ [name]: " " }).database).toBeUndefined();
  }
  expect(() => readCommandLine(["serve", "--state", "redis://:secret@host.example"])).toThrow(
    /^--state: servers no longer share .* set AUTOMAGIK_WORKFLOWS_DATABASE to /,
  );
});

test("an engine in the background is handed what concerns it, and never the key of another server", () => {
  const env = toVariables({
    API_KEY: "sk-1",
    V2_LOG_LEVEL: "debug",
    CLAUDE_PATH: " /opt/claude ",
    TIMEOUT: "60",
  });
  const flags = { "engine-idle-timeout": "30", engine: "local", "engine-host": "0.0.0.0" };
  expect(listEngineVariables(env, flags)).toEqual(
    toVariables({ LOG_LEVEL: "debug", CLAUDE_PATH: "/opt/claude", ENGINE_IDLE_TIMEOUT: "30" }),
  );
});

test("variables that are no settings are told with what may be meant; present and old names and other programs' are not", () => {
  const present = Object.keys(CASES).map((name) => [name, "x"]);
  const old = Object.entries(CASES).map(([name, one]) => [`V2_${one.old ?? name}`, "x"]);
  const known = toVariables(Object.fromEntries([...present, ...old]));
  expect(tellUnknownVariables({ ...known, PATH: "/bin", WORKFLOWS_ENGINE: "x" })).toBeUndefined();
  expect(tellUnknownVariables(toVariables({ ENGINE_COST_LIMT: " " }))).toBeUndefined();
  expect(tellUnknownVariables({ ...known, ...toVariables({ ENGINE_COST_LIMT: "5" }) })).toBe(
    "AUTOMAGIK_WORKFLOWS_ENGINE_COST_LIMT (AUTOMAGIK_WORKFLOWS_ENGINE_COST_LIMIT may be meant) is no setting of this product, and has no effect",
  );
  expect(tellUnknownVariables(toVariables({ MAX_TRUNS: "5", ZYZZYVA: "1" }))).toBe(
    "AUTOMAGIK_WORKFLOWS_MAX_TRUNS (AUTOMAGIK_WORKFLOWS_MAX_TURNS may be meant), AUTOMAGIK_WORKFLOWS_ZYZZYVA are no settings of this product, and have no effect",
  );
});

describe("what is written down twice agrees", () => {
  const text = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");

  test("docs/settings.md's table with the settings (npm run readme writes it)", () => {
    const [, table] =
      /<!-- settings:begin -->\n([\s\S]*?)\n?<!-- settings:end -->/.exec(text("docs/settings.md")) ?? [];
    expect(table).toBe(renderSettingsTable());
    for (const [name, { fallback }] of Object.entries(CASES)) {
      const row = table?.split("\n").find((line) => line.startsWith(`| \`AUTOMAGIK_WORKFLOWS_${name}\` |`));
      expect(row).toContain(
        `| \`--${flagOf(name)}\` | ${fallback === undefined ? "–" : `\`${fallback}\``} |`,
      );
    }
  });

  test("the version with package.json's", () => {
    expect(VERSION).toBe(JSON.parse(text("package.json")).version);
  });
});
