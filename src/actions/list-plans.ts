import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";

const LIST_PARAMETERS = ["repository_url", "git_branch", "active_only", "limit"] as const;

/** Lists the templates of plans and the plans that go on or have ended. */
export const listPlansAction = defineAction({
  name: "list_plans",
  toolName: "list_plans",
  title: "List plans",
  summary: "templates of plans with their inputs, and plans that go on or have ended.",
  description:
    "Lists the templates that a plan can be begun from, with what each asks for, and the plans that go on or have " +
    "ended, with what they wait for.",
  searchHint: "plans templates list workflow waiting gates multi agent orchestration automagik",
  parameters: LIST_PARAMETERS,
  about: {
    repository_url:
      "Repository whose own templates are listed, too; left out, the one that the client stands in.",
    git_branch: "Its branch.",
    active_only: "Only plans that have not ended (default false).",
    limit: "Maximum plans to list (default 20).",
  },
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  answerParts: ["plans", "templates"],

  async handle(
    args: Arguments<(typeof LIST_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    const { listPlans } = await import("./plans/list-all-plans.js");
    return listPlans(args, call, services);
  },
});
