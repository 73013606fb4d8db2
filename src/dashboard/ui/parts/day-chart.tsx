import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface DayChartProps {
  /** Names of the days, oldest first. */
  days: readonly string[];
  /** What is drawn above each other, the first one lowest. Null where nothing is known. */
  parts: { name: string; color: string; values: readonly (number | null)[] }[];
  write(value: number): string;
  /** There are no halves of it. */
  whole: boolean;
  chosen: string | undefined;
  onChoose(day: string): void;
  label: string;
}

const HEIGHT_PX = 240;
/** Between the lines of the scale. */
const WHOLE_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

/** Bars of days on a canvas, for the eye and the mouse; the table beside it says and does the same for all others. */
export function DayChart(props: DayChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const { days, parts, chosen, label } = props;
  const shape = JSON.stringify([days, parts, chosen]);
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    let chart = draw(element, latest);
    const redraw = () => {
      chart.destroy();
      chart = draw(element, latest);
    };
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    const size = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    size.observe(element);
    dark.addEventListener("change", redraw);
    return () => {
      size.disconnect();
      dark.removeEventListener("change", redraw);
      chart.destroy();
    };
  }, [shape]);
  return <div ref={place} class="day-chart" role="img" aria-label={label} />;
}

function draw(element: HTMLElement, latest: { current: DayChartProps }): uPlot {
  const { days, parts, write, whole, chosen } = latest.current;
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const tops = stacked(parts.map(({ values }) => values));
  const axis = {
    stroke: color("--muted"),
    font: `12px ${style.fontFamily}`,
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
  };
  const chart = new uPlot(
    {
      width: Math.max(200, element.clientWidth),
      height: HEIGHT_PX,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false, points: { show: false } },
      scales: {
        x: { time: false, range: [-0.6, days.length - 0.4] },
        y: { range: (_chart, _low, high) => [0, high > 0 ? high * 1.08 : 1] },
      },
      axes: [
        {
          ...axis,
          size: 28,
          grid: { show: false },
          values: (_chart, at) => at.map((index) => (Number.isInteger(index) ? shortDay(days[index]) : "")),
        },
        {
          ...axis,
          size: 64,
          ...(whole ? { incrs: WHOLE_STEPS } : {}),
          values: (_chart, at) => at.map(write),
        },
      ],
      series: [
        {},
        // The tallest first, so that the others are drawn over it.
        ...parts
          .map((part) => ({
            label: part.name,
            fill: color(part.color),
            stroke: color(part.color),
            width: 0,
            points: { show: false },
            paths: uPlot.paths.bars?.({ size: [0.7, 40] }) as uPlot.Series.PathBuilder,
          }))
          .reverse(),
      ],
      hooks: {
        drawAxes: [
          (self) =>
            markChosen(self, chosen === undefined ? -1 : days.indexOf(chosen), color("--accent-ground")),
        ],
      },
    },
    [days.map((_, index) => index), ...tops.reverse()] as uPlot.AlignedData,
    element,
  );
  chart.over.addEventListener("click", () => {
    const day = days[chart.cursor.idx ?? -1];
    if (day !== undefined) latest.current.onChoose(day);
  });
  return chart;
}

function markChosen(chart: uPlot, index: number, color: string): void {
  if (index < 0) return;
  const [left, right] = [chart.valToPos(index - 0.5, "x", true), chart.valToPos(index + 0.5, "x", true)];
  chart.ctx.fillStyle = color;
  chart.ctx.fillRect(left, chart.bbox.top, right - left, chart.bbox.height);
}

/** Each part on those before it. */
function stacked(parts: (readonly (number | null)[])[]): (number | null)[][] {
  return parts.map((values, part) =>
    values.map((value, index) =>
      value === null ? null : parts.slice(0, part).reduce((sum, one) => sum + (one[index] ?? 0), value),
    ),
  );
}

function shortDay(day: string | undefined): string {
  const date = new Date(`${day}T12:00:00`);
  return Number.isNaN(date.getTime())
    ? (day ?? "")
    : date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}
