import { ActionError, type Answer, type AnswerPart, buildAnswerSchema } from "../../actions/answer.js";
import type { ParameterName } from "../../actions/arguments.js";
import type { Action, Annotations, Call, Services } from "../../actions/define-action.js";
import { requireEndpoint } from "../../actions/require-endpoint.js";
import type { ApiCapabilities } from "../../api/capabilities.js";
import { ApiError } from "../../api/errors.js";
import { findNearest } from "../../shared/nearest.js";
import { protectBranch } from "../../shared/no-value.js";
import { StoreError } from "../../store/store-error.js";
import type { CatalogueState } from "../../workflows/catalogue.js";
import { type ToolUi, WIDGET_URI } from "./apps.js";
import { buildInputSchema, type Limits, parseArguments } from "./input.js";
import { type ProjectStep, renderAnswer, type ToolResult } from "./output.js";

/** The one tool of toolset `super`. */
export const SUPER_TOOL = "orchestrate_workflow";

/** A tool as it is published, free of any framework. */
export interface ToolDefinition {
  name: string;
  title: string;
  /** May change with what the API offers, as the annotations and the schema may. */
  readonly description: string;
  readonly annotations: Annotations;
  /** What clients that find tools by searching want to know of it. */
  meta: Readonly<Record<string, unknown>>;
  /** What clients that show widgets want to know of it. */
  ui?: ToolUi;
  /** Whether the API has what it needs; it is not listed otherwise. */
  isOffered(): boolean;
  inputSchema(catalogue: CatalogueState): Record<string, unknown>;
  answerSchema: ReturnType<typeof buildAnswerSchema>;
  /** Never throws: what goes wrong comes back as a tool error that a model can act on. */
  call(raw: unknown, call: Call, services: Services): Promise<ToolResult>;
}

/** What an API that says nothing of itself is taken to offer. */
const EVERYTHING: Pick<ApiCapabilities, "hasEndpoint" | "state"> = {
  hasEndpoint: () => true,
  state: () => ({ isAway: false }),
};

/** What the calls of all tools have in common. */
interface Collaborators {
  project: ProjectStep;
  capabilities: Pick<ApiCapabilities, "hasEndpoint" | "state">;
  onDefect: (error: unknown) => void;
  onCalled?: OnCalled | undefined;
}

/** Told of each call that has ended. @param seconds how long it took */
type OnCalled = (call: { action: string; failed: boolean; seconds: number }) => void;

/**
 * Projects the actions to the tools of a toolset: one tool with actions, or one tool for each action.
 * @param capabilities what the API can do; an action without its endpoint is left out, and says so when it is called
 */
export function buildTools(
  toolset: "super" | "named",
  actions: readonly Action[],
  onDefect: (error: unknown) => void,
  capabilities = EVERYTHING,
  onCalled?: OnCalled,
): ToolDefinition[] {
  const project = projectSteps(toolset, actions, capabilities);
  const collaborators = { project, capabilities, onDefect, onCalled };
  return toolset === "super"
    ? [buildSuperTool(actions, collaborators)]
    : buildNamedTools(actions, collaborators);
}

/** How a toolset names the call that carries an action; a step that the API has no endpoint for has none. */
export function projectSteps(
  toolset: "super" | "named",
  actions: readonly Action[],
  capabilities: Pick<ApiCapabilities, "hasEndpoint"> = EVERYTHING,
): ProjectStep {
  return (step) => {
    const action = actions.find((one) => one.name === step.action);
    if (action && !isOffered(action, capabilities)) return undefined;
    if (step.endpoint && !capabilities.hasEndpoint(step.endpoint)) return undefined;
    const args = protectBranch(step.arguments);
    return toolset === "super"
      ? { tool: SUPER_TOOL, arguments: { action: step.action, ...args } }
      : { tool: action?.toolName ?? step.action, arguments: args };
  };
}

function isOffered({ endpoint }: Action, capabilities: Pick<ApiCapabilities, "hasEndpoint">): boolean {
  return endpoint === undefined || capabilities.hasEndpoint(endpoint);
}

/** What the one tool's description says that it can do, by action. */
const DEEDS: readonly [action: string, deed: string][] = [
  ["run", "start"],
  ["status", "watch"],
  ["feedback", "feedback"],
  ["list_sessions", "sessions"],
  ["kill", "kill"],
];

function buildSuperTool(actions: readonly Action[], collaborators: Collaborators): ToolDefinition {
  const { project, capabilities } = collaborators;
  const offered = () => actions.filter((action) => isOffered(action, capabilities));
  return {
    name: SUPER_TOOL,
    title: "Orchestrate coding workflows",
    // Of one tool nothing is gained by having it searched for first.
    meta: { "anthropic/alwaysLoad": true },
    ui: { resourceUri: WIDGET_URI },
    isOffered: () => true,
    get description() {
      const names = offered().map((action) => action.name);
      const deeds = DEEDS.filter(([action]) => names.includes(action)).map(([, deed]) => deed);
      return (
        `Runs coding workflows (an agent works on a repository) and stays with them: ${deeds.join(", ")}. ` +
        "Missing details are asked of the person by a form, so do not invent them. A run costs money."
      );
    },
    get annotations() {
      return {
        readOnlyHint: false,
        destructiveHint: offered().some((action) => action.annotations.destructiveHint),
        idempotentHint: false,
        openWorldHint: true,
      };
    },
    inputSchema(catalogue) {
      const names = distinct<ParameterName>(offered().flatMap(publishedParameters));
      return buildInputSchema(names, [], catalogue, { actions: offered(), limits: limits(capabilities) });
    },
    answerSchema: buildAnswerSchema(distinct<AnswerPart>(actions.flatMap((action) => action.answerParts))),
    call(raw, call, services) {
      const wanted = (raw as { action?: unknown } | undefined)?.action ?? "run";
      // The name of its own tool is as clear.
      const action = actions.find((one) => one.name === wanted || one.toolName === wanted);
      if (action) return callAction(action, raw, call, services, collaborators);
      const known = offered().map((one) => one.name);
      const [nearest] = findNearest(String(wanted), known, 1);
      return Promise.resolve(
        renderError(
          `\`action\` ${JSON.stringify(wanted)}: it must be one of ${known.join(", ")}${nearest ? `; ${nearest} may be meant` : ""}. Nothing was sent.`,
          undefined,
          project,
        ),
      );
    },
  };
}

/** Actions after which a run or plan is what the person wants to see go on, where each is a tool of its own. */
const SHOWN: readonly string[] = ["run", "plan", "status"];

function buildNamedTools(actions: readonly Action[], collaborators: Collaborators): ToolDefinition[] {
  const { capabilities } = collaborators;
  return actions.map((action) => ({
    name: action.toolName,
    title: action.title,
    description: action.description,
    annotations: action.annotations,
    meta: { "anthropic/searchHint": action.searchHint },
    ...(SHOWN.includes(action.name) ? { ui: { resourceUri: WIDGET_URI } } : {}),
    isOffered: () => isOffered(action, capabilities),
    inputSchema: (catalogue) =>
      buildInputSchema(publishedParameters(action), action.required ?? [], catalogue, {
        about: action.about ?? {},
        limits: limits(capabilities),
      }),
    answerSchema: buildAnswerSchema(action.answerParts),
    call: (raw, call, services) => callAction(action, raw, call, services, collaborators),
  }));
}

/** What the API's own description says of numbers that a start takes. */
function limits(capabilities: Pick<ApiCapabilities, "state">): Limits {
  const start = capabilities.state().description?.start;
  return { max_turns: start?.maxTurns, timeout: start?.timeoutS };
}

async function callAction(
  action: Action,
  raw: unknown,
  call: Call,
  services: Services,
  collaborators: Collaborators,
): Promise<ToolResult> {
  const { clock } = services;
  const began = clock.elapsed();
  const result = await answerCall(action, raw, call, services, collaborators);
  const seconds = (clock.elapsed() - began) / 1_000;
  collaborators.onCalled?.({ action: action.name, failed: result.isError === true, seconds });
  return result;
}

async function answerCall(
  action: Action,
  raw: unknown,
  call: Call,
  services: Services,
  { project, onDefect }: Collaborators,
): Promise<ToolResult> {
  try {
    const { name, endpoint, instead } = action;
    if (endpoint) await requireEndpoint({ name, endpoint, instead }, services);
    const args = parseArguments(action, raw);
    return renderAnswer(await action.handle(args, call, services), project);
  } catch (error) {
    if (error instanceof ActionError) return renderError(error.message, error.next, project);
    if (error instanceof ApiError) return renderError(error.message, undefined, project);
    if (error instanceof StoreError) {
      return renderError(
        `${error.message} So sessions cannot be looked up; nothing was started or changed. A run can be reached by its run id; ` +
          "try again when the server answers.",
        undefined,
        project,
      );
    }
    // A defect of ours: its text may hold anything, so it goes to the log and not to the client.
    onDefect(error);
    return renderError(
      "Internal error in this server. Nothing is known of the run; look with list_sessions before starting again.",
      { action: "list_sessions", arguments: {}, reason: "See which runs are going on." },
      project,
    );
  }
}

function renderError(message: string, next: Answer["next"], project: ProjectStep): ToolResult {
  return renderAnswer({ outcome: "failed", summary: message, ...(next ? { next } : {}) }, project, true);
}

function publishedParameters({ parameters, unpublished = [] }: Action): ParameterName[] {
  return parameters.filter((name) => !unpublished.includes(name));
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
