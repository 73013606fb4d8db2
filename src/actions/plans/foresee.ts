import type { DryRun, DryRunStep } from "../../plans/dry-run.js";
import { optional } from "../../plans/plan.js";
import { LEAST_RUNS } from "../../shared/spread.js";
import { cleanLine } from "../../shared/text.js";
import { formatUsd } from "../../shared/usd.js";
import { toCents } from "./describe-plan-answer.js";
import type { DryRunAnswer } from "./plan-answer.js";

const TOLD_STEPS = 200;

/** A dry run in the published names; what is unknown is left out, and never 0. */
export function describeDryRun(run: DryRun): DryRunAnswer {
  let room = TOLD_STEPS;
  const waves = run.waves.map((wave) => {
    const told = wave.slice(0, Math.max(0, room)).map(nameStep);
    room -= wave.length;
    return told.length < wave.length ? [...told, `(${wave.length - told.length} more)`] : told;
  });
  return {
    waves,
    runs: {
      expected: run.runs.expected,
      least: run.runs.least,
      is_open: run.runs.isOpen,
      limit: run.runs.limit,
    },
    ...optional("turns", run.turns),
    ...optional("duration_s", run.durationS === undefined ? undefined : Math.round(run.durationS)),
    ...optional("cost_usd", run.costUsd === undefined ? undefined : toCents(run.costUsd)),
    ...optional("most_turns", run.most.turns),
    ...optional(
      "most_duration_s",
      run.most.durationS === undefined ? undefined : Math.round(run.most.durationS),
    ),
    ...optional("most_cost_usd", run.most.costUsd === undefined ? undefined : toCents(run.most.costUsd)),
    ...optional("known_cost_usd", run.knownCostUsd === undefined ? undefined : toCents(run.knownCostUsd)),
    ...optional("past_runs", run.basedOn),
    ...(run.unknown.length > 0 ? { unknown: run.unknown } : {}),
    warnings: run.warnings,
  };
}

/** "build: implement ×3, if its condition holds" */
function nameStep({ id, kind, workflow, runs, conditional }: DryRunStep): string {
  const what = kind === "run" ? (workflow ?? "run") : kind;
  const times = kind !== "run" || runs === 1 ? "" : runs === undefined ? " ×?" : ` ×${runs}`;
  return cleanLine(`${id}: ${what}${times}${conditional ? ", if its condition holds" : ""}`, 120);
}

/** "4 to 7 runs"; "at least 4 runs" where a list is not known yet. Steps with a condition may be left out. */
export function tellRuns({ runs: { expected, least, isOpen } }: DryRun): string {
  const most = isOpen ? least : expected;
  const many = `${most} run${most === 1 ? "" : "s"}`;
  if (isOpen) return `at least ${many}`;
  return least < expected ? `${least} to ${many}` : many;
}

/**
 * "4 to 7 runs (at most 12), about $4.20 to $6.10, about 40 to 55 turns, time unknown"; where a workflow has not run often enough,
 * "2 runs (at most 20), at least $0.40, turns and time unknown with fewer than 3 successful past runs of test".
 */
export function tellForeseen(run: DryRun): string {
  const cost = tellKnownCost(run);
  return [`${tellRuns(run)} (at most ${run.runs.limit})`, ...(cost ? [cost] : []), tellEffort(run)].join(
    ", ",
  );
}

/** "about $4.20 to $6.10", or "at least $0.40" where that of some runs is unknown. */
export function tellKnownCost({ costUsd, knownCostUsd, most }: DryRun): string | undefined {
  if (costUsd !== undefined) return `about ${upTo(costUsd, most.costUsd, formatUsd)}`;
  return knownCostUsd === undefined ? undefined : `at least ${formatUsd(knownCostUsd)}`;
}

/** "about 40 to 55 turns, time unknown": all that is known or unknown beside the runs and what is known of the cost. */
export function tellEffort(run: DryRun): string {
  const known: string[] = [];
  const unknown: string[] = tellKnownCost(run) === undefined ? ["cost"] : [];
  if (run.turns === undefined) unknown.push("turns");
  else known.push(`about ${upTo(run.turns, run.most.turns, String)} turns`);
  if (run.durationS === undefined) unknown.push("time");
  else known.push(`about ${upTo(run.durationS, run.most.durationS, minutes)} min`);
  const last = unknown.length > 1 ? ` and ${unknown.at(-1)}` : "";
  const rest = unknown.length > 1 ? unknown.slice(0, -1) : unknown;
  if (run.basedOn !== undefined && run.unknown.length === 0)
    known.push(`by ${run.basedOn} or more past runs of each workflow`);
  const why =
    run.unknown.length > 0
      ? ` with fewer than ${LEAST_RUNS} successful past runs of ${nameSome(run.unknown)}`
      : "";
  return [...known, ...(unknown.length > 0 ? [`${rest.join(", ")}${last} unknown${why}`] : [])].join(", ");
}

const NAMED = 3;

/** "architect, implement and 2 more" */
function nameSome(names: readonly string[]): string {
  const shown = names.slice(0, NAMED).map((name) => cleanLine(name, 60));
  const left = names.length - shown.length;
  if (left > 0) return `${shown.join(", ")} and ${left} more`;
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

const minutes = (seconds: number) => String(Math.max(1, Math.round(seconds / 60)));

/** "17 to 31": from the usual to what few exceed, where that is known and reads otherwise. */
function upTo(usual: number, most: number | undefined, write: (value: number) => string): string {
  if (most === undefined || write(most) === write(usual)) return write(usual);
  return `${write(usual)} to ${write(most)}`;
}
