import type { Clock } from "../../shared/clock.js";
import { cleanLine, cleanText } from "../../shared/text.js";
import type { Decision } from "../permissions/decide.js";
import type { RunPolicy } from "../permissions/run-policy.js";
import type { RunQuestion } from "../runs/run.js";
import { describeDetail, describeWish } from "./describe-tool.js";
import type { AgentEvent } from "./events.js";
import { asList, asRecord, asText, type JsonRecord } from "./json.js";
import { permissionKey, type RunPermission, readRunPermission } from "./run-permissions.js";

/** A person's answer to a question of a run. */
export interface AgentAnswer {
  /**
   * For permissions one of the choices that were offered; any other text refuses and tells the agent why. For the
   * agent's own questions the chosen values, joined by ", ", or an own text.
   */
  text: string;
  /** Nobody has answered: what the agent is told instead. A permission is then refused. */
  timedOut?: string | undefined;
}

interface OpenRequest {
  requestId: string;
  /** Those that have no answer yet. */
  questionIds: string[];
  /** For permissions: what the person sees is the same for requests in which these are. */
  same?: string[];
  /** The response, or undefined while further questions of the same request are open. */
  answer(questionId: string, answer: AgentAnswer): JsonRecord | undefined;
}

export interface AgentQuestions {
  /** The agent's `control_request`. True when it was one for us. */
  ask(requestId: string, request: JsonRecord): boolean;
  /** The agent's `control_cancel_request`. */
  cancel(requestId: string): void;
  answer(questionId: string, answer: AgentAnswer): void;
  withdrawAll(): void;
  open(): number;
}

const ALLOW_ONCE = "allow_once";
const ALLOW_RUN = "allow_run";
/** Stands for every request that only wants to run the repository's scripts. */
const SCRIPTS = "scripts";
const REFUSED = "The person refused this. It was not carried out.";
/** For the agent, when the person has no other choice. */
const TOO_LONG =
  "This is too long to be shown to the person in full, so it could not be allowed. It was not carried out. Make it " +
  "shorter: several steps, or a file in your folder that a short command uses.";

/**
 * Turns the agent's requests into questions for the person and their answers into responses. Nothing is ever allowed
 * but what `policy` allows, or what the person allowed, here or earlier in the same run.
 * @param options.policy what needs no question; without it everything is asked
 * @param options.respond sends the `response` part of a control response
 * @param options.who how the agent is called in questions
 */
export function createAgentQuestions(options: {
  cwd: string;
  clock: Clock;
  who: string;
  policy?: RunPolicy | undefined;
  emit: (event: AgentEvent) => void;
  respond: (requestId: string, response: JsonRecord) => void;
}): AgentQuestions {
  const { cwd, clock, who, policy, emit, respond } = options;
  const requests = new Map<string, OpenRequest>();
  const allowedForRun = new Set<string>();

  function open(request: OpenRequest, questions: RunQuestion[]): void {
    requests.set(request.requestId, request);
    for (const question of questions) emit({ type: "question", question });
  }

  /** What needs no question: the response, or how it is to be asked. */
  function settle(toolName: string, input: JsonRecord): JsonRecord | Extract<Decision, { decision: "ask" }> {
    const decided = policy?.decide(toolName, input) ?? { decision: "ask", about: "call" };
    if (decided.decision === "deny") return { behavior: "deny", message: decided.reason };
    if (decided.decision === "allow" || allowedForRun.has(permissionKey(toolName, input)))
      return { behavior: "allow", updatedInput: input };
    return decided;
  }

  function askPermission(requestId: string, toolName: string, request: JsonRecord): void {
    const input = asRecord(request.input);
    const settled = settle(toolName, input);
    if (!("decision" in settled)) {
      respond(requestId, settled);
      return;
    }
    const key = permissionKey(toolName, input);
    const forScripts = settled.about === "scripts";
    const forRun = readRunPermission(toolName, input, request.permission_suggestions);
    const question = describePermission(requestId, toolName, request, forRun, forScripts);
    const offered = question.choices.map(({ value }) => value);
    open(
      {
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
      [question],
    );
  }

  /**
   * "Allow for this run" of one of several open requests is the answer to all that are the same: a burst of them is
   * one decision. "Allow once" and "Deny" are about the one request only.
   */
  function settleSame(answered: OpenRequest): void {
    for (const other of [...requests.values()]) {
      const [questionId] = other.questionIds;
      if (!questionId || !other.same?.some((one) => answered.same?.includes(one))) continue;
      const response = other.answer(questionId, { text: ALLOW_RUN });
      if (!response) continue;
      requests.delete(other.requestId);
      respond(other.requestId, response);
      emit({ type: "question_settled", questionId, answer: ALLOW_RUN });
    }
  }

  function describePermission(
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
      askedAt: clock.now(),
      text: `${who} ${forScripts ? wish.replace("wants to run", "wants to run this repository's own scripts:") : wish}`,
      toolName,
      detail: detail.filter(Boolean).join("\n\n"),
      ...(cut ? { cut: true as const } : {}),
      choices: [...(cut ? [] : offerLeave(forRun, forScripts)), { value: "deny", title: "Deny" }],
      multiSelect: false,
    };
  }

  function offerLeave(forRun: RunPermission, forScripts: boolean): RunQuestion["choices"] {
    const once = { value: ALLOW_ONCE, title: "Allow once" };
    if (!forScripts) return [once, { value: ALLOW_RUN, title: `Allow for this run: ${forRun.scope}` }];
    return [
      once,
      { value: ALLOW_RUN, title: "Allow for this run: this repository's own scripts" },
      ...(policy?.repository === undefined
        ? []
        : [
            { value: "allow_repository", title: "Always allow: this repository's own scripts, in every run" },
          ]),
    ];
  }

  /** One request may hold several questions; each is asked by itself, and the agent is told when all have answers. */
  function askOwn(requestId: string, input: JsonRecord): boolean {
    const parts = asList(input.questions)
      .map(asRecord)
      .filter((part) => asText(part.question));
    if (parts.length === 0) return false;
    const ids = parts.map((_, index) => (parts.length === 1 ? requestId : `${requestId}-${index + 1}`));
    const answers = new Map<string, AgentAnswer>();
    open(
      {
        requestId,
        questionIds: ids,
        answer(id, answer) {
          answers.set(id, answer);
          this.questionIds = this.questionIds.filter((one) => one !== id);
          if (this.questionIds.length > 0) return undefined;
          const given = ids.map((one) => answers.get(one) ?? { text: "" });
          const silence = given.find((one) => one.timedOut !== undefined)?.timedOut;
          if (silence !== undefined && given.every((one) => one.timedOut !== undefined))
            return { behavior: "deny", message: silence };
          const texts = parts.map((part, index) => [
            String(part.question),
            given[index]?.timedOut ?? given[index]?.text ?? "",
          ]);
          return {
            behavior: "allow",
            updatedInput: { ...input, answers: Object.fromEntries(texts) },
          };
        },
      },
      parts.map((part, index) => describeOwn(ids[index] ?? requestId, part)),
    );
    return true;
  }

  function describeOwn(questionId: string, part: JsonRecord): RunQuestion {
    const choices = asList(part.options)
      .map(asRecord)
      .flatMap((option) => {
        const label = asText(option.label);
        const description = asText(option.description);
        if (!label) return [];
        // The value goes back to the agent as it came; only what is shown is cleaned.
        return [
          {
            value: label,
            title: cleanLine(label, 120),
            ...(description ? { description: cleanLine(description, 300) } : {}),
          },
        ];
      });
    return {
      questionId,
      kind: "question",
      askedAt: clock.now(),
      text: cleanLine(asText(part.question) ?? "", 1_000),
      choices,
      multiSelect: part.multiSelect === true,
    };
  }

  function withdraw(request: OpenRequest): void {
    requests.delete(request.requestId);
    for (const questionId of request.questionIds) emit({ type: "question_withdrawn", questionId });
  }

  return {
    ask(requestId, request) {
      const toolName = asText(request.tool_name);
      if (request.subtype !== "can_use_tool" || !toolName) return false;
      if (toolName === "AskUserQuestion" && askOwn(requestId, asRecord(request.input))) return true;
      askPermission(requestId, toolName, request);
      return true;
    },
    cancel(requestId) {
      const request = requests.get(requestId);
      if (request) withdraw(request);
    },
    answer(questionId, answer) {
      const request = [...requests.values()].find((one) => one.questionIds.includes(questionId));
      const response = request?.answer(questionId, answer);
      if (!request || !response) return;
      requests.delete(request.requestId);
      respond(request.requestId, response);
      if (request.same && response.behavior === "allow" && answer.text.trim() !== ALLOW_ONCE)
        settleSame(request);
    },
    withdrawAll() {
      for (const request of [...requests.values()]) withdraw(request);
    },
    open: () => requests.size,
  };
}

/**
 * What stands for requests that the agent gives the same reason for and that the same rules would cover; empty where
 * it knows no rules.
 */
function describeRules(
  toolName: string,
  { updatedPermissions }: RunPermission,
  request: JsonRecord,
): string[] {
  if (updatedPermissions.length === 0) return [];
  return [JSON.stringify([toolName, updatedPermissions, request.decision_reason ?? null])];
}

/** What the person agrees to, beyond the one command. */
function explainScripts(policy: RunPolicy | undefined): string {
  const where = policy?.sandboxed
    ? "They run in a sandbox: they change nothing outside of the workspace, and you are asked about each host that they want to reach."
    : "They are not in a sandbox: they can do whatever you can do on this machine.";
  return (
    "This repository's own scripts may run: npm test, npm run build, make test, pytest, cargo test and the like. They " +
    `do whatever the repository's files say, also what the agent has written into them. ${where}`
  );
}
