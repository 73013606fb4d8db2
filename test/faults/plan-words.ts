import type { ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import type { ShownForm } from "../support/harness.js";
import type { SeenCall, SeenForm, Word } from "./observed.js";

/** A form about a plan that goes on: a gate, or a fan-out that needs the person's agreement. */
export function isOfPlan({ schema }: ShownForm): boolean {
  return "decision" in (schema.properties as object);
}

/** What a form's choices, and the words of an answer before its colon, say. */
const DECISIONS: Record<string, Word["word"]> = {
  approve: "approve",
  "send back": "send-back",
  send_back: "send-back",
  stop: "stop",
  yes: "agree",
};
/** A faulty answer to a form is not the person's leave. */
const NO_LEAVE = ["decline", "cancel", "too late", "client fails"];

/** A form about the call's own deed that met no leave. */
export function noOf({ forms }: SeenCall): SeenForm | undefined {
  return forms.find(({ isWithin, answer }) => !isWithin && NO_LEAVE.includes(answer));
}

/** What the person has said by a form. */
export function wordOfForm(
  form: ShownForm,
  { action, content }: ElicitResult,
  call?: SeenCall,
): Word | undefined {
  const plan = planOf(call);
  if (action !== "accept" || plan === undefined) return undefined;
  const word = isOfPlan(form) ? DECISIONS[String(content?.decision)] : undefined;
  return word && { plan, word };
}

/** What the person has said by a call that is over: a model may only hand on what it was told. */
export function wordOfCall(call: SeenCall): Word | undefined {
  const plan = planOf(call);
  if (plan === undefined || noOf(call)) return undefined;
  if (call.action === "kill") return { plan, word: "kill" };
  if (call.action !== "answer") return undefined;
  const word = DECISIONS[String(call.args.answer).split(":")[0] ?? ""];
  return word && { plan, word };
}

/** What the person has said by ending the task of a call. */
export function wordOfTaskEnd(call: SeenCall): Word | undefined {
  const plan = planOf(call);
  return plan === undefined ? undefined : { plan, word: "kill" };
}

function planOf(call: SeenCall | undefined): string | undefined {
  const name = call?.args.plan_id ?? call?.args.session_name;
  return typeof name === "string" && name.startsWith("hive-") ? name : undefined;
}
