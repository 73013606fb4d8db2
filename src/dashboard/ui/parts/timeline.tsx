import { useMemo } from "preact/hooks";
import type { TimelineEntry } from "../../views/plan.js";
import { clockTime, duration, moment, money } from "../format.js";
import { now } from "../now.js";
import { useLinks } from "./doing.js";
import { lookOf } from "./status.js";

/** About so many marks of time. */
const MARKS = 6;
const STEPS_S = [1, 2, 5, 10, 15, 30]
  .flatMap((n) => [n, n * 60])
  .concat([3_600, 7_200, 14_400, 28_800, 86_400, 172_800, 604_800]);
/** Shorter than that, marks stand less than a minute apart, in ms. */
const SHORT_MS = MARKS * 60_000;
const LANE_PX = 26;

export interface TimelineProps {
  /** Names of the steps in the order of the rows. */
  steps: readonly string[];
  entries: readonly TimelineEntry[];
  from: number;
  /** When the plan ended; missing while it goes on. */
  to?: number | undefined;
}

/** When each step was at work or waited, one row a step. */
export function Timeline({ steps, entries, from, to }: TimelineProps) {
  const end = Math.max(to ?? now.value, from + 1_000);
  // Between marks of seconds a time without them would be told several times.
  const isShort = end - from < SHORT_MS;
  const at = (time: number) => `${(100 * (time - from)) / (end - from)}%`;
  const rows = useMemo(
    () => steps.map((step) => ({ step, lanes: inLanes(entries.filter((entry) => entry.step === step)) })),
    [steps.join("\n"), entries],
  );
  return (
    <div class="timeline">
      <div class="timeline-marks" aria-hidden="true">
        {marks(from, end).map((time) => (
          <span key={time} style={{ left: at(time) }}>
            <span>{isShort ? clockTime(time) : moment(time, now.value)}</span>
          </span>
        ))}
      </div>
      <ul class="plain timeline-rows">
        {rows.map(({ step, lanes }) => (
          <li key={step} class="timeline-row">
            <span class="timeline-step" title={step}>
              {step}
            </span>
            <div class="timeline-bars" style={{ height: `${Math.max(1, lanes.length) * LANE_PX + 8}px` }}>
              {lanes.flatMap((lane, index) =>
                lane.map((entry) => (
                  <Bar
                    key={entry.key}
                    entry={entry}
                    end={end}
                    place={{
                      left: at(entry.from),
                      width: `max(4px, ${(100 * ((entry.to ?? end) - entry.from)) / (end - from)}%)`,
                      top: `${index * LANE_PX + 4}px`,
                    }}
                  />
                )),
              )}
              {lanes.length === 0 && <span class="hidden">not begun</span>}
            </div>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Bar(props: { entry: TimelineEntry; end: number; place: Record<string, string> }) {
  const { entry, end, place } = props;
  const links = useLinks();
  const { tone, word } = lookOf(entry.status);
  const took = duration(((entry.to ?? end) - entry.from) / 1_000);
  const title = [
    entry.itemText ?? (entry.item === undefined ? undefined : `item ${entry.item}`),
    entry.kind === "gate" ? `opening ${entry.attempt}` : `attempt ${entry.attempt}`,
    entry.why,
    word,
    took,
    entry.turns === undefined ? undefined : `${entry.turns} turns`,
    entry.costUsd === undefined ? undefined : money(entry.costUsd),
  ]
    .filter(Boolean)
    .join(", ");
  const look = `bar bar-${entry.kind} tone-${tone} ${entry.status} ${entry.to === undefined ? "bar-open" : ""}`;
  const text = (
    <>
      <span class="hidden">{title}</span>
      <span aria-hidden="true" class="bar-text">
        {entry.itemText ?? word} · {took}
      </span>
    </>
  );
  const href = entry.runId && links.run?.(entry.runId);
  return href ? (
    <a class={look} style={place} href={href} title={title}>
      {text}
    </a>
  ) : (
    <span class={look} style={place} title={title}>
      {text}
    </span>
  );
}

/** Entries that overlap stand below each other. */
function inLanes(entries: readonly TimelineEntry[]): TimelineEntry[][] {
  const lanes: TimelineEntry[][] = [];
  for (const entry of [...entries].sort((one, other) => one.from - other.from)) {
    const free = lanes.find((lane) => (lane.at(-1)?.to ?? Number.POSITIVE_INFINITY) <= entry.from);
    if (free) free.push(entry);
    else lanes.push([entry]);
  }
  return lanes;
}

function marks(from: number, to: number): number[] {
  const wanted = (to - from) / 1_000 / MARKS;
  const step = 1_000 * (STEPS_S.sort((one, other) => one - other).find((one) => one >= wanted) ?? 604_800);
  const found: number[] = [];
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) found.push(time);
  return found;
}
