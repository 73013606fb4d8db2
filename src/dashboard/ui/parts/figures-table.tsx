import type { FigureGroup } from "../../views/figures.js";
import { count, duration, money } from "../format.js";
import { successOf } from "./measures.js";
import { TableFrame } from "./table-frame.js";

export interface FiguresTableProps {
  /** What a row stands for. */
  name: string;
  groups: readonly FigureGroup[];
  nameOf(group: FigureGroup): string;
  /** What is counted. */
  counted: "plan" | "run";
  total: FigureGroup;
  chosen: string | undefined;
  onChoose(key: string): void;
}

/** All figures of all groups, in numbers. */
export function FiguresTable(props: FiguresTableProps) {
  const { name, groups, nameOf, counted, total, chosen, onChoose } = props;
  const columns = columnsOf(counted).filter(({ text }) => [...groups, total].some((one) => text(one) !== ""));
  return (
    <TableFrame label={`All figures by ${name.toLowerCase()}`}>
      <table class="table figures">
        <thead>
          <tr>
            <th scope="col">{name}</th>
            {columns.map(({ head }) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => (
            <tr key={group.key} class={group.key === chosen ? "chosen" : ""}>
              <th scope="row">
                <button type="button" class="link" title={group.label} onClick={() => onChoose(group.key)}>
                  {nameOf(group)}
                </button>
              </th>
              <Cells group={group} columns={columns} />
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">All</th>
            <Cells group={total} columns={columns} />
          </tr>
        </tfoot>
      </table>
    </TableFrame>
  );
}

interface Column {
  head: string;
  /** "" where nothing is known. */
  text(group: FigureGroup): string;
}

/** Those that are empty in every row are left out. */
function columnsOf(counted: "plan" | "run"): Column[] {
  return [
    { head: counted === "plan" ? "Plans" : "Runs", text: ({ runs }) => count(runs) },
    { head: "Success", text: tellSuccess },
    { head: "Cost", text: (group) => `${group.costUnknown > 0 ? "> " : ""}${money(group.costUsd)}` },
    { head: "Turns, median", text: ({ turns }) => (turns ? count(Math.round(turns.median)) : "") },
    { head: "Time, median", text: ({ seconds }) => (seconds ? duration(seconds.median) : "") },
    { head: "At work", text: ({ workS }) => duration(workS) },
    { head: "Waiting for people", text: ({ waitedS }) => duration(waitedS) },
    {
      head: "Turns of a run, of expected",
      text: ({ expected }) => against(expected?.turnsActual, expected?.turns, (value) => value.toFixed(1)),
    },
    {
      head: "Time of a run, of expected",
      text: ({ expected }) => against(expected?.secondsActual, expected?.seconds, duration),
    },
    {
      head: "Cost of a run, of expected",
      text: ({ expected }) => against(expected?.costActualUsd, expected?.costUsd, money),
    },
  ];
}

function Cells({ group, columns }: { group: FigureGroup; columns: readonly Column[] }) {
  return (
    <>
      {columns.map(({ head, text }) => (
        <td key={head} class="number">
          {text(group)}
        </td>
      ))}
    </>
  );
}

function tellSuccess(group: FigureGroup): string {
  const share = successOf(group);
  return share === null ? "" : `${Math.round(100 * share)} %`;
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
