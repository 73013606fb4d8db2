import { availableParallelism } from "node:os";
import type { Told } from "../engine-workers/told.js";
import { ended, linesOf, type Worker } from "../state-workers/worker-processes.js";

/** How often each point is met: more than once by `npm run kills`, which leaves none out. */
const KILLS = Number(process.env.AUTOMAGIK_TEST_KILLS ?? 1);
export const MEETS_ALL = KILLS > 1;
/** Of the points that are met already, or need not be, `npm test` meets one of so many. */
const EVERY = 100;
/** What is just around a commit, where a killed engine leaves what was written before that, or with it. */
const AROUND = /^(?:write|written|told|transaction of|commit of) /;

/** Lives that are walked: all, or those that the variable names, with commas. */
export function chooseLives(lives: object): string[] {
  const chosen = process.env.AUTOMAGIK_TEST_LIFE?.split(",");
  return Object.keys(lives).filter((name) => chosen === undefined || chosen.includes(name));
}

/** A point, and at which time there. */
export type Kill = readonly [point: string, time: number];

/** What an engine process has told up to its end. */
export interface Life {
  told: Told[];
  /** How often it came to each point, unless it was killed. */
  points: Record<string, number>;
  /** Null when it was killed. */
  code: number | null;
}

/** Hears an engine process to its end. */
export async function hearOut(process: Worker): Promise<Life> {
  const told: Told[] = [];
  const lines = linesOf(process);
  for (let next = await lines.next(); !next.done; next = await lines.next())
    told.push(JSON.parse(next.value));
  const last = told.at(-1);
  return { told, points: last?.did === "everything" ? last.points : {}, code: await ended(process) };
}

/** The points at which engines are killed, and how many of them were. */
export interface Kills {
  /** Of these points those that are to be met. @param share of what would be met otherwise, one of so many is */
  choose(points: Record<string, number>, share?: number): Kill[];
  /** @throws when it has ended in another way than by itself or by its kill */
  note(life: Life, place: string): void;
  planned: number;
  died: number;
}

/** Chooses from the points of one life after the other. @param times so often each is met, where none is left out */
export function createKills(times = KILLS): Kills {
  const met = new Set<string>();
  return {
    planned: 0,
    died: 0,
    choose(points, share = 1) {
      const all = Object.entries(points);
      const kills = MEETS_ALL
        ? all.flatMap(([point, count]) =>
            Array.from({ length: times }, (_, time): Kill => [point, (time % count) + 1]),
          )
        : all
            .filter(([point], index) => (!AROUND.test(point) && !met.has(point)) || index % EVERY === 0)
            .filter((_, index) => index % share === 0)
            .map(([point]): Kill => [point, 1]);
      for (const [point] of kills) met.add(point);
      this.planned += kills.length;
      return kills;
    },
    note({ code }, place) {
      // What depends on the moment may not come about another time; then it has come to its end.
      if (code === null) this.died++;
      else if (code !== 0) throw new Error(`${place}: it has ended with ${code}`);
    },
  };
}

/** Does it for all, a few at once. */
export async function inLanes<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = [...all];
  async function lane(): Promise<void> {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await work(next);
  }
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, lane));
}
