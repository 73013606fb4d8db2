import type { FigureGroup } from "../../views/figures.js";
import { count, duration, money } from "../format.js";
import { successOf } from "./measures.js";

export interface FiguresTableProps {
  /** What a row stands for. */
  name: string;
  groups: readonly FigureGroup[];
  total: FigureGroup;
  chosen: string | undefined;
  onChoose(key: string): void;
}

/** All figures of all groups, in numbers. */
export function FiguresTable({ name, groups, total, chosen, onChoose }: FiguresTableProps) {
  return (
    <div class="table-frame">
      <table class="table figures">
        <caption class="hidden">All figures by {name}</caption>
        <thead>
          <tr>
            <th scope="col">{name}</th>
            <th scope="col">Runs</th>
            <th scope="col">Success</th>
            <th scope="col">Cost</th>
            <th scope="col">Turns, median</th>
            <th scope="col">Time, median</th>
            <th scope="col">At work</th>
            <th scope="col">Waiting for people</th>
            <th scope="col">Turns against expected</th>
            <th scope="col">Cost against expected</th>
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => (
            <tr key={group.key} class={group.key === chosen ? "chosen" : ""}>
              <th scope="row">
                <button type="button" class="link" onClick={() => onChoose(group.key)}>
                  {group.label}
                </button>
              </th>
              <Cells group={group} />
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">All</th>
            <Cells group={total} />
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

function Cells({ group }: { group: FigureGroup }) {
  const success = successOf(group);
  const { expected, turns, seconds } = group;
  const cells = [
    count(group.runs),
    success === null ? "" : `${Math.round(100 * success)} %`,
    `${group.costUnknown > 0 ? "> " : ""}${money(group.costUsd)}`,
    turns ? count(Math.round(turns.median)) : "",
    seconds ? duration(seconds.median) : "",
    duration(group.workS),
    duration(group.waitedS),
    against(expected?.turnsActual, expected?.turns, (value) => value.toFixed(1)),
    against(expected?.costActualUsd, expected?.costUsd, money),
  ];
  return (
    <>
      {cells.map((cell, index) => (
        <td key={index} class="number">
          {cell}
        </td>
      ))}
    </>
  );
}

function against(
  actual: number | undefined,
  expected: number | undefined,
  write: (value: number) => string,
): string {
  if (actual === undefined || expected === undefined || expected === 0) return "";
  const more = Math.round((100 * (actual - expected)) / expected);
  return `${write(actual)} of ${write(expected)} (${more > 0 ? "+" : ""}${more} %)`.replace("(-", "(−");
}
