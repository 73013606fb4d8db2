import { checkPlan } from "../../plans/language/check-plan.js";
import { optional } from "../../plans/plan.js";
import { planLimitsOf } from "../../settings/plan-settings.js";
import type { Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { tellNotAsked } from "../forms/ask-to-choose.js";
import { askRepository } from "../start/form-questions.js";
import { fillIn, toMissing } from "../start/unfinished-form.js";
import { findTemplate } from "./find-template.js";
import { askForInputs } from "./input-questions.js";
import { isTemplateName, readRecord, requireSound } from "./read-plan.js";

/** What of a start can be looked at without an API. */
export interface LookedAhead {
  plan: string;
  /** JSON. */
  inputs: string;
  repository_url?: string | undefined;
  git_branch?: string | undefined;
}

/**
 * Finds what keeps a plan from beginning, as far as that can be known before anything is asked of the API: so that no
 * engine is started for a plan which cannot begin.
 * @returns the answer with what is missing, where nobody can be asked; undefined when nothing is known to be in the way
 * @throws ActionError when there is no such template, or the plan has mistakes
 */
export async function findObstacle(
  args: LookedAhead,
  call: Call,
  services: Services,
): Promise<Answer | undefined> {
  const { settings } = services;
  const { plan: wanted, repository_url } = args;
  const inputs = (await readRecord("inputs", args.inputs)) ?? {};
  const template = isTemplateName(wanted) ? await findTemplate(wanted, args, call, services) : undefined;
  // Without a list any name of a workflow is taken: the API's own is held against it later.
  const checked = await checkPlan(template?.text ?? wanted, {
    ...{ inputs, workflows: undefined, cannot: {}, defaults: planLimitsOf(settings) },
    ...optional("name", template?.name),
  });
  const { plan, missing } = requireSound(checked, template ? `The template ${template.name}` : "The plan");
  if (call.forms.supported) return undefined;
  const questions = [
    ...askForInputs(plan.inputs, missing, Object.keys(inputs)),
    ...(repository_url === undefined ? [askRepository(undefined, settings.engine === "local")] : []),
  ];
  const open = fillIn(questions);
  if (!Array.isArray(open)) return undefined;
  return {
    outcome: "input_required",
    summary: `${tellNotAsked({ kind: "not_asked", why: "no_forms" }, call)} Nothing was sent.`,
    missing: toMissing(open),
  };
}
