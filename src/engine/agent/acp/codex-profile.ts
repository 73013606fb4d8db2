import { existsSync, lstatSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { MARK_NAME } from "../../../shared/agent-mark.js";
import type { AgentOptions } from "../agent-process.js";
import type { KindVariables } from "../environment.js";
import { asRecord, asText, type JsonRecord } from "../json.js";
import type { AcpProfile } from "./acp-profile.js";
import { listCommitFolders } from "./git-folders.js";

/** It edits the workspace, and asks before it writes elsewhere or uses the network. */
const EDITING = "workspace-write";
/** It asks before it writes anything. Its usual mode lets a model decide on what is asked. */
const READING = "read-only";

/** Codex's own words for why its model has not answered. */
const CAUSES: Record<string, string> = {
  usageLimitExceeded: "rate_limit",
  unauthorized: "authentication_failed",
  contextWindowExceeded: "prompt_too_long",
  serverOverloaded: "overloaded",
  internalServerError: "server_error",
  httpConnectionFailed: "server_error",
  responseStreamConnectionFailed: "server_error",
  responseStreamDisconnected: "server_error",
  responseTooManyFailedAttempts: "server_error",
};
const TOO_MANY_REQUESTS = 429;
/** The same where it tells a failure in a sentence only. */
const WORDS: readonly [RegExp, string][] = [
  [/\bstatus:? 429\b|usage limit|rate limit/i, "rate_limit"],
  [/\bstatus:? 40[13]\b/i, "authentication_failed"],
  [/context window/i, "prompt_too_long"],
  [
    /\bstatus:? 5\d\d\b|stream disconnected|error sending request|connection (?:failed|refused)/i,
    "server_error",
  ],
];

/** What Codex needs of the environment. */
export const CODEX_VARIABLES: KindVariables = {
  access: /^(openai|codex)_/i,
  clouds: [],
  defaults: {},
  fixed: {
    INITIAL_AGENT_MODE: READING,
    // Nobody looks at a browser that it would open to log in.
    NO_BROWSER: "1",
  },
};

/** Codex, through `codex-acp`. */
export const codexProfile: AcpProfile = {
  title: "Codex",
  mode: modeOf,
  steering: { method: "_session/steering", meta: { steering: { idleBehavior: "promptRequired" } } },
  mildRefusals: ["decline", "reject_permissions"],
  commandsOutliveCancel: true,
  variables: (options) => ({
    ...CODEX_VARIABLES,
    fixed: {
      ...CODEX_VARIABLES.fixed,
      INITIAL_AGENT_MODE: modeOf(options),
      CODEX_CONFIG: JSON.stringify(configOf(options)),
    },
  }),
  refuse({ cwd }) {
    const found = findProjectSettings(cwd);
    return found === undefined
      ? undefined
      : `Codex was not started: the workspace has ${found}. Codex would take its settings from there, and run what they name without asking anybody. Use a workflow of another agent, or take it out of the branch.`;
  },
  titlesByModel: true,
  folders: (options) =>
    modeOf(options) === EDITING ? [...listCommitFolders(options.cwd), ...(options.ownFolders ?? [])] : [],
  // A slash at the beginning would make it a command to the program itself (/logout …), blanks before it or not.
  asText: (message) => (message.trimStart().startsWith("/") ? `This is a message: ${message}` : message),
  // What the program says itself, such as failures of the model's API, belongs to no message.
  isOfModel: (update) => asText(update.messageId) !== undefined,
  // Nothing is told of a command that its sandbox has stopped.
  usageOfEachAnswer: true,
  readState(update) {
    const { threadStatus, error } = asRecord(asRecord(update._meta).codex);
    const status = asText(asRecord(threadStatus).type);
    if (error !== undefined) return { cause: causeOf(error) };
    return status === undefined ? undefined : { failed: status === "systemError" };
  },
  causeOf,
};

/** A workflow that lets edits be made without a question has them made so. */
function modeOf({ permissionMode }: AgentOptions): string {
  return permissionMode === "acceptEdits" || permissionMode === "bypassPermissions" ? EDITING : READING;
}

/** @param data what comes with an error: `codexErrorInfo` is a word, or an object with one key */
function causeOf(data: unknown, text = ""): string | undefined {
  const info = asRecord(data).codexErrorInfo;
  const word = typeof info === "string" ? info : (Object.keys(asRecord(info))[0] ?? "");
  const { httpStatusCode } = asRecord(asRecord(info)[word]);
  if (httpStatusCode === TOO_MANY_REQUESTS) return "rate_limit";
  return CAUSES[word] ?? WORDS.find(([words]) => words.test(text))?.[1];
}

/** The settings of this process, beside the person's own. */
function configOf({ env, excludedInstructions = [], personHooks, mark }: AgentOptions): JsonRecord {
  const given = readConfig(env.CODEX_CONFIG);
  const policy = asRecord(given.shell_environment_policy);
  return {
    ...given,
    features: {
      ...asRecord(given.features),
      // Else it asks a person only while it plans.
      default_mode_request_user_input: true,
      // What the person has connected acts in their name, and hooks are programs: neither is asked about.
      apps: false,
      plugins: false,
      remote_plugin: false,
      hooks: personHooks === true,
    },
    // The program that a person has it call at each end of a turn.
    notify: [],
    // The network is asked for.
    web_search: "disabled",
    // The person's own may leave the mark out, by which a command is found that outlives the agent.
    shell_environment_policy: {
      ...policy,
      set: { ...asRecord(policy.set), ...(mark === undefined ? {} : { [MARK_NAME]: mark }) },
    },
    // Which of them, it cannot be told: so none is read.
    ...(excludedInstructions.length > 0 ? { project_doc_max_bytes: 0 } : {}),
  };
}

function readConfig(text: string | undefined): JsonRecord {
  try {
    return asRecord(JSON.parse(text ?? "{}"));
  } catch {
    return {};
  }
}

/** What Codex reads as settings of a project: servers and hooks in it are programs, and rules let commands run unasked. */
const PROJECT_SETTINGS = ".codex";

/** The first of them from the workspace up to the root of its repository, as a person finds it. */
function findProjectSettings(cwd: string): string | undefined {
  const folders = [cwd];
  while (!existsSync(join(folders.at(-1) ?? "", ".git"))) {
    const folder = folders.at(-1) ?? "";
    // Without a repository only the folder itself counts.
    if (dirname(folder) === folder) return holds(cwd) ? `a ${PROJECT_SETTINGS}` : undefined;
    folders.push(dirname(folder));
  }
  const found = folders.find(holds);
  return found === undefined ? undefined : join(relative(cwd, found), PROJECT_SETTINGS);
}

function holds(folder: string): boolean {
  return lstatSync(join(folder, PROJECT_SETTINGS), { throwIfNoEntry: false }) !== undefined;
}
