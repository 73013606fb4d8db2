import type { ToolResult } from "./host.js";

/** What is read of a tool's answer; it may come from any server, so nothing of it is taken for granted. */
export interface ToolAnswer {
  isError: boolean;
  outcome: string;
  /** What is told to a person. */
  text: string;
  runId?: string;
  planId?: string;
  /** What the person has to agree to first, and the call that says that they have. */
  agreement?: { deed: string; arguments: Record<string, unknown> };
}

type Fields = Record<string, unknown>;

const asFields = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const asText = (value: unknown): string => (typeof value === "string" ? value : "");

export function readToolAnswer(result: ToolResult): ToolAnswer {
  const told = asFields(result.structuredContent);
  const [first] = Array.isArray(result.content) ? result.content : [];
  const runId = asText(asFields(told.run).run_id);
  const planId = asText(asFields(told.plan).plan_id);
  const agreement = readAgreement(told);
  return {
    isError: result.isError === true,
    outcome: asText(told.outcome),
    text: asText(told.summary) || asText(asFields(first).text),
    ...(runId ? { runId } : {}),
    ...(planId ? { planId } : {}),
    ...(agreement ? { agreement } : {}),
  };
}

/** Where the client has no forms, the server names what is to be agreed to and takes `confirm: true` for it. */
function readAgreement({ outcome, missing, next_step: next }: Fields): ToolAnswer["agreement"] {
  const [field] = Array.isArray(missing) ? missing.map(asFields) : [];
  const given = asFields(asFields(next).arguments);
  if (outcome !== "input_required" || field?.name !== "confirm" || given.confirm !== true) return undefined;
  return { deed: asText(field.description), arguments: given };
}
