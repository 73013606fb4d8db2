import type { DryRun } from "../../plans/dry-run.js";
import type { FieldValue, Plan } from "../../plans/plan.js";
import { cleanLine } from "../../shared/text.js";
import { formatUsd } from "../../shared/usd.js";
import { tellKnownCost, tellRuns } from "./foresee.js";

/** Of what a call has given, a form shows so much: enough to see that it is not what was meant. */
const SHOWN_INPUTS = 5;
const INPUT_CHARS = 120;

/** "With bug: login fails twice; bounds: the API": nobody else has seen what a model or a prompt put in. */
export function tellInputs(inputs: Readonly<Record<string, FieldValue>>, given: readonly string[]): string {
  const told = given.flatMap((name) => {
    const value = inputs[name];
    if (value === undefined) return [];
    return [`${name}: ${cleanLine(Array.isArray(value) ? value.join(", ") : String(value), INPUT_CHARS)}`];
  });
  if (told.length === 0) return "";
  const more = told.length > SHOWN_INPUTS ? ["…"] : [];
  return `With ${[...told.slice(0, SHOWN_INPUTS), ...more].join("; ")}`;
}

/** "at least 7 runs, at most 20, about $4.20; it stops at $40.00": what a person knows before they say yes, in few words. */
export function tellCost(run: DryRun, { limits: { costUsd } }: Plan): string {
  const cost = tellKnownCost(run);
  const limit = costUsd === undefined ? "no limit of its cost" : `it stops at ${formatUsd(costUsd)}`;
  return `${tellRuns(run)}, at most ${run.runs.limit}${cost ? `, ${cost}` : ""}; ${limit}`;
}
