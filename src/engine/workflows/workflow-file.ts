import * as z from "zod";
import { AGENT_NAMES } from "../agent/agent-name.js";
import type { EngineWorkflow } from "../types.js";
import { mcpServersSchema } from "./mcp-servers.js";
import { isToolSet, toolSetNames } from "./tool-rules.js";

/** Far more than a prompt needs; it takes part in every request that the agent makes. */
export const MAX_PROMPT_BYTES = 256 * 1024;

/** A workflow.json is a screenful. */
export const MAX_SETTINGS_BYTES = 64 * 1024;

/** What the contract allows a run (`max_turns`). */
const turns = z.int().min(1).max(200);

const rule = z
  .string()
  .min(1)
  .max(500)
  .regex(/^[^\r\n\0]*$/, "must be one line")
  // It becomes an argument of the agent's command line.
  .regex(/^[^-\s]/, "must begin with the name of a tool")
  .refine((text) => !isToolSet(text) || toolSetNames().includes(text), {
    error: `is not a set of rules; there are ${toolSetNames().join(" and ")}`,
  });

const line = (max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .regex(/^[^\r\n\0]*$/, "must be one line");

/** It becomes a part of the agent's command line. */
const model = line(100).regex(/^[^-]/, "must be the name of a model");

const settingsSchema = z.object({
  displayName: line(100).optional(),
  description: line(500).optional(),
  category: line(50).default("custom"),
  emoji: line(16).default("🤖"),
  suggestedTurns: turns.default(50),
  maxTurns: turns.optional(),
  capabilities: z.array(line(100)).max(50).default([]),
  allowedTools: z.array(rule).max(200).default([]),
  disallowedTools: z
    .array(rule.refine((text) => !isToolSet(text), { error: "is a set, which can only be allowed" }))
    .max(200)
    .default([]),
  // An agent may edit inside its own workspace; everything beyond is asked.
  permissionMode: z.enum(["default", "acceptEdits", "plan", "bypassPermissions"]).default("acceptEdits"),
  agent: z.enum(AGENT_NAMES).optional(),
  model: model.optional(),
  models: z.array(model).min(1).max(50).optional(),
  success: z.enum(["report", "commit"]).optional(),
  mcpServers: mcpServersSchema.optional(),
});

/** True for a name that a workflow, and so its folder, can have. No such name leads out of a folder. */
export function isWorkflowName(name: string): boolean {
  return /^[a-z0-9][a-z0-9_-]{0,63}$/.test(name);
}

/** A workflow made of its two files, or what is wrong with them in words for a person. */
export type ParsedWorkflow =
  | { workflow: EngineWorkflow; settings: Record<string, unknown>; unknownKeys: string[] }
  | { message: string };

/**
 * Makes a workflow of the texts of its files. Types are checked strictly; unknown keys are kept in `settings` and named,
 * so that a file written for a later release still works. Never throws.
 */
export function parseWorkflow(source: {
  name: string;
  prompt: string;
  /** The content of workflow.json: its text, or the object. */
  settings: string | Record<string, unknown>;
  shipped: boolean;
}): ParsedWorkflow {
  const { name, prompt, shipped } = source;
  if (!prompt.trim()) return { message: "prompt.md is empty" };
  if (Buffer.byteLength(prompt) > MAX_PROMPT_BYTES)
    return { message: `prompt.md is larger than ${MAX_PROMPT_BYTES / 1024} KiB` };

  let raw: unknown = source.settings;
  if (typeof raw === "string") {
    try {
      raw = JSON.parse(raw);
    } catch {
      return { message: "workflow.json is not valid JSON" };
    }
  }
  if (!isObject(raw)) return { message: "workflow.json is not an object" };
  // Also for what is about to be written: it must be readable afterwards.
  if (Buffer.byteLength(JSON.stringify(raw, null, 2)) >= MAX_SETTINGS_BYTES)
    return { message: `workflow.json is larger than ${MAX_SETTINGS_BYTES / 1024} KiB` };
  const parsed = settingsSchema.safeParse(raw);
  if (!parsed.success) return { message: `workflow.json: ${describeIssues(parsed.error)}` };

  const {
    displayName,
    description,
    maxTurns,
    agent,
    model: usual,
    models,
    success,
    mcpServers,
    ...rest
  } = parsed.data;
  return {
    workflow: {
      name,
      displayName: displayName ?? titleOf(name),
      // The contract's own words.
      description: description ?? "No description available",
      ...rest,
      prompt,
      ...(maxTurns !== undefined && { maxTurns }),
      ...(agent !== undefined && { agent }),
      ...(usual !== undefined && { model: usual }),
      ...(models !== undefined && { models }),
      ...(success !== undefined && { success }),
      ...(mcpServers !== undefined && { mcpServers }),
      shipped,
    },
    settings: raw,
    unknownKeys: Object.keys(raw).filter((key) => !Object.hasOwn(settingsSchema.shape, key)),
  };
}

function describeIssues(error: z.ZodError): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.join(".") || "content"}: ${issue.message}`)
    .join("; ");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** "code-review" reads "Code review". */
function titleOf(name: string): string {
  const words = name.replace(/[-_]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
