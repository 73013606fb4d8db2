import { moment } from "./moment-schema.js";
import * as z from "./schemas.js";

/** What the endpoints of workflows answer. */

export const workflowSchema = z
  .object({
    name: z.string(),
    description: z.string(),
    path: z.string(),
    valid: z.boolean(),
    icon: z.string(),
    mainColour: z.string(),
    displayName: z.string(),
    category: z.string(),
    capabilities: z.array(z.string()),
    emoji: z.string(),
    maxTurns: z.int().nullable(),
    suggestedTurns: z.int(),
    is_system_workflow: z.boolean(),
    agent: z.string().optional().describe("The kind of agent that carries it out: claude, codex"),
    models: z.array(z.string()).optional().describe("What `model` of a start may say"),
  })
  .openapi("Workflow");

export const managedSchema = z
  .object({
    success: z.literal(true),
    message: z.string(),
    workflow: z
      .object({
        name: z.string(),
        display_name: z.string(),
        description: z.string(),
        category: z.string(),
        active: z.literal(true),
        is_system_workflow: z.boolean(),
        created_at: moment.optional(),
        updated_at: moment.optional(),
        icon: z.string(),
        mainColour: z.string(),
        emoji: z.string(),
        capabilities: z.array(z.string()),
        maxTurns: z.int().nullable(),
        suggestedTurns: z.int(),
      })
      .nullable(),
  })
  .openapi("ManagedWorkflow");
