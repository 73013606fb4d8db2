import type { FigureGroup } from "../../views/figures.js";
import { count, duration, money } from "../format.js";

/** Something that is counted of a group of runs. */
export interface Measure {
  name: string;
  title: string;
  /** What is put on each other in a bar; null where nothing is known. */
  parts: { name: string; color: string; of(group: FigureGroup): number | null }[];
  write(value: number): string;
  /** There are no halves of it. */
  whole?: true;
  /** In words, for the end of a bar. */
  text(group: FigureGroup): string;
}

const medianText = (spread: FigureGroup["turns"], write: (value: number) => string) =>
  spread ? `${write(spread.median)}, 9 of 10 below ${write(spread.p90)}` : "not known";

/** Share of the runs that came to a good end, from 0 to 1; null of none. */
export function successOf({ runs, succeeded }: FigureGroup): number | null {
  return runs === 0 ? null : succeeded / runs;
}

const percents = (value: number) => `${Math.round(100 * value)} %`;

export const MEASURES: readonly Measure[] = [
  {
    name: "runs",
    title: "Runs",
    parts: [
      { name: "succeeded", color: "--ok", of: ({ succeeded }) => succeeded },
      { name: "failed", color: "--bad", of: ({ failed }) => failed },
      { name: "killed", color: "--strong-line", of: ({ killed }) => killed },
    ],
    write: count,
    whole: true,
    text: ({ runs, failed }) => `${count(runs)}${failed > 0 ? `, ${count(failed)} failed` : ""}`,
  },
  {
    name: "success",
    title: "Success",
    parts: [{ name: "succeeded", color: "--ok", of: successOf }],
    write: percents,
    text: (group) => {
      const share = successOf(group);
      return share === null ? "no runs" : `${percents(share)} of ${count(group.runs)}`;
    },
  },
  {
    name: "cost",
    title: "Cost",
    parts: [{ name: "cost", color: "--accent", of: ({ costUsd }) => costUsd }],
    write: money,
    text: ({ costUsd, costUnknown }) =>
      `${money(costUsd)}${costUnknown > 0 ? `, ${count(costUnknown)} not known` : ""}`,
  },
  {
    name: "turns",
    title: "Turns",
    parts: [{ name: "median", color: "--accent", of: ({ turns }) => turns?.median ?? null }],
    write: (value) => count(Math.round(value)),
    text: ({ turns }) => medianText(turns, (value) => count(Math.round(value))),
  },
  {
    name: "time",
    title: "Time",
    parts: [{ name: "median", color: "--accent", of: ({ seconds }) => seconds?.median ?? null }],
    write: duration,
    text: ({ seconds }) => medianText(seconds, duration),
  },
  {
    name: "waiting",
    title: "People and agents",
    parts: [
      { name: "agents at work", color: "--accent", of: ({ workS }) => workS },
      { name: "waiting for people", color: "--warn", of: ({ waitedS }) => waitedS },
    ],
    write: duration,
    text: ({ workS, waitedS }) => `${duration(workS)} at work, ${duration(waitedS)} waiting`,
  },
];
