import type { FigureGroup, Grouping } from "../../views/figures.js";
import { count, duration, money, repositoryName } from "../format.js";

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

/** Share of those that came to an end of their own, which a killed one has not; from 0 to 1, null where there are none. */
export function successOf({ succeeded, failed }: FigureGroup): number | null {
  return succeeded + failed === 0 ? null : succeeded / (succeeded + failed);
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
      const { succeeded, failed, killed } = group;
      const left = killed > 0 ? ` (${count(killed)} killed)` : "";
      if (share === null) return `${count(killed)} killed`;
      return `${percents(share)}, ${count(succeeded)} of ${count(succeeded + failed)}${left}`;
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

/** What is counted: by template plans, else runs. */
export const countedBy = (by: Grouping): "plan" | "run" => (by === "template" ? "plan" : "run");

export function titleOf({ name, title }: Measure, by: Grouping): string {
  return name === "runs" && countedBy(by) === "plan" ? "Plans" : title;
}

/** How groups are called where there is little room: repositories by their last part, where no other is called the same. */
export function shortNames(by: Grouping, groups: readonly FigureGroup[]): (group: FigureGroup) => string {
  const nameOf = ({ label }: FigureGroup) => (by === "repository" ? repositoryName(label) : label);
  const names = groups.map(nameOf);
  return (group) => {
    const name = nameOf(group);
    return names.indexOf(name) === names.lastIndexOf(name) ? name : group.label;
  };
}
