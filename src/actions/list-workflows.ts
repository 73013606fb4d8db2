import type { Past } from "../history/history.js";
import { tellSuccess, tellUsual } from "../history/tell-usual.js";
import { withDeadline } from "../shared/deadline.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { describeCapabilities } from "./describe-capabilities.js";

const PARAMETERS = ["detailed"] as const;
/** A list younger than this is not read again for one question, in ms. */
const FRESH_MS = 5_000;
/** How long a list waits for what is known of past runs, in ms. */
const HISTORY_MS = 500;
/** How many of the workflows that cannot be used are named. */
const MOST_PROBLEMS = 10;

/** Lists the workflows that the API offers now. */
export const listWorkflowsAction = defineAction({
  name: "list_workflows",
  toolName: "list_workflows",
  title: "List workflows",
  summary: "list the available workflows.",
  description: "Lists the workflows that the API offers now, with what they are for.",
  searchHint: "which workflows are there available automagik",
  parameters: PARAMETERS,
  about: { detailed: "Tell the capabilities of each, and the API's own description." },
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  answerParts: ["workflows", "api"],

  async handle(
    args: Arguments<(typeof PARAMETERS)[number]>,
    _call: Call,
    services: Services,
  ): Promise<Answer> {
    const { catalogue, capabilities, clock, api, sessions } = services;
    const before = catalogue.state();
    const fresh = before.available && !before.problem && catalogue.ageMs() < FRESH_MS;
    // The description is read again beside the list.
    const [state] = fresh
      ? [before]
      : await Promise.all([catalogue.refresh(), args.detailed ? capabilities.refresh() : undefined]);
    const readAt = state.readAt === undefined ? undefined : new Date(state.readAt).toISOString();
    const stale = state.problem ? ` ${state.problem}` : "";
    const problems = api.workflowProblems().slice(0, MOST_PROBLEMS);
    const past = await withDeadline(clock, HISTORY_MS, () => sessions.history.read());
    const broken = problems.length > 0 ? ` ${problems.join(" ")}` : "";
    return {
      outcome: state.available ? "ok" : "unknown",
      summary: state.available
        ? `${state.workflows.length} workflows${stale ? `, as read at ${readAt}.${stale}` : "."}${broken}`
        : `The list of workflows is not available.${stale}`,
      workflows: state.workflows.map((workflow) => ({
        name: workflow.name,
        description: workflow.description,
        ...(workflow.displayName ? { display_name: workflow.displayName } : {}),
        ...(workflow.category ? { category: workflow.category } : {}),
        ...(workflow.suggestedTurns ? { suggested_turns: workflow.suggestedTurns } : {}),
        ...(workflow.maxTurns ? { max_turns: workflow.maxTurns } : {}),
        ...(past ? tellPast(past, workflow.name) : {}),
        ...(args.detailed && workflow.models ? { models: workflow.models } : {}),
        ...(args.detailed && workflow.capabilities.length > 0 ? { capabilities: workflow.capabilities } : {}),
      })),
      ...(args.detailed
        ? {
            api: {
              address: api.address,
              ...(readAt ? { workflows_read_at: readAt } : {}),
              ...(state.problem ? { problem: state.problem } : {}),
              description: describeCapabilities(capabilities),
            },
          }
        : {}),
    };
  },
});

/** What is known of past runs of a workflow, and the limits that follow from it. */
function tellPast(past: Past, workflow: string) {
  const expectation = past.expect(workflow);
  const usual = tellUsual(expectation);
  const success = past.successOfWorkflow(workflow);
  const { maxTurns, timeoutS } = expectation;
  return {
    ...(usual ? { usual } : {}),
    ...(success ? { success: tellSuccess(success) } : {}),
    ...(maxTurns ? { suggested_max_turns: maxTurns } : {}),
    ...(timeoutS ? { suggested_timeout: timeoutS } : {}),
  };
}
