import { devNull } from "node:os";
import { MARK_NAME } from "../../shared/agent-mark.js";

/** If the engine itself was started by an agent, these variables are about that agent. */
const OUTER_SESSION = new Set([
  "AI_AGENT",
  "CLAUDECODE",
  "CLAUDE_EFFORT",
  "CLAUDE_PID",
  "CLAUDE_CODE_CHILD_NOTES_DIR",
  "CLAUDE_CODE_CHILD_SESSION",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_EXECPATH",
  "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
  "CLAUDE_CODE_MESSAGING_SOCKET",
  "CLAUDE_CODE_MESSAGING_TOKEN",
  "CLAUDE_CODE_SESSION_ATTENDED",
  "CLAUDE_CODE_SESSION_ID",
  "CLAUDE_CODE_SSE_PORT",
]);

/** Names of variables that hold credentials. */
const CREDENTIAL =
  /(^|_)(token|tokens|secret|secrets|password|passwd|passphrase|pat|apikey|credential|credentials|webhook)(_|$)|_key(_id)?$|authtoken|^pg(password|passfile)$/i;
/** Services through which an agent could act elsewhere in the person's name; ids and addresses of theirs go too. */
const SERVICE =
  /^(linear|slack|discord|telegram|teams|mattermost|jira|atlassian|confluence|notion|asana|trello|pagerduty|twilio|sendgrid|mailgun|stripe|sentry)_/i;
/** Headers with which figures and traces are sent somewhere. */
const TELEMETRY = /^otel_.*headers$/i;
/** What a kind of agent needs of the environment, beyond what all are given. */
export interface KindVariables {
  /** Names of variables by which it reaches its model: it gets them although they hold credentials. */
  access: RegExp;
  /** The clouds through which it may reach its model, and which variables tell that it does. */
  clouds: readonly { names: RegExp; switches: readonly string[] }[];
  /** What is set where the person has set nothing else. */
  defaults: NodeJS.ProcessEnv;
  /** What is set whatever the person has set. */
  fixed: NodeJS.ProcessEnv;
}

/**
 * The agent's environment: the given one with what the engine counts on, and without what an agent that reads
 * strangers' text must not hold: this product's own settings (its key), and credentials of other services.
 * @param mark identifies everything that the agent starts, see `MARK_NAME`
 * @param passed names of variables that it gets all the same; a star at the end stands for any rest
 */
export function buildEnvironment(
  env: NodeJS.ProcessEnv,
  mark: string,
  passed: readonly string[],
  kind: KindVariables,
): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => {
    if (/^AUTOMAGIK_/i.test(name) || OUTER_SESSION.has(name.toUpperCase())) return false;
    return passed.some((pattern) => isNamed(name, pattern)) || !isCredential(name, env, kind);
  });
  return {
    ...kind.defaults,
    ...Object.fromEntries(kept),
    ...kind.fixed,
    ...onlyMarkedRepositories(env),
    [MARK_NAME]: mark,
  };
}

/**
 * Git takes any folder with HEAD, objects and refs in it for a repository of its own, and runs the programs that its
 * `config` names. A cloned repository can hold such a folder among its files, and an agent can write one: in it a mere
 * `git status` would run whatever it says. Only a `.git` makes one for agents, which nobody writes unasked.
 */
function onlyMarkedRepositories(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return gitSetting(env, "safe.bareRepository", "explicit");
}

/**
 * Without the hooks that are files of the repository: git runs some of them (`post-index-change`) for a mere
 * `git status`, and nobody is asked.
 */
export function withoutHooks(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, ...gitSetting(env, "core.hooksPath", devNull) };
}

/** What adds a setting for git to an environment, behind those that it has. */
function gitSetting(env: NodeJS.ProcessEnv, key: string, value: string): NodeJS.ProcessEnv {
  const count = /^\d{1,4}$/.test(env.GIT_CONFIG_COUNT ?? "") ? Number(env.GIT_CONFIG_COUNT) : 0;
  return {
    GIT_CONFIG_COUNT: String(count + 1),
    [`GIT_CONFIG_KEY_${count}`]: key,
    [`GIT_CONFIG_VALUE_${count}`]: value,
  };
}

function isCredential(name: string, env: NodeJS.ProcessEnv, { access, clouds }: KindVariables): boolean {
  if (access.test(name)) return false;
  const cloud = clouds.find(({ names }) => names.test(name));
  if (cloud?.switches.some((one) => /^(1|true|yes|on)$/i.test(env[one] ?? ""))) return false;
  return CREDENTIAL.test(name) || SERVICE.test(name) || TELEMETRY.test(name);
}

function isNamed(name: string, pattern: string): boolean {
  return pattern.endsWith("*")
    ? name.toUpperCase().startsWith(pattern.slice(0, -1).toUpperCase())
    : name.toUpperCase() === pattern.toUpperCase();
}
