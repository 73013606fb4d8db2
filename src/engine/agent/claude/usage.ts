import type { Usage } from "../events.js";
import { asCount, asRecord, type JsonRecord } from "../json.js";

/**
 * Counts what one process has used. While it works only the beginning of each answer is known, and the same numbers
 * come with every block of it, so they are kept by message id; each result then brings what was really used.
 */
export function createUsageCounter(): {
  /** Gives true when the totals have changed. */
  addMessage(messageId: string, usage: unknown): boolean;
  addResult(result: JsonRecord): void;
  totals(): Usage;
  /** USD; undefined before the first result. */
  costUsd(): number | undefined;
} {
  const open = new Map<string, Usage>();
  let closed: Usage = { input: 0, output: 0 };
  let costUsd: number | undefined;
  let lastTotalCostUsd = 0;

  const openTotals = () => sum([...open.values()]);
  return {
    addMessage(messageId, usage) {
      const now = readUsage(asRecord(usage));
      const before = open.get(messageId);
      if (before && before.input >= now.input && before.output >= now.output) return false;
      open.set(messageId, now);
      return now.input + now.output > 0;
    },
    addResult(result) {
      if (typeof result.model_usage_since_last_result === "object") {
        const since = Object.values(asRecord(result.model_usage_since_last_result)).map(asRecord);
        closed = sum([closed, ...since.map(readModelUsage)]);
        costUsd = (costUsd ?? 0) + since.reduce((total, one) => total + asCount(one.costUSD), 0);
      } else {
        // Older versions: the result's own usage leaves sub-agents out, so never less than was seen.
        const seen = openTotals();
        const told = readUsage(asRecord(result.usage));
        closed = sum([
          closed,
          { input: Math.max(seen.input, told.input), output: Math.max(seen.output, told.output) },
        ]);
        costUsd = (costUsd ?? 0) + Math.max(0, asCount(result.total_cost_usd) - lastTotalCostUsd);
      }
      // A running total, in newer versions over the whole conversation: a continued one brings its past with it.
      lastTotalCostUsd = Math.max(lastTotalCostUsd, asCount(result.total_cost_usd));
      open.clear();
    },
    totals: () => sum([closed, openTotals()]),
    costUsd: () => costUsd,
  };
}

function readUsage(usage: JsonRecord): Usage {
  const cached = asCount(usage.cache_creation_input_tokens) + asCount(usage.cache_read_input_tokens);
  return { input: asCount(usage.input_tokens) + cached, output: asCount(usage.output_tokens) };
}

function readModelUsage(usage: JsonRecord): Usage {
  const cached = asCount(usage.cacheCreationInputTokens) + asCount(usage.cacheReadInputTokens);
  return { input: asCount(usage.inputTokens) + cached, output: asCount(usage.outputTokens) };
}

function sum(usages: Usage[]): Usage {
  return usages.reduce(
    (total, one) => ({ input: total.input + one.input, output: total.output + one.output }),
    { input: 0, output: 0 },
  );
}
