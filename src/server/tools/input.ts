import * as z from "zod";
import { ActionError } from "../../actions/answer.js";
import { DOCUMENTS, type ParameterName, parameters } from "../../actions/arguments.js";
import type { Action } from "../../actions/define-action.js";
import { intersectBounds } from "../../actions/intersect-bounds.js";
import type { Bounds } from "../../api/description.js";
import { findNearest } from "../../shared/nearest.js";
import { isNothing, readBranch } from "../../shared/no-value.js";
import { cutText } from "../../shared/text.js";
import type { CatalogueState } from "../../workflows/catalogue.js";

type JsonSchema = Record<string, unknown>;

/** In the schema a workflow's description is cut here; the whole of it is in list_workflows. */
const DESCRIPTION_LIMIT = 70;
/** The enum is part of every model's context: beyond this many names only the names are told. */
const DESCRIBED_WORKFLOWS = 30;

/** Bounds that the API sets beside ours, by parameter. */
export type Limits = Partial<Record<ParameterName, Bounds | undefined>>;

interface SchemaOptions {
  /** Those of the one tool, as an enum. */
  actions?: readonly Action[];
  /** What parameters are for in a tool of its own. */
  about?: Readonly<Partial<Record<ParameterName, string>>>;
  limits?: Limits;
}

/**
 * The input schema of a tool that takes these parameters, with the workflows as an enum.
 */
export function buildInputSchema(
  names: readonly ParameterName[],
  required: readonly string[],
  catalogue: CatalogueState,
  { actions, about = {}, limits = {} }: SchemaOptions = {},
): JsonSchema {
  const shape = Object.fromEntries(names.map((name) => [name, parameters[name].optional()]));
  const { properties } = z.toJSONSchema(z.object(shape), { target: "draft-7", io: "input" }) as {
    properties: Record<string, JsonSchema>;
  };
  for (const [name, description] of Object.entries(about))
    Object.assign(properties[name] ?? {}, { description });
  for (const [name, bounds] of Object.entries(limits)) {
    const property = properties[name];
    if (!property || !bounds) continue;
    const { min, max } = intersectBounds(
      { min: Number(property.minimum), max: Number(property.maximum) },
      bounds,
    );
    Object.assign(property, { minimum: min, maximum: max });
  }
  if (properties.workflow_name) properties.workflow_name = buildWorkflowSchema(catalogue);
  const action = actions && {
    action: {
      type: "string",
      enum: actions.map((one) => one.name),
      default: "run",
      description: actions.map((one) => `${one.name}: ${one.summary}`).join("\n"),
    },
  };
  return {
    type: "object",
    properties: { ...action, ...properties },
    ...(required.length > 0 ? { required: [...required] } : {}),
  };
}

function buildWorkflowSchema({ workflows, available, problem }: CatalogueState): JsonSchema {
  if (workflows.length === 0) {
    const why = available
      ? "The API offers no workflows."
      : `The list is not available yet. ${problem ?? ""}`;
    return { type: "string", description: `Workflow to run. ${why.trim()}` };
  }
  const told = workflows.slice(0, DESCRIBED_WORKFLOWS).map(({ name, description, suggestedTurns }) => {
    const short =
      description.length > DESCRIPTION_LIMIT
        ? `${cutText(description, DESCRIPTION_LIMIT - 1)}…`
        : description;
    return `${name}: ${short}${suggestedTurns ? ` (${suggestedTurns} turns)` : ""}`;
  });
  return {
    type: "string",
    enum: workflows.map((workflow) => workflow.name),
    description: `Workflow to run; left out, the person is asked.\n${told.join("\n")}`,
  };
}

/**
 * Reads what a model has sent for an action. Null and other words for nothing count as left out, and numbers and
 * booleans written as text are taken for what they say; what belongs to another action is ignored.
 * @throws ActionError naming each argument at fault, its value and the rule
 */
export function parseArguments(action: Action, raw: unknown): Record<string, unknown> {
  const given = Object.entries((raw ?? {}) as Record<string, unknown>).filter(
    ([name, value]) => name !== "action" && !isLeftOut(name, value),
  );
  const named = nameParameters(action, given);
  const adapted = action.adapt?.(named) ?? named;
  const problems: string[] = [];
  const parsed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(adapted)) {
    const meant = Object.hasOwn(action.misplaced ?? {}, name) ? action.misplaced?.[name] : undefined;
    if (meant && value !== "" && value !== false) {
      problems.push(`\`${name}\` does not belong to action ${action.name}; action ${meant} may be meant`);
      continue;
    }
    if (!Object.hasOwn(parameters, name)) {
      const [nearest] = findNearest(name, action.parameters, 1);
      problems.push(`there is no argument \`${name}\`${nearest ? `; \`${nearest}\` may be meant` : ""}`);
      continue;
    }
    if (!action.parameters.includes(name as ParameterName)) continue;
    const schema = parameters[name as ParameterName];
    const meantValue = name === "git_branch" ? readBranch(value) : asText(name, value);
    const result = schema.safeParse(loosen(schema, meantValue));
    if (result.success) parsed[name] = result.data;
    else problems.push(`\`${name}\` ${show(value)}: ${result.error.issues.map(tellIssue).join(", ")}`);
  }
  for (const name of action.required ?? []) {
    if (parsed[name] === undefined && !problems.some((problem) => problem.startsWith(`\`${name}\``))) {
      const about = action.about?.[name] ?? parameters[name].description;
      problems.push(`\`${name}\` is missing: ${about?.replace(/\.$/, "")}`);
    }
  }
  if (problems.length > 0) throw new ActionError(`${problems.join("; ")}. Nothing was sent.`);
  return parsed;
}

/** What was given, by the names of the parameters. @throws ActionError when two names say different things */
function nameParameters(action: Action, given: readonly [string, unknown][]): Record<string, unknown> {
  const named: Record<string, unknown> = {};
  const names = new Map<string, string>();
  for (const [name, value] of given) {
    const parameter = action.aliases?.[name] ?? name;
    const other = names.get(parameter);
    names.set(parameter, name);
    if (other !== undefined && named[parameter] !== value) {
      throw new ActionError(
        `\`${other}\` and \`${name}\` are the same argument with different values: give only one of them. Nothing was sent.`,
      );
    }
    named[parameter] = value;
  }
  return named;
}

/** These are texts of their own: a person's answer may well be "none". */
const FREE_TEXTS: readonly string[] = ["message", "feedback", "answer"];

function isLeftOut(name: string, value: unknown): boolean {
  return FREE_TEXTS.includes(name) ? value === null || value === undefined : isNothing(value);
}

/** A structure that came as such, as the text in which others send it. */
function asText(name: string, value: unknown): unknown {
  if (!DOCUMENTS.includes(name) || typeof value !== "object") return value;
  try {
    return JSON.stringify(value);
  } catch {
    // Nested so deep that it cannot be written: the message says that it has to be a text.
    return value;
  }
}

function loosen(schema: z.ZodType, value: unknown): unknown {
  if (typeof value !== "string") return value;
  if (schema instanceof z.ZodNumber && /^-?\d+(\.\d+)?$/.test(value.trim())) return Number(value);
  if (schema instanceof z.ZodBoolean && /^(true|false)$/i.test(value.trim()))
    return value.trim().toLowerCase() === "true";
  return value;
}

function tellIssue(issue: z.core.$ZodIssue): string {
  return issue.message.charAt(0).toLowerCase() + issue.message.slice(1);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
