import type { Question } from "../../actions/forms/form-client.js";

/** Named in each request that changes something: a page of another site cannot send it. */
export const ACTION_HEADER = "x-dashboard";

/** What the person may do from the dashboard. */
export type ActionName = "answer" | "feedback" | "kill" | "take" | "discard" | "plan";

/** Body of `POST /dashboard/api/actions`. */
export interface ActionRequest {
  /** Made by the page, 16 to 64 of [A-Za-z0-9_-]: the same one sent again gives the same call, and does nothing twice. */
  id: string;
  action: ActionName;
  /** As in the chat: run_id, plan_id, question_id, answer, message, change, step, into, squash, force … */
  arguments: Record<string, unknown>;
}

/** A form that the action shows the person. */
export interface FormView {
  id: string;
  message: string;
  fields: Omit<Question, "onlyWith">[];
}

/**
 * How a call stands: the answer of /api/actions, /api/actions/{id} and /api/actions/{id}/form. A form that asks to agree
 * has one field `confirm` with the choices `no` and `yes`; only what is sent from the form counts as agreed.
 */
export type CallView =
  | { id: string; state: "form"; form: FormView }
  /** It takes longer: `GET /dashboard/api/actions/{id}` waits on, for some 20 s each time. */
  | { id: string; state: "working"; message?: string }
  | {
      id: string;
      state: "done";
      outcome: string;
      summary: string;
      check?: { passed: boolean; output: string };
    }
  /** It was not done, or it is not known; the message says so. */
  | { id: string; state: "failed"; message: string };

/** Body of `POST /dashboard/api/actions/{id}/form`; without `values` it was declined. */
export interface FormReply {
  formId: string;
  values?: Record<string, string>;
}
