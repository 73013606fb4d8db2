import { randomUUID } from "node:crypto";
import type { Clock } from "../../../shared/clock.js";
import type { RunPolicy } from "../../permissions/run-policy.js";
import type { AgentEvent } from "../events.js";
import { asRecord, asText, type JsonRecord } from "../json.js";
import { type AgentQuestions, createAgentQuestions } from "../questions.js";
import type { AcpProfile } from "./acp-profile.js";
import { type FormQuestions, readForm } from "./form-questions.js";
import type { JsonRpc, RpcId } from "./json-rpc.js";
import {
  hidesChange,
  isOwnChange,
  readOptions,
  readPermission,
  refuseLinks,
  refusePaths,
} from "./permission-request.js";

/** The agent's requests that are decided here or wait for a person. */
export interface AcpQuestions extends Omit<AgentQuestions, "ask" | "cancel"> {
  /** Takes a request of the agent. False when it is not one of these. */
  ask(id: RpcId, method: string, params: JsonRecord): boolean;
  /** The turn is cancelled: nothing that is open is allowed, and the agent is told so. */
  cancelAll(): void;
  /** Why something was refused in the turn that ends by it, for the model; afterwards none. */
  takeReasons(): string[];
}

/** How one request is answered. */
type Answer = (response: JsonRecord) => object;

/** What the agent is told when nobody can permit the one call. */
const NOT_ONCE = "It could not be allowed for this one time, so it was not carried out.";

/** What the agent is told when nobody can know what they would permit. */
const NOT_SHOWN =
  "What this would change is not shown to the person, so it could not be allowed. It was not carried out. Make it " +
  "smaller: several steps, each with less text.";

/**
 * Turns requests for permission and forms into questions, and the answers into what the protocol knows. Only once at a
 * time is anything allowed: what holds for longer the agent would write into files that outlive the run.
 * @param options.own folders in which it may change files although it has to ask for that
 * @param options.callOf what the agent has told of a call
 * @param options.onReason gets why something was refused, where the turn goes on
 */
export function createAcpQuestions(options: {
  profile: AcpProfile;
  cwd: string;
  clock: Clock;
  who: string;
  policy: RunPolicy | undefined;
  own: readonly string[];
  rpc: () => Pick<JsonRpc, "respond">;
  emit: (event: AgentEvent) => void;
  callOf: (id: string | undefined) => JsonRecord;
  onReason: (reason: string) => void;
}): AcpQuestions {
  const { profile, cwd, policy, callOf } = options;
  const answers = new Map<string, { id: RpcId; answer: Answer; cancelled: object }>();
  let reasons: string[] = [];

  const questions = createAgentQuestions({
    ...options,
    respond(key, response) {
      const open = answers.get(key);
      answers.delete(key);
      if (open) options.rpc().respond(open.id, open.answer(response));
    },
  });

  function askPermission(id: RpcId, params: JsonRecord): void {
    const asked = asRecord(params.toolCall);
    const known = callOf(asText(asked.toolCallId));
    const offered = readOptions(params.options, profile.mildRefusals);
    const refuse = (reason: string): object => {
      // Without an option to refuse, the turn is taken for cancelled.
      if (offered.reject !== undefined && offered.goesOn) options.onReason(reason);
      else reasons.push(reason);
      return selected(offered.reject);
    };
    const answer: Answer = ({ behavior, message }) => {
      if (behavior !== "allow") return refuse(asText(message) ?? "It was refused.");
      return offered.allow === undefined ? refuse(NOT_ONCE) : selected(offered.allow);
    };
    const call = { ...known, ...asked };
    const isOwn = offered.allow !== undefined && isOwnChange(call, options.own);
    const refusal =
      refusePaths(call, policy) ??
      (isOwn ? undefined : (refuseLinks(call, cwd) ?? (hidesChange(call) ? NOT_SHOWN : undefined)));
    if (refusal !== undefined || isOwn) {
      options.rpc().respond(id, refusal === undefined ? selected(offered.allow) : refuse(refusal));
      return;
    }
    const { toolName, input, note } = readPermission(asked, known, { cwd, title: profile.title, policy });
    const key = keep(id, answer, { outcome: { outcome: "cancelled" } });
    questions.ask(key, {
      subtype: "can_use_tool",
      tool_name: toolName,
      input,
      tool_use_id: asked.toolCallId,
      decision_reason: note,
    });
  }

  function askForm(id: RpcId, params: JsonRecord): void {
    const form = readForm(params);
    if (!form) {
      options.rpc().respond(id, { action: "decline" });
      return;
    }
    const key = keep(id, (response) => fillForm(form, response), { action: "cancel" });
    questions.ask(key, {
      subtype: "can_use_tool",
      tool_name: "AskUserQuestion",
      input: form.input,
      tool_use_id: params.toolCallId,
    });
  }

  function fillForm(form: FormQuestions, { behavior, message, updatedInput }: JsonRecord): object {
    if (behavior === "allow")
      return { action: "accept", content: form.content(asRecord(asRecord(updatedInput).answers)) };
    const reason = asText(message);
    if (reason !== undefined) options.onReason(reason);
    return { action: "decline" };
  }

  /** @returns the id by which it is known here: the agent's own is a number that the next one begins with as well */
  function keep(id: RpcId, answer: Answer, cancelled: object): string {
    const key = randomUUID();
    answers.set(key, { id, answer, cancelled });
    return key;
  }

  return {
    ask(id, method, params) {
      if (method === "session/request_permission") askPermission(id, params);
      else if (method === "elicitation/create") askForm(id, params);
      else return false;
      return true;
    },
    cancelAll() {
      questions.withdrawAll();
      for (const { id, cancelled } of answers.values()) options.rpc().respond(id, cancelled);
      answers.clear();
    },
    takeReasons() {
      const taken = reasons;
      reasons = [];
      return taken;
    },
    answer: questions.answer,
    withdrawAll: questions.withdrawAll,
    open: questions.open,
    calls: questions.calls,
    hold: questions.hold,
    letGo: questions.letGo,
  };
}

function selected(optionId: string | undefined): object {
  return { outcome: optionId === undefined ? { outcome: "cancelled" } : { outcome: "selected", optionId } };
}
