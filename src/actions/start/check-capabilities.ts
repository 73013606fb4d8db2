import type { StartField } from "../../api/description.js";
import { ActionError } from "../answer.js";
import { parameters } from "../arguments.js";
import { intersectBounds } from "../intersect-bounds.js";
import { limitsOf, type StartDraft, type Step, type StepContext } from "./draft.js";

/** What a start would say to the API, as far as its description may rule it out. */
interface Stated {
  maxTurns: number;
  timeoutS: number;
  sessionId?: string | undefined;
  repositoryUrl?: string | undefined;
  gitBranch?: string | undefined;
}

/** Fields that an API which does not know them would drop without a word, and what the run would do then. */
const NEEDED: readonly [stated: keyof Stated, field: StartField, otherwise: string][] = [
  ["sessionId", "session_id", "the run would know nothing of the conversation that it is to continue"],
  ["repositoryUrl", "repository_url", "the run would work somewhere else"],
  ["gitBranch", "git_branch", "the run would work on another branch"],
];

/**
 * Refuses a start that the API's own description rules out: out of its bounds, or with a field that it does not
 * take. Before that is said, the description is read again.
 * @throws ActionError naming the argument, its value and the rule; nothing has been sent
 */
export const checkCapabilities: Step = async (draft, context) => {
  if (!findProblem(draft, context)) return draft;
  await context.services.capabilities.refresh();
  const problem = findProblem(draft, context);
  if (problem) throw problem;
  return draft;
};

function stateOf({ args, continuation, values }: StartDraft, { services }: StepContext): Stated {
  return {
    ...limitsOf(args, services.settings),
    sessionId: continuation?.sessionId ?? (args.session_id || args.continue_session),
    repositoryUrl: values?.repositoryUrl ?? args.repository_url,
    gitBranch: values?.gitBranch ?? args.git_branch,
  };
}

function findProblem(draft: StartDraft, context: StepContext): ActionError | undefined {
  const { args } = draft;
  const { capabilities, api } = context.services;
  const stated = stateOf(draft, context);
  const start = capabilities.state().description?.start;
  const turns = { given: args.max_turns, used: stated.maxTurns, theirs: start?.maxTurns };
  const time = { given: args.timeout, used: stated.timeoutS, theirs: start?.timeoutS };
  for (const [name, variable, { given, used, theirs }] of [
    ["max_turns", "MAX_TURNS", turns],
    ["timeout", "TIMEOUT", time],
  ] as const) {
    const ours = { min: parameters[name].minValue ?? used, max: parameters[name].maxValue ?? used };
    const { min, max } = intersectBounds(ours, theirs);
    // Out of our own bounds it would not have come so far.
    if (used >= min && used <= max) continue;
    const source = given === undefined ? ` (the setting AUTOMAGIK_WORKFLOWS_${variable})` : "";
    const fitting = Math.min(max, Math.max(min, used));
    return new ActionError(
      `\`${name}\` ${used}${source}: the API at ${api.address} accepts ${min} to ${max}, according to its description. Nothing was sent.`,
      context.task.startAgain(
        { ...args, [name]: fitting },
        "The nearest value that the API accepts; ask the person if it matters. This starts a paid run.",
      ),
    );
  }
  if (args.model && !capabilities.takesModel()) {
    return new ActionError(
      `\`model\` ${JSON.stringify(args.model)}: the API at ${api.address} takes no model, so the run would use the API's own. ` +
        "Nothing was sent. Ask the person whether to do without it.",
    );
  }
  const description = capabilities.state().description;
  const agents = description?.start.agents.map(({ name }) => name) ?? [];
  if (args.agent && !agents.includes(args.agent)) {
    const there =
      agents.length > 0 ? `has no such agent, but ${agents.join(", ")}` : "lets nobody choose the agent";
    return new ActionError(
      `\`agent\` ${JSON.stringify(args.agent)}: the API at ${api.address} ${there}. Nothing was sent. ` +
        "Ask the person whether to do without it.",
    );
  }
  if (args.finish === "pull_request" && !description?.start.takesPullRequest) {
    return new ActionError(
      `\`finish\`: the API at ${api.address} does not say that it opens pull requests, so none would be opened. Nothing was sent. ` +
        "Leave it out; when the run has ended, its status names the branch, and `gh pr create` opens one from where that is.",
    );
  }
  const missing = NEEDED.find(([key, field]) => stated[key] && !capabilities.acceptsField(field));
  if (!missing) return undefined;
  const [, field, otherwise] = missing;
  return new ActionError(
    `The API at ${api.address} does not accept \`${field}\`, according to its description, so ${otherwise}. Nothing was sent. ` +
      "Ask the person whether to do without it.",
  );
}
