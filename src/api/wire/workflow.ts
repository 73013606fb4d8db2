import * as z from "zod";
import { cleanLine } from "../../shared/text.js";
import type { Workflow } from "../types.js";
import { compact, count, line, lines, number, text, texts } from "./fields.js";

const workflowWire = z.union([
  z.string().transform((name) => ({ name })),
  z.looseObject({
    name: z.string().min(1),
    description: text,
    displayName: text,
    display_name: text,
    category: text,
    emoji: text,
    capabilities: texts,
    maxTurns: number,
    suggestedTurns: number,
    models: texts,
    agent: text,
  }),
]);
/** An entry of `GET /manage` that only says why there is no such workflow to be used. */
const brokenWire = z.looseObject({ valid: z.literal(false), description: z.string().min(1) });

/** Why the entry's workflow cannot be used; undefined when it can. */
export function readProblem(entry: unknown): string | undefined {
  const parsed = brokenWire.safeParse(entry);
  return parsed.success ? cleanLine(parsed.data.description, 300) : undefined;
}

/** `GET /manage`, and `GET /workflows` of older servers, bare or wrapped. */
export const workflowListWire = z.union([
  z.array(z.unknown()),
  z.looseObject({ workflows: z.array(z.unknown()) }).transform((body) => body.workflows),
]);
/** `GET /health`: names with a flag each. */
export const healthWire = z.looseObject({ workflows: z.record(z.string(), z.unknown()) });

/** @returns undefined for an entry that has no name */
export function toWorkflow(value: unknown): Workflow | undefined {
  const parsed = workflowWire.safeParse(value);
  if (!parsed.success) return undefined;
  const wire: z.output<typeof workflowWire> & Record<string, unknown> = parsed.data;
  if (!wire.name.trim()) return undefined;
  return compact<Workflow>({
    name: cleanLine(wire.name, 100),
    description: line(wire.description, 500) ?? "",
    displayName: line(wire.displayName) ?? line(wire.display_name),
    category: line(wire.category),
    emoji: line(wire.emoji, 16),
    suggestedTurns: count(wire.suggestedTurns) || undefined,
    maxTurns: count(wire.maxTurns) || undefined,
    capabilities: lines(wire.capabilities),
    models: wire.models === undefined ? undefined : lines(wire.models),
    agent: line(wire.agent, 50),
  });
}
