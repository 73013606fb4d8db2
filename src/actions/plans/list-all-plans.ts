import type { Past } from "../../history/history.js";
import { tellSuccess } from "../../history/tell-usual.js";
import type { PlanSummary } from "../../plan-runner/plan-summary.js";
import type { TemplateInfo } from "../../plan-templates/templates.js";
import { optional } from "../../plans/plan.js";
import { withDeadline } from "../../shared/deadline.js";
import { cleanLine } from "../../shared/text.js";
import type { Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { toCents, toIso } from "./describe-plan-answer.js";
import { spell } from "./input-questions.js";
import { offerTemplates } from "./offer-templates.js";
import { telling } from "./open-plans.js";
import { placeOfTemplates } from "./standing-in.js";
import { watchPlan } from "./tell-plan.js";

const DEFAULT_LIMIT = 20;
const MAX_TEMPLATES = 50;
/** How long a list waits for what is known of the past, in ms. */
const HISTORY_MS = 500;
const FINAL: readonly string[] = ["completed", "failed", "killed"];

/** The templates, and the plans of this server: those that have not ended first, each newest first. */
export async function listPlans(
  args: {
    repository_url?: string | undefined;
    git_branch?: string | undefined;
    active_only?: boolean | undefined;
    limit?: number | undefined;
  },
  call: Call,
  services: Services,
): Promise<Answer> {
  const place = await placeOfTemplates(args, call, services);
  const found = await services.templates.list(place, call.signal);
  const templates = found.slice(0, MAX_TEMPLATES);
  const plans = await readPlans(services);
  const past = await withDeadline(services.clock, HISTORY_MS, () => services.sessions.history.read());
  const offers = offerTemplates(past?.figures ?? [], {
    repository: place.repositoryUrl,
    templates: found.map(({ name }) => name),
  });
  const open = plans.filter(({ status }) => !FINAL.includes(status));
  const all = args.active_only ? open : [...open, ...plans.filter((plan) => !open.includes(plan))];
  const shown = all.slice(0, args.limit ?? DEFAULT_LIMIT);
  const waiting = open.filter(({ waitingFor }) => waitingFor.length > 0);
  const more = all.length > shown.length ? ` The newest ${shown.length} of ${all.length} are shown.` : "";
  const [first] = waiting;
  return {
    outcome: "ok",
    summary: [
      ...(waiting.length > 0
        ? [`Needs the person: ${waiting.map(({ name }) => cleanLine(name, 100)).join(", ")}.`]
        : []),
      `Plans that have not ended: ${open.length}; that have ended: ${plans.length - open.length}. Templates: ${templates.length}.${more}`,
      ...(offers.length > 0
        ? ["What has gone well several times; nothing is saved unless the person says so:"]
        : []),
      ...offers,
    ].join("\n"),
    plans: shown.map(describeSummary),
    templates: templates.map((template) => describeTemplate(template, past)),
    ...(first ? { next: watchPlan(first.planId, "See what it waits for.") } : {}),
  };
}

/** Without a place for plans there are none, which keeps nobody from seeing templates. */
async function readPlans(services: Services): Promise<PlanSummary[]> {
  return telling(
    "The plans go on by themselves.",
    async () => (await services.plans.openIfAny())?.list() ?? [],
  );
}

/** A plan as lists tell it, in the published names. */
export function describeSummary(plan: PlanSummary): NonNullable<Answer["plans"]>[number] {
  const waits = plan.waitingFor.map(({ step, what, since }) => ({
    step,
    what: cleanLine(what, 200),
    since: toIso(since),
  }));
  return {
    plan_id: plan.planId,
    name: cleanLine(plan.name, 100),
    status: plan.status,
    line: cleanLine(plan.line, 400),
    created_at: toIso(plan.createdAt),
    runs: { started: plan.runs.started, limit: plan.runs.limit },
    ...optional("cost_usd", plan.costUsd === undefined ? undefined : toCents(plan.costUsd)),
    ...optional("cost_limit_usd", plan.costLimitUsd),
    ...(waits.length > 0 ? { waiting_for: waits } : {}),
  };
}

/** A template in the published names. */
export function describeTemplate(
  template: TemplateInfo,
  past?: Pick<Past, "successOfTemplate">,
): NonNullable<Answer["templates"]>[number] {
  const success = past?.successOfTemplate(template.name);
  return {
    name: cleanLine(template.name, 100),
    ...(template.description ? { description: cleanLine(template.description, 300) } : {}),
    source: template.source,
    inputs: Object.entries(template.inputs).map(([name, field]) => ({
      name,
      type: field.type,
      required: field.required,
      ...optional("description", field.description && cleanLine(field.description, 200)),
      ...optional("choices", field.enum && [...field.enum]),
      ...optional(
        "default",
        field.default === undefined ? undefined : cleanLine(spell(field.default, "; "), 200),
      ),
    })),
    ...optional("success", success && tellSuccess(success)),
    ...optional("problem", template.problem && cleanLine(template.problem, 300)),
  };
}
