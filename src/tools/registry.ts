import { ActionError, type Answer, type AnswerPart, buildAnswerSchema } from "../actions/answer.js";
import type { ParameterName } from "../actions/arguments.js";
import type { Action, Annotations, Call, Services } from "../actions/define-action.js";
import type { CatalogueState } from "../services/catalogue.js";
import { findNearest } from "../services/nearest.js";
import { ApiError } from "../upstream/errors.js";
import { buildInputSchema, parseArguments } from "./input.js";
import { type ProjectStep, renderAnswer, type ToolResult } from "./output.js";

/** The one tool of toolset `super`. */
export const SUPER_TOOL = "orchestrate_workflow";

/** A tool as it is published, free of any framework. */
export interface ToolDefinition {
  name: string;
  title: string;
  description: string;
  annotations: Annotations;
  inputSchema(catalogue: CatalogueState): Record<string, unknown>;
  answerSchema: ReturnType<typeof buildAnswerSchema>;
  /** Never throws: what goes wrong comes back as a tool error that a model can act on. */
  call(raw: unknown, call: Call, services: Services): Promise<ToolResult>;
}

/** Projects the actions to the tools of a toolset: one tool with actions, or one tool for each action. */
export function buildTools(
  toolset: "super" | "named",
  actions: readonly Action[],
  onDefect: (error: unknown) => void,
): ToolDefinition[] {
  return toolset === "super" ? [buildSuperTool(actions, onDefect)] : buildNamedTools(actions, onDefect);
}

/** How a toolset names the call that carries an action. */
export function projectSteps(toolset: "super" | "named", actions: readonly Action[]): ProjectStep {
  if (toolset === "super") {
    return (step) => ({ tool: SUPER_TOOL, arguments: { action: step.action, ...step.arguments } });
  }
  return (step) => ({
    tool: actions.find((action) => action.name === step.action)?.toolName ?? step.action,
    arguments: step.arguments,
  });
}

function buildSuperTool(actions: readonly Action[], onDefect: (error: unknown) => void): ToolDefinition {
  const project = projectSteps("super", actions);
  const names = distinct<ParameterName>(actions.flatMap((action) => action.parameters));
  return {
    name: SUPER_TOOL,
    title: "Orchestrate coding workflows",
    description:
      "Runs remote coding workflows (an agent works on a repository) and stays with them: start, watch, feedback, " +
      "sessions, kill. Missing details are asked of the person by a form, so do not invent them. A run costs money.",
    annotations: {
      readOnlyHint: false,
      destructiveHint: actions.some((action) => action.annotations.destructiveHint),
      idempotentHint: false,
      openWorldHint: true,
    },
    inputSchema: (catalogue) => buildInputSchema(names, [], catalogue, actions),
    answerSchema: buildAnswerSchema(distinct<AnswerPart>(actions.flatMap((action) => action.answerParts))),
    call(raw, call, services) {
      const wanted = (raw as { action?: unknown } | undefined)?.action ?? "run";
      const action = actions.find((one) => one.name === wanted);
      if (action) return callAction(action, raw, call, services, project, onDefect);
      const known = actions.map((one) => one.name);
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

function buildNamedTools(actions: readonly Action[], onDefect: (error: unknown) => void): ToolDefinition[] {
  const project = projectSteps("named", actions);
  return actions.map((action) => ({
    name: action.toolName,
    title: action.title,
    description: action.description,
    annotations: action.annotations,
    inputSchema: (catalogue) => buildInputSchema(action.parameters, action.required ?? [], catalogue),
    answerSchema: buildAnswerSchema(action.answerParts),
    call: (raw, call, services) => callAction(action, raw, call, services, project, onDefect),
  }));
}

async function callAction(
  action: Action,
  raw: unknown,
  call: Call,
  services: Services,
  project: ProjectStep,
  onDefect: (error: unknown) => void,
): Promise<ToolResult> {
  try {
    const args = parseArguments(action, raw);
    return renderAnswer(await action.handle(args, call, services), project);
  } catch (error) {
    if (error instanceof ActionError) return renderError(error.message, error.next, project);
    if (error instanceof ApiError) return renderError(error.message, undefined, project);
    // A defect of ours: its text may hold anything, so it goes to the log and not to the client.
    onDefect(error);
    return renderError(
      "This server failed on the call by a fault of its own. If a run was to be started, look at its status before trying again.",
      { action: "list_sessions", arguments: {}, reason: "See what is going on." },
      project,
    );
  }
}

function renderError(message: string, next: Answer["next"], project: ProjectStep): ToolResult {
  return renderAnswer({ outcome: "failed", summary: message, ...(next ? { next } : {}) }, project, true);
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
