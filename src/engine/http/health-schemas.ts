import { moment } from "./moment-schema.js";
import * as z from "./schemas.js";

/** What the two health checks answer, of the workflows and of the server. */

export const healthSchema = z
  .object({
    status: z.enum(["healthy", "warning"]),
    timestamp: moment,
    agent_available: z.boolean(),
    workflows: z.record(z.string(), z.boolean()),
    container_manager: z.literal(false),
    feature_enabled: z.literal(true),
    claude_cli_path: z.string().nullable(),
    agents: z
      .array(
        z.object({
          name: z.string(),
          title: z.string(),
          available: z.boolean(),
          version: z.string().optional(),
          message: z.string().optional(),
        }),
      )
      .describe("The kinds of agents, and whether their programs can be used"),
    message: z.string().optional(),
  })
  .openapi("Health");

export const rootHealthSchema = z
  .object({
    status: z.literal("healthy"),
    timestamp: moment,
    version: z.string(),
    environment: z.string(),
    active_runs: z.int().describe("Waiting or going on; at one of several engines, going on there"),
    clients: z.int().describe("Open streams of events"),
  })
  .openapi("RootHealth");
