import { randomUUID } from "node:crypto";
import { cleanLine } from "../../../shared/text.js";
import type { AgentPlace } from "../agent-kind.js";
import { buildEnvironment } from "../environment.js";
import { findProgram, probe } from "../find-program.js";
import { asRecord } from "../json.js";
import { SCHEMA_OPTION } from "./arguments.js";
import { CLAUDE_VARIABLES } from "./environment.js";

export type FoundClaude =
  | {
      ok: true;
      /** Absolute: the program, or a script for this Node. */
      path: string;
      version: string;
      /** "unknown" where it cannot be told before a start. */
      loggedIn: true | "unknown";
      /** Options that this version should be started with. */
      extraArgs: string[];
      /** It can be given a schema of what it has to give. */
      takesSchema: boolean;
    }
  | {
      ok: false;
      reason: "missing" | "broken" | "too_old" | "logged_out";
      /** For the person: what is wrong and what to do. */
      problem: string;
    };

/** Options that the engine needs. */
const NEEDED_OPTIONS = [
  "--input-format",
  "--session-id",
  "--replay-user-messages",
  "--setting-sources",
  "--settings",
  "--strict-mcp-config",
];
/** Newer versions keep a conversation's first system prompt, also when another workflow continues it. */
const SNAPSHOT_OPTION = "--system-prompt-snapshot";
/** With one of these the agent needs no login of its own. */
const CREDENTIALS = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];
const PROVIDERS = ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"];

const INSTALL = "Install it (npm install -g @anthropic-ai/claude-code) and run `claude` once to log in";

/**
 * Looks for Claude Code and finds out whether it can work, without asking a model. Takes about 0.5 s.
 * @param place.configured path or command name from the settings; default: `claude` on the PATH
 */
export async function findClaude(place: AgentPlace): Promise<FoundClaude> {
  const { configured, passedVariables = [], platform = process.platform } = place;
  const path = await findProgram(configured || "claude", place.env, platform);
  if (!path) {
    const where = configured ? `at "${configured}", where the settings say it is` : "on the PATH";
    const otherwise = configured ? "correct the setting" : "name it in AUTOMAGIK_WORKFLOWS_CLAUDE_PATH";
    return refuse("missing", `Claude Code was not found ${where}. ${INSTALL}, or ${otherwise}.`);
  }
  const mark = randomUUID().replaceAll("-", "");
  const env = buildEnvironment(place.env, mark, passedVariables, CLAUDE_VARIABLES);
  const [version, help] = await Promise.all([probe(path, ["--version"], env), probe(path, ["--help"], env)]);
  const number = /\d+\.\d+\.\d+/.exec(version.stdout)?.[0];
  if (!version.ok || !number) {
    const said = cleanLine(version.stderr || version.stdout, 200);
    return refuse(
      "broken",
      `${path} does not run as Claude Code${said ? ` (${said})` : ""}. ${INSTALL}, or set the right path.`,
    );
  }
  const missing = NEEDED_OPTIONS.filter((option) => !help.stdout.includes(option));
  if (help.ok && missing.length > 0)
    return refuse(
      "too_old",
      `Claude Code ${number} at ${path} is too old: it does not know ${missing.join(", ")}. Run \`claude update\`.`,
    );
  const loggedIn = await findLogin(path, env);
  if (loggedIn === false)
    return refuse(
      "logged_out",
      `Claude Code ${number} is installed but not logged in. Run \`claude\` in a terminal and log in, or set ANTHROPIC_API_KEY where the engine is started.`,
    );
  const extraArgs = help.stdout.includes(SNAPSHOT_OPTION) ? [`${SNAPSHOT_OPTION}=off`] : [];
  const takesSchema = help.stdout.includes(SCHEMA_OPTION);
  return { ok: true, path, version: number, loggedIn, extraArgs, takesSchema };
}

function refuse(reason: Extract<FoundClaude, { ok: false }>["reason"], problem: string): FoundClaude {
  return { ok: false, reason, problem };
}

async function findLogin(path: string, env: NodeJS.ProcessEnv): Promise<boolean | "unknown"> {
  if (
    CREDENTIALS.some((name) => env[name]) ||
    PROVIDERS.some((name) => /^(1|true|yes|on)$/i.test(env[name] ?? ""))
  )
    return true;
  // Answers with exit code 1 and the same JSON when nobody is logged in. Older versions do not know it.
  const { stdout } = await probe(path, ["auth", "status", "--json"], env);
  try {
    const { loggedIn } = asRecord(JSON.parse(stdout));
    return typeof loggedIn === "boolean" ? loggedIn : "unknown";
  } catch {
    return "unknown";
  }
}
