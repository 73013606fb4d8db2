import { cleanLine, cleanText } from "../../shared/text.js";
import type { Decision } from "../permissions/decide.js";
import type { RunPolicy } from "../permissions/run-policy.js";
import type { RunQuestion } from "../runs/run.js";
import { TOOL_CHARACTERS } from "./bounds.js";
import { describeDetail, describeWish } from "./describe-tool.js";
import { asRecord, asText, type JsonRecord } from "./json.js";
import type { NewRequest } from "./open-request.js";
import { permissionKey, type RunPermission, readRunPermission } from "./run-permissions.js";

/** The choice that permits one request only. */
export const ALLOW_ONCE = "allow_once";
/** The choice that also permits the same request later in the run. */
export const ALLOW_RUN = "allow_run";
/** The key that all requests to run only the repository's scripts share. */
const SCRIPTS = "scripts";
const REFUSED = "The person refused this. It was not carried out.";
/** For the agent, when the person has no other choice. */
const TOO_LONG =
  "This is too long to be shown to the person in full, so it could not be allowed. It was not carried out. Make it " +
  "shorter: several steps, or a file in your folder that a short command uses.";

/** Decides on an agent's requests for permission, or makes the question for the person. */
export interface PermissionQuestions {
  /**
   * @param request the agent's `can_use_tool` request
   * @returns the response, where nobody need be asked, or the request with its question
   */
  read(requestId: string, toolName: string, request: JsonRecord): { response: JsonRecord } | NewRequest;
}

/**
 * @param options.who how the agent is called in questions
 * @param options.policy what needs no question; without it everything is asked
 */
export function createPermissionQuestions(options: {
  cwd: string;
  now: () => number;
  who: string;
  policy?: RunPolicy | undefined;
}): PermissionQuestions {
  const { cwd, now, who, policy } = options;
  const allowedForRun = new Set<string>();

  /** The response, where nobody need be asked, or how the question is to be put. */
  function settle(toolName: string, input: JsonRecord): JsonRecord | Extract<Decision, { decision: "ask" }> {
    const decided = policy?.decide(toolName, input) ?? { decision: "ask", about: "call" };
    if (decided.decision === "deny") return { behavior: "deny", message: decided.reason };
    if (decided.decision === "allow" || allowedForRun.has(permissionKey(toolName, input)))
      return { behavior: "allow", updatedInput: input };
    return decided;
  }

  function describe(
    questionId: string,
    toolName: string,
    request: JsonRecord,
    forRun: RunPermission,
    forScripts: boolean,
  ): RunQuestion {
    const input = asRecord(request.input);
    const { text, cut } = describeDetail(toolName, input);
    const reason = asText(request.decision_reason);
    const detail = [
      text,
      forScripts && explainScripts(policy),
      cut &&
        "It is too long to be shown in full, so it cannot be allowed. The agent is told to make it shorter.",
      reason && cleanText(reason, 500),
    ];
    const wish = describeWish(toolName, input, cwd);
    return {
      questionId,
      kind: "permission",
      askedAt: now(),
      text: `${who} ${forScripts ? wish.replace("wants to run", "wants to run this repository's own scripts:") : wish}`,
      toolName: cleanLine(toolName, TOOL_CHARACTERS),
      detail: detail.filter(Boolean).join("\n\n"),
      ...(cut ? { cut: true as const } : {}),
      choices: [...(cut ? [] : waysToAllow(forRun, forScripts)), { value: "deny", title: "Deny" }],
      multiSelect: false,
    };
  }

  function waysToAllow(forRun: RunPermission, forScripts: boolean): RunQuestion["choices"] {
    const once = { value: ALLOW_ONCE, title: "Allow once" };
    if (!forScripts) return [once, { value: ALLOW_RUN, title: `Allow for this run: ${forRun.scope}` }];
    return [
      once,
      { value: ALLOW_RUN, title: "Allow this repository's scripts in this run" },
      ...(policy?.repository === undefined
        ? []
        : [{ value: "allow_repository", title: "Always allow this repository's scripts" }]),
    ];
  }

  return {
    read(requestId, toolName, request) {
      const input = asRecord(request.input);
      const settled = settle(toolName, input);
      if (!("decision" in settled)) return { response: settled };
      const key = permissionKey(toolName, input);
      const forScripts = settled.about === "scripts";
      const forRun = readRunPermission(toolName, input, request.permission_suggestions);
      const question = describe(requestId, toolName, request, forRun, forScripts);
      const offered = question.choices.map(({ value }) => value);
      return {
        questions: [question],
        request: {
          requestId,
          questionIds: [requestId],
          ...(question.cut
            ? {}
            : { same: forScripts ? [SCRIPTS] : [key, ...describeRules(toolName, forRun, request)] }),
          answer(_id, { text, timedOut }) {
            const choice = timedOut === undefined ? text.trim() : "";
            if (choice === "deny" || !offered.includes(choice)) {
              const own = choice && choice !== "deny" ? `${REFUSED} They say: ${choice}` : REFUSED;
              return { behavior: "deny", message: timedOut ?? (question.cut ? TOO_LONG : own) };
            }
            if (choice === ALLOW_ONCE) return { behavior: "allow", updatedInput: input };
            if (forScripts) policy?.allowScripts(choice === "allow_repository" ? "repository" : "run");
            else allowedForRun.add(key);
            const { updatedPermissions } = forScripts ? { updatedPermissions: [] } : forRun;
            return {
              behavior: "allow",
              updatedInput: input,
              ...(updatedPermissions.length > 0 ? { updatedPermissions } : {}),
            };
          },
        },
      };
    },
  };
}

/**
 * The key of requests that the agent gives the same reason for and that the same rules would cover; none where it
 * knows no rules.
 */
function describeRules(
  toolName: string,
  { updatedPermissions }: RunPermission,
  request: JsonRecord,
): string[] {
  if (updatedPermissions.length === 0) return [];
  return [JSON.stringify([toolName, updatedPermissions, request.decision_reason ?? null])];
}

/** What the person agrees to, beyond the one command; what matters first, since a form shows little of it. */
function explainScripts(policy: RunPolicy | undefined): string {
  const where = policy?.sandboxed
    ? "They run in a sandbox: they change nothing outside the workspace, and you are asked about each host they want."
    : "They are not in a sandbox: they can do whatever you can do on this machine.";
  return (
    `${where}\n\nThis repository's own scripts may run: npm test, npm run build, make test, pytest, cargo test and the ` +
    "like. They do whatever the repository's files say, including what the agent has written into them."
  );
}
