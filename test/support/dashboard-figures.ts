import { readFigureRows, readFigures } from "../../src/dashboard/figures.js";
import type { FigureRows, FiguresView } from "../../src/dashboard/views/figures.js";
import type { Figures } from "../../src/history/figures.js";
import type { Grouping } from "../../src/history/group-figures.js";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Figures of a month of {@link RUNS} and {@link PLANS}, as the server makes them. */
export function figuresOf(by: string, now: number): Promise<FiguresView> {
  return readFigures(
    { by: by as Grouping, since: now - 30 * DAY },
    { history: pastOf(now), clock: { now: () => now } },
  );
}

export function rowsBehind(by: string, key: string, now: number): Promise<FigureRows> {
  return readFigureRows({ by: by as Grouping, key, since: now - 30 * DAY }, { history: pastOf(now) });
}

function pastOf(now: number) {
  const figures = [...RUNS.flatMap((one) => runsOf(one, now)), ...PLANS.flatMap((one) => plansOf(one, now))];
  return { read: async () => ({ figures }) };
}

/** How many runs of a workflow there were, how they ended, and what one of them takes. */
interface Workflow {
  workflow: string;
  runs: number;
  failed: number;
  killed: number;
  turns: number;
  seconds: number;
  costUsd: number;
}

const RUNS: Workflow[] = [
  { workflow: "implement", runs: 64, failed: 6, killed: 3, turns: 16, seconds: 940, costUsd: 0.49 },
  { workflow: "fix", runs: 48, failed: 3, killed: 1, turns: 9, seconds: 420, costUsd: 0.19 },
  { workflow: "review", runs: 31, failed: 0, killed: 0, turns: 6, seconds: 210, costUsd: 0.18 },
  { workflow: "test", runs: 22, failed: 4, killed: 0, turns: 13, seconds: 760, costUsd: 0.4 },
  { workflow: "refactor", runs: 17, failed: 5, killed: 1, turns: 27, seconds: 1_650, costUsd: 0.83 },
  { workflow: "architect", runs: 12, failed: 0, killed: 0, turns: 11, seconds: 600, costUsd: 0.43 },
  { workflow: "document", runs: 9, failed: 0, killed: 0, turns: 7, seconds: 260, costUsd: 0.19 },
];

const TASKS = [
  ["csv-export", "Export the report as CSV, with the columns of the page and a header"],
  ["flaky-clock", "The test of the clock fails once in a while"],
  ["upgrade-zod", "Read the settings with the next version of zod"],
  ["rename-config", "Call the file of settings as its folder is called"],
  ["login-timeout", "A session that is used does not end"],
] as const;
const REPOSITORIES = ["gateway", "handbook", "gateway", "panel"].map(
  (name) => `https://example.com/acme/${name}.git`,
);

/** The newest first; failed and killed ones stand among the others. */
function runsOf(
  { workflow, runs, failed, killed, turns, seconds, costUsd }: Workflow,
  now: number,
): Figures[] {
  return Array.from({ length: runs }, (_, at): Figures => {
    const [session, task] = TASKS[at % TASKS.length] as (typeof TASKS)[number];
    // 7 has no part in common with these numbers of runs.
    const place = (at * 7) % runs;
    const outcome =
      place >= runs - failed ? "failed" : place >= runs - failed - killed ? "killed" : "completed";
    const more = 0.7 + ((at * 3) % 7) / 10;
    const took = Math.round(seconds * more);
    // The newest one is the run that has a page of its own.
    const id = workflow === "implement" && at === 0 ? "run-ended" : `${workflow}-${at}`;
    const endedAt = onWorkday(now - (52 + (at * 29 * 24 * 60) / runs) * MINUTE);
    return {
      kind: "run",
      id,
      outcome,
      ...(outcome === "failed" ? { failure: at % 2 === 0 ? "turn_limit" : "agent_failed" } : {}),
      workflow,
      session: at < TASKS.length ? session : `${session}-${Math.floor(at / TASKS.length) + 1}`,
      repository: REPOSITORIES[at % REPOSITORIES.length] as string,
      task,
      startedAt: endedAt - took * 1_000,
      endedAt,
      turns: Math.round(turns * more),
      seconds: took,
      costUsd: Math.round(costUsd * more * 1e4) / 1e4,
      waitedS: Math.round((took * (at % 4)) / 12),
      ...(id === "run-ended" ? { turns: 17, seconds: 1_080, costUsd: 0.62 } : {}),
    };
  });
}

function onWorkday(time: number): number {
  return [0, 6].includes(new Date(time).getDay()) ? time - 2 * DAY : time;
}

const PLANS = [
  { template: "feature", plans: 9 },
  { template: "release", plans: 4 },
];

function plansOf({ template, plans }: (typeof PLANS)[number], now: number): Figures[] {
  return Array.from({ length: plans }, (_, at): Figures => {
    const endedAt = now - (90 + at * 3 * 24 * 60) * MINUTE;
    return {
      ...{ kind: "plan", id: `${template}-${at}`, outcome: at % 5 === 4 ? "failed" : "completed", template },
      ...{ session: `${template}-${plans - at}`, task: `What ${template} was begun with`, runs: 5 },
      ...{ startedAt: endedAt - 50 * MINUTE, endedAt, seconds: 3_000, waitedS: 900 },
      ...{ turns: 50 + at, costUsd: 1.8 + at / 10 },
    };
  });
}
