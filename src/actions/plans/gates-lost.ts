import { buildGraph } from "../../plans/graph.js";
import type { Plan } from "../../plans/plan.js";
import { cleanLine } from "../../shared/text.js";

const QUESTION_CHARS = 200;

/**
 * What a plan would not be asked any more, or do unasked, once it is another one: gates that are gone or ask something
 * else, and steps that no longer come behind one. A gate is the person's, and nobody but them takes it away.
 * @returns sentences, none where every gate stays
 */
export function findLostGates(old: Plan, plan: Plan): string[] {
  const [before, after] = [buildGraph(old.steps), buildGraph(plan.steps)];
  const known = new Set(old.steps.map(({ id }) => id));
  const now = new Map(plan.steps.map((step) => [step.id, step]));
  return old.steps.flatMap((gate) => {
    if (gate.kind !== "gate") return [];
    const { id } = gate;
    const asked = `"${cleanLine(gate.question, QUESTION_CHARS)}"`;
    const next = now.get(id);
    if (next?.kind !== "gate") return [`Nobody is asked at gate ${id} any more: ${asked}`];
    const isOther = JSON.stringify({ ...gate, needs: [] }) !== JSON.stringify({ ...next, needs: [] });
    const behind = before.downstreamOf(id);
    const free = behind.filter((step) => now.has(step) && !after.isUpstream(id, step));
    const isDropped = behind.some((step) => !now.has(step));
    // One that was dropped may come back by another name.
    if (isDropped)
      for (const step of plan.steps)
        if (!known.has(step.id) && step.kind !== "gate" && !after.isUpstream(id, step.id)) free.push(step.id);
    return [
      ...(isOther ? [`Gate ${id} becomes another one: it asked ${asked}`] : []),
      ...(free.length > 0 ? [`No longer behind gate ${id} (${asked}): ${free.join(", ")}.`] : []),
    ];
  });
}
