import type { FigureRow, FigureRows } from "../../views/figures.js";
import { duration, isoTime, moment, money, plural } from "../format.js";
import { now } from "../now.js";
import { useLinks } from "./doing.js";
import { Status } from "./status.js";
import { VirtualList } from "./virtual-list.js";

const ROW_PX = 49;

/** The runs, or plans, behind a bar. */
export function FigureRowsList({ told, label }: { told: FigureRows; label: string }) {
  const { rows, left } = told;
  return (
    <>
      <div class="rows">
        <VirtualList
          label={label}
          count={rows.length}
          estimate={ROW_PX}
          keyOf={(index) => rows[index]?.id ?? index}
          row={(index) => rows[index] && <Row row={rows[index]} />}
        />
      </div>
      {left > 0 && <p class="muted">{plural(left, "older one")} not shown.</p>}
    </>
  );
}

function Row({ row }: { row: FigureRow }) {
  const links = useLinks();
  const href = row.kind === "run" ? links.run?.(row.id) : links.plan?.(row.id);
  const name = row.session ?? row.plan ?? row.id;
  const { turns, expectedTurns, seconds, expectedSeconds, costUsd, expectedCostUsd, endedAt } = row;
  return (
    <div class="run-line figure-row">
      <Status status={row.outcome} />
      <span class="run-name">
        {href ? <a href={href}>{name}</a> : <span>{name}</span>}
        <small class="muted">{row.workflow ?? row.template ?? ""}</small>
      </span>
      <span class="run-action" title={row.task}>
        {row.failure ? `${row.failure}: ` : ""}
        {row.task}
      </span>
      <Pair
        value={turns === undefined ? "" : `${turns} turns`}
        expected={expectedTurns && String(Math.round(expectedTurns))}
      />
      <Pair
        value={seconds === undefined ? "" : duration(seconds)}
        expected={expectedSeconds && duration(expectedSeconds)}
      />
      <Pair
        value={costUsd === undefined ? "" : money(costUsd)}
        expected={expectedCostUsd && money(expectedCostUsd)}
      />
      {endedAt === undefined ? (
        <span />
      ) : (
        <time class="number" dateTime={isoTime(endedAt)}>
          {moment(endedAt, now.value)}
        </time>
      )}
    </div>
  );
}

function Pair({ value, expected }: { value: string; expected: string | 0 | undefined }) {
  return (
    <span class="age number">
      <span>{value}</span>
      {expected && value && <small class="muted">expected {expected}</small>}
    </span>
  );
}
