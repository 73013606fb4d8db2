import type { Figures } from "../../history/figures.js";
import type { FigureSums, Grouping } from "../../history/group-figures.js";

export type { Grouping };

/** One bar, beside what was to be expected. */
export interface FigureGroup extends FigureSums {
  /** Of one run, on average over those of which both are known: what those before it let expect, and what it took. */
  expected?: {
    n: number;
    turns?: number;
    turnsActual?: number;
    seconds?: number;
    secondsActual?: number;
    costUsd?: number;
    costActualUsd?: number;
  };
}

/** `GET /dashboard/api/figures?by=…&since=…` */
export interface FiguresView {
  by: Grouping;
  /** Epoch ms. */
  since: number;
  now: number;
  groups: FigureGroup[];
  total: FigureGroup;
  /** There is no history here, and why. */
  problem?: string;
}

type FigureFact =
  | ("kind" | "id" | "outcome" | "failure" | "workflow" | "template" | "session" | "plan" | "repository")
  | ("model" | "task" | "startedAt" | "endedAt" | "turns" | "seconds" | "costUsd" | "waitedS");

/** A row behind a bar. */
export interface FigureRow extends Pick<Figures, FigureFact> {
  expectedTurns?: number;
  expectedSeconds?: number;
  expectedCostUsd?: number;
}

/** `GET /dashboard/api/figures/rows?by=…&key=…&since=…`: the newest first. */
export interface FigureRows {
  rows: FigureRow[];
  left: number;
}
