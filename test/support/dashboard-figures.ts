import type { FigureGroup, FigureRow, FigureRows, FiguresView } from "../../src/dashboard/views/figures.js";

const DAY = 86_400_000;

/** Figures of a month by workflow, or by day. */
export function figuresOf(by: string, now: number): FiguresView {
  const groups = groupsOf(by, now);
  return { by: by as "workflow", since: now - 30 * DAY, now, groups, total: sumOf(groups) };
}

const groupsOf = (by: string, now: number) => (by === "day" ? dayGroups(now) : GROUPS);

const ENDED = [
  ["csv-export", "The importer stops at the first bad row"],
  ["flaky-clock", "The test of the clock fails once in a while"],
  ["upgrade-zod", "Read the settings with the next version of zod"],
  ["rename-config", "Call the file of settings as its folder is called"],
  ["login-timeout", "A session that is used does not end"],
] as const;

/** As many rows as the bar says, with as many of each end. */
export function rowsBehind(by: string, key: string, now: number): FigureRows {
  const group = groupsOf(by, now).find((one) => one.key === key);
  if (!group) return { rows: [], left: 0 };
  const rows = Array.from({ length: group.runs }, (_, at) => rowOf(group, at, now));
  return { rows, left: 0 };
}

function rowOf(group: FigureGroup, at: number, now: number): FigureRow {
  const { runs, failed, killed, costUsd, turns, seconds, expected } = group;
  const [session, task] = ENDED[at % ENDED.length] as (typeof ENDED)[number];
  // Failed and killed ones stand among the others; 7 has no part in common with the number of most groups.
  const place = (at * 7) % runs;
  const more = 1 + (((at * 3) % 5) - 2) / 10;
  return {
    kind: "run",
    id: at === 0 ? "run-ended" : `behind-${at}`,
    outcome: place >= runs - failed ? "failed" : place >= runs - failed - killed ? "killed" : "completed",
    workflow: group.key,
    session: at < ENDED.length ? session : `${session}-${Math.floor(at / ENDED.length) + 1}`,
    task,
    turns: Math.round((turns?.median ?? 1) * more),
    seconds: Math.round((seconds?.median ?? 1) * more),
    costUsd: (costUsd / runs) * more,
    expectedTurns: expected?.turns ?? 1,
    expectedCostUsd: expected?.costUsd ?? 1,
    endedAt: now - (52 + at * 340) * 60_000,
  };
}

const GROUPS: FigureGroup[] = [
  group("implement", 64, 55, 6, 31.4, 16, 940, 0.51),
  group("fix", 48, 44, 3, 9.2, 9, 420, 0.19),
  group("review", 31, 31, 0, 5.6, 6, 210, 0.18),
  group("test", 22, 18, 4, 8.8, 13, 760, 0.4),
  group("refactor", 17, 11, 5, 14.1, 27, 1_650, 0.77),
  group("architect", 12, 12, 0, 5.2, 11, 600, 0.43),
  group("document", 9, 9, 0, 1.7, 7, 260, 0.2),
];

function group(
  key: string,
  runs: number,
  succeeded: number,
  failed: number,
  costUsd: number,
  turns: number,
  seconds: number,
  expectedUsd: number,
): FigureGroup {
  return {
    key,
    label: key,
    runs,
    succeeded,
    failed,
    killed: runs - succeeded - failed,
    costUsd,
    costUnknown: 0,
    turns: { median: turns, p90: Math.round(turns * 1.7), n: runs },
    seconds: { median: seconds, p90: Math.round(seconds * 1.8), n: runs },
    workS: runs * seconds,
    waitedS: Math.round(runs * seconds * 0.3),
    expected: {
      n: runs - 3,
      turns: turns - 1,
      turnsActual: turns,
      seconds: seconds * 0.95,
      secondsActual: seconds,
      costUsd: expectedUsd,
      costActualUsd: costUsd / runs,
    },
  };
}

function dayGroups(now: number): FigureGroup[] {
  return Array.from({ length: 30 }, (_, back) => back).flatMap((back) => {
    const day = new Date(now - (29 - back) * 86_400_000);
    const weekend = [0, 6].includes(day.getDay());
    const runs = weekend ? back % 3 : 5 + ((back * 7) % 9);
    if (runs === 0) return [];
    const key = day.toISOString().slice(0, 10);
    return {
      ...group(
        key,
        runs,
        Math.max(0, runs - (back % 3)),
        Math.min(runs, back % 3),
        runs * 0.38,
        12,
        640,
        0.36,
      ),
      label: key,
    };
  });
}

function sumOf(groups: FigureGroup[]): FigureGroup {
  const sum = (pick: (one: FigureGroup) => number) => groups.reduce((all, one) => all + pick(one), 0);
  return {
    ...group(
      "total",
      sum((one) => one.runs),
      sum((one) => one.succeeded),
      sum((one) => one.failed),
      sum((one) => one.costUsd),
      13,
      690,
      0.4,
    ),
    workS: sum((one) => one.workS),
    waitedS: sum((one) => one.waitedS),
  };
}
