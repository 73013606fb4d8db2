import type { Clock } from "../../shared/clock.js";
import type { AboutKind } from "../agent/agent-kind.js";
import type { Agents } from "../engine-options.js";
import type { EngineWorkflow } from "../types.js";
import { agentOf, allowedModels } from "../workflows/models.js";
import { listOffered } from "../workflows/offered-workflows.js";
import type { WorkflowProblem } from "../workflows/workflow-folder.js";
import { WorkflowError, type WorkflowInput, type WorkflowLibrary } from "../workflows/workflow-library.js";
import { addEndpoint, type EngineApp } from "./endpoint.js";
import { flag, integer } from "./pydantic.js";
import { HttpRefusal } from "./refusal.js";
import { toMoment } from "./run-wire.js";
import * as z from "./schemas.js";
import { managedSchema, workflowSchema } from "./workflow-schemas.js";

/** The contract's defaults; the engine's workflows have neither. */
const LOOK = { icon: "Bot", mainColour: "#3B82F6" };

const fields = {
  display_name: z.string().nullish(),
  description: z.string().nullish(),
  category: z.string().nullish(),
  emoji: z.string().nullish(),
  capabilities: z.array(z.string()).nullish(),
  maxTurns: integer().nullish(),
  suggestedTurns: integer().nullish(),
  allowed_tools: z.array(z.string()).nullish(),
  disallowed_tools: z.array(z.string()).nullish(),
  permission_mode: z.enum(["default", "acceptEdits", "plan", "bypassPermissions"]).nullish(),
  model: z.string().nullish(),
  active: flag().default(true),
  mcp_config: z.record(z.string(), z.unknown()).nullish(),
};
const createBody = z
  .object({ name: z.string(), prompt_template: z.string(), ...fields })
  .openapi("CreateWorkflow");
const updateBody = z
  .object({ name: z.string(), prompt_template: z.string().optional(), ...fields })
  .openapi("UpdateWorkflow");

/** A folder that cannot be used, or not wholly, as an entry that is not valid. */
function toBroken({ name, message }: WorkflowProblem): z.input<typeof workflowSchema> {
  return {
    name: name || "workflows",
    description: message,
    path: name,
    valid: false,
    icon: "",
    mainColour: "",
    displayName: name,
    category: "",
    capabilities: [],
    emoji: "",
    maxTurns: null,
    suggestedTurns: 0,
    is_system_workflow: false,
  };
}

/** Adds the endpoints of the workflow library. Workflows that came with the engine stay as they are: 400. */
export function addManageEndpoints(
  app: EngineApp,
  options: {
    library: WorkflowLibrary;
    clock: Clock;
    kinds: readonly AboutKind[];
    agents?: Pick<Agents, "isOffered"> | undefined;
  },
): void {
  const { library, clock, kinds, agents } = options;

  addEndpoint(app, {
    method: "get",
    path: "/manage",
    summary: "List workflows",
    answer: z.array(workflowSchema),
    // What cannot be used is listed too, with the reason: its author looks for it here.
    handle: async () => [
      ...(await listOffered(library, agents)).map((one) => ({
        ...toWorkflow(one),
        ...agentsPart(one, kinds),
      })),
      ...library.problems().map(toBroken),
    ],
  });

  addEndpoint(app, {
    method: "post",
    path: "/manage",
    summary: "Create a workflow of your own",
    body: createBody,
    answer: managedSchema,
    refusals: [400, 413],
    async handle({ body }) {
      refuseUnknown(body);
      const created = await library
        .create({ name: body.name, prompt: body.prompt_template, ...toSettings(body) })
        .catch(refuse);
      return {
        success: true,
        message: `Workflow '${created.name}' created successfully`,
        workflow: { ...toManaged(created), created_at: toMoment(clock.now()) },
      };
    },
  });

  addEndpoint(app, {
    method: "put",
    path: "/manage",
    summary: "Change a workflow of your own",
    description: "What is left out stays as it is; null takes it away.",
    body: updateBody,
    answer: managedSchema,
    refusals: [400, 404, 413],
    async handle({ body }) {
      refuseUnknown(body);
      const { prompt_template: prompt } = body;
      const updated = await library
        .update(body.name, { ...toSettings(body), ...(prompt === undefined ? {} : { prompt }) })
        .catch(refuse);
      return {
        success: true,
        message: `Workflow '${updated.name}' updated successfully`,
        workflow: { ...toManaged(updated), updated_at: toMoment(clock.now()) },
      };
    },
  });

  addEndpoint(app, {
    method: "delete",
    path: "/manage",
    summary: "Remove a workflow of your own",
    query: z.object({ name: z.string() }),
    answer: managedSchema,
    refusals: [400, 404],
    async handle({ query: { name } }) {
      await library.remove(name).catch(refuse);
      return { success: true, message: `Workflow '${name}' deleted successfully`, workflow: null };
    },
  });
}

/** What the contract has and the engine cannot do is refused rather than dropped without a word. */
function refuseUnknown(body: { active: boolean; mcp_config?: object | null | undefined }): void {
  if (!body.active) {
    throw new HttpRefusal(
      400,
      "A workflow cannot be made inactive here; delete it instead. Nothing was changed.",
    );
  }
  if (Object.keys(body.mcp_config ?? {}).length > 0) {
    throw new HttpRefusal(400, "mcp_config is not supported by this engine. Nothing was changed.");
  }
}

function refuse(error: unknown): never {
  if (!(error instanceof WorkflowError) || error.code === "unwritable") throw error;
  throw new HttpRefusal(error.code === "not_found" ? 404 : 400, error.message);
}

function toSettings(body: z.output<typeof updateBody>): Omit<WorkflowInput, "name" | "prompt"> {
  return {
    displayName: body.display_name,
    description: body.description,
    category: body.category,
    emoji: body.emoji,
    capabilities: body.capabilities,
    maxTurns: body.maxTurns,
    suggestedTurns: body.suggestedTurns,
    allowedTools: body.allowed_tools,
    disallowedTools: body.disallowed_tools,
    permissionMode: body.permission_mode,
    model: body.model,
  };
}

function toWorkflow(workflow: EngineWorkflow): z.input<typeof workflowSchema> {
  return {
    name: workflow.name,
    description: workflow.description,
    path: `/workflows/${workflow.name}`,
    valid: true,
    ...LOOK,
    displayName: workflow.displayName,
    category: workflow.category,
    capabilities: workflow.capabilities,
    emoji: workflow.emoji,
    maxTurns: workflow.maxTurns ?? null,
    suggestedTurns: workflow.suggestedTurns,
    is_system_workflow: workflow.shipped,
  };
}

/** Who carries it out, and with which models. */
function agentsPart(
  workflow: EngineWorkflow,
  kinds: readonly AboutKind[],
): { agent: string; models?: string[] } {
  const agent = agentOf(workflow);
  const kind = kinds.find(({ name }) => name === agent);
  const models = kind ? allowedModels(workflow, kind) : [];
  return { agent, ...(models.length > 0 ? { models } : {}) };
}

function toManaged(workflow: EngineWorkflow) {
  const { displayName, path: _path, valid: _valid, ...rest } = toWorkflow(workflow);
  return { ...rest, display_name: displayName, active: true as const };
}
