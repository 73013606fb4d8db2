import { useEffect, useRef, useState } from "preact/hooks";
import type { DeliveriesView } from "../../views/deliveries.js";
import type { FigureGroup, FigureRows, FiguresView, Grouping } from "../../views/figures.js";
import { count, duration, money, plural } from "../format.js";
import { keepFigures, readKeptFigures } from "../kept.js";
import { Bars, Legend } from "../parts/bars.js";
import { DayChart } from "../parts/day-chart.js";
import { Deliveries } from "../parts/deliveries.js";
import { Facts } from "../parts/facts.js";
import { FigureRowsList } from "../parts/figure-rows.js";
import { FiguresTable } from "../parts/figures-table.js";
import { countedBy, MEASURES, type Measure, shortNames, successOf, titleOf } from "../parts/measures.js";
import { get } from "../requests.js";
import { go } from "../route.js";

const BY: readonly [Grouping, string][] = [
  ["workflow", "Workflow"],
  ["template", "Template"],
  ["repository", "Repository"],
  ["day", "Day"],
];
const PERIODS: readonly [days: number, title: string][] = [
  [7, "7 days"],
  [30, "30 days"],
  [90, "90 days"],
  [0, "Everything"],
];
const DAY_MS = 86_400_000;

/** What was chosen stands in the page's address, so that it can be sent; an address without it shows what was chosen last. */
interface Choice {
  by: Grouping;
  days: number;
  measure: Measure;
  key: string | undefined;
}

export function FiguresPage({ query }: { query: URLSearchParams }) {
  const choice = readChoice(query);
  const { by, days, measure, key } = choice;
  const figures = useAnswer<FiguresView>("api/figures", by, days);
  const deliveries = useGet<DeliveriesView>("api/deliveries");
  const choose = (change: Partial<Choice>) => {
    const next = { ...choice, ...change };
    keepFigures(toQuery({ ...next, key: undefined }));
    go(`#/figures?${toQuery(next)}`);
  };
  const toggle = (chosen: string) => choose({ key: chosen === key ? undefined : chosen });
  const { answer, problem } = figures;
  const name = BY.find(([value]) => value === by)?.[1] ?? by;
  const nameOf = shortNames(by, answer?.groups ?? []);
  return (
    <div class="page">
      <header class="title">
        <h1>Figures</h1>
        <div class="choices">
          <Choices
            label="By"
            options={BY}
            chosen={by}
            onChoose={(value) => choose({ by: value, key: undefined })}
          />
          <Choices
            label="Period"
            options={PERIODS}
            chosen={days}
            onChoose={(value) => choose({ days: value })}
          />
        </div>
      </header>
      {(problem ?? answer?.problem) && <p class="problem banner">{problem ?? answer?.problem}</p>}
      {!answer && !problem && <Loading />}
      {answer && (
        <>
          <Total total={answer.total} by={by} />
          <section aria-labelledby="chart">
            <div class="chart-head">
              <h2 id="chart">
                {titleOf(measure, by)} by {name.toLowerCase()}
              </h2>
              <Choices
                label="Figure"
                options={MEASURES.map((one) => [one.name, titleOf(one, by)] as const)}
                chosen={measure.name}
                onChoose={(value) =>
                  choose({ measure: MEASURES.find((one) => one.name === value) ?? measure })
                }
              />
            </div>
            <Legend measure={measure} />
            {answer.groups.length === 0 ? (
              <p class="muted">Nothing has ended in this time.</p>
            ) : by === "day" ? (
              <Days groups={answer.groups} measure={measure} chosen={key} onChoose={toggle} />
            ) : (
              <Bars groups={answer.groups} nameOf={nameOf} measure={measure} chosen={key} onChoose={toggle} />
            )}
          </section>
          {key !== undefined && (
            <Behind
              by={by}
              days={days}
              chosen={key}
              label={answer.groups.find((group) => group.key === key)?.label ?? key}
              onClose={() => choose({ key: undefined })}
            />
          )}
          {answer.groups.length > 0 && (
            <section aria-labelledby="table">
              <h2 id="table">All figures</h2>
              <FiguresTable
                name={name}
                groups={answer.groups}
                nameOf={nameOf}
                counted={countedBy(by)}
                total={answer.total}
                chosen={key}
                onChoose={toggle}
              />
            </section>
          )}
        </>
      )}
      <Deliveries told={deliveries.answer} problem={deliveries.problem} />
    </div>
  );
}

function Days(props: {
  groups: readonly FigureGroup[];
  measure: Measure;
  chosen: string | undefined;
  onChoose(key: string): void;
}) {
  const { measure } = props;
  const byDay = new Map(props.groups.map((group) => [group.key, group]));
  const days = allDays([...byDay.keys()].sort());
  return (
    <DayChart
      label={`${measure.title} by day; the table below has the numbers.`}
      days={days}
      parts={measure.parts.map((part) => ({
        ...part,
        values: days.map((day) => partOf(byDay.get(day), part.of)),
      }))}
      whole={measure.whole ?? false}
      write={measure.write}
      chosen={props.chosen}
      onChoose={props.onChoose}
    />
  );
}

function partOf(group: FigureGroup | undefined, of: (group: FigureGroup) => number | null): number | null {
  return group ? of(group) : null;
}

/** With those between them on which nothing has ended. */
function allDays(known: readonly string[]): string[] {
  const [first, last] = [Date.parse(known[0] ?? ""), Date.parse(known.at(-1) ?? "")];
  if (Number.isNaN(first) || Number.isNaN(last)) return [...known];
  const days: string[] = [];
  for (let at = first; at <= last; at += DAY_MS) days.push(new Date(at).toISOString().slice(0, 10));
  return known.every((day) => days.includes(day)) ? days : [...known];
}

function Total({ total, by }: { total: FigureGroup; by: Grouping }) {
  const success = successOf(total);
  return (
    <Facts
      facts={[
        [countedBy(by) === "plan" ? "Plans" : "Runs", count(total.runs)],
        ["Success", success === null ? undefined : `${Math.round(100 * success)} %`],
        ["Cost", `${total.costUnknown > 0 ? "more than " : ""}${money(total.costUsd)}`],
        ["Agents at work", duration(total.workS)],
        ["Waiting for people", duration(total.waitedS)],
      ]}
    />
  );
}

/** The runs, or plans, behind a bar, below it. */
function Behind(props: { by: Grouping; days: number; chosen: string; label: string; onClose(): void }) {
  const { by, days, chosen, label, onClose } = props;
  const { answer, problem } = useAnswer<FigureRows>("api/figures/rows", by, days, chosen);
  const heading = useRef<HTMLHeadingElement>(null);
  const isHere = answer !== undefined;
  useEffect(() => {
    if (isHere) heading.current?.focus();
  }, [isHere, chosen]);
  return (
    <section aria-labelledby="behind" class="behind">
      <div class="chart-head">
        <h2 id="behind" ref={heading} tabIndex={-1}>
          {label}{" "}
          {answer && <span class="of">{plural(answer.rows.length + answer.left, countedBy(by))}</span>}
        </h2>
        <button type="button" class="button quiet" onClick={onClose}>
          Close
        </button>
      </div>
      {!answer && !problem && <Loading />}
      {problem && <p class="problem">{problem}</p>}
      {answer && (
        <FigureRowsList told={answer} label={`${countedBy(by) === "plan" ? "Plans" : "Runs"} of ${label}`} />
      )}
    </section>
  );
}

function Loading() {
  return (
    <p class="muted" role="status">
      Loading the figures…
    </p>
  );
}

/** One of a few, each of them in sight. */
function Choices<Value extends string | number>(props: {
  label: string;
  options: readonly (readonly [Value, string])[];
  chosen: Value;
  onChoose(value: Value): void;
}) {
  return (
    <fieldset class="segments">
      <legend class="hidden">{props.label}</legend>
      {props.options.map(([value, title]) => (
        <button
          key={value}
          type="button"
          aria-pressed={value === props.chosen}
          onClick={() => props.onChoose(value)}
        >
          {title}
        </button>
      ))}
    </fieldset>
  );
}

/** Asked for once for each choice. */
function useAnswer<Answer>(path: string, by: Grouping, days: number, key?: string) {
  const query = new URLSearchParams({ by, ...(key === undefined ? {} : { key }) });
  query.set("since", String(days === 0 ? 0 : startOfDay(Date.now()) - (days - 1) * DAY_MS));
  return useGet<Answer>(`${path}?${query}`);
}

/** Asked for once for each address; until that is answered nothing is told, and not what another one has brought. */
function useGet<Answer>(address: string): { answer?: Answer; problem?: string } {
  const [state, setState] = useState<{ of?: string; answer?: Answer; problem?: string }>({});
  useEffect(() => {
    const asking = new AbortController();
    get<Answer>(address, asking.signal).then(
      (answer) => setState({ of: address, answer }),
      (error: Error) => asking.signal.aborted || setState({ of: address, problem: error.message }),
    );
    return () => asking.abort();
  }, [address]);
  return state.of === address ? state : {};
}

function startOfDay(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

function readChoice(address: URLSearchParams): Choice {
  const query = address.size > 0 ? address : readKeptFigures();
  const by = BY.find(([value]) => value === query.get("by"))?.[0] ?? "workflow";
  const days = PERIODS.find(([value]) => String(value) === query.get("days"))?.[0] ?? 30;
  const measure = MEASURES.find(({ name }) => name === query.get("figure")) ?? (MEASURES[0] as Measure);
  return { by, days, measure, key: query.get("key") ?? undefined };
}

function toQuery({ by, days, measure, key }: Choice): URLSearchParams {
  const query = new URLSearchParams({ by, days: String(days), figure: measure.name });
  if (key !== undefined) query.set("key", key);
  return query;
}
