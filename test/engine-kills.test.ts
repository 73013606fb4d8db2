import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BundledWorker, bundleWorker } from "./engine-workers/bundle.js";
import { LIVES } from "./engine-workers/lives.js";
import type { Told } from "./engine-workers/told.js";
import { expectKept } from "./support/expect-kept.js";
import { copyRepository } from "./support/git-place.js";
import {
  chooseLives,
  createKills,
  hearOut,
  inLanes,
  type Kill,
  type Life,
  MEETS_ALL,
} from "./support/walked-kills.js";

// An engine process is killed (SIGKILL) at every point of its runs' lives (engine-workers/lives.ts): at each call that it
// waits for, each timer, and in, at the end of and after each transaction; and the next one, which goes on with what was
// left, at each of its own. The points are found by a life without a kill, so that a new one is met by itself.
//
// `npm run kills` meets each point of each life ten times, and each of the recovery from each point once. `npm test` meets a
// point at its first time in the first life that comes to it, and some of the rest (support/walked-kills.ts); and so the
// recovery from the middle of two lives, a half of it. Agents have processes on Linux only.
const RECOVERED = ["resumes", "publishes"];
const LIMIT_MS = 7 * 24 * 3_600_000;

/** What no life here comes to, and why. */
const NOT_MET: Record<string, string> = {
  "had-ended": "only an engine that shares its database can have ended a run that others took for gone",
};

const names = chooseLives(LIVES);

let worker: BundledWorker;
let base: string;
beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "engine-kills-"));
  worker = await bundleWorker("engine-workers/runs-until-killed", base);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** One engine process, up to its death. */
function runEngine(
  folder: string,
  name: string,
  manner: "play" | "recover",
  kill: Kill | [] = [],
): Promise<Life> {
  return hearOut(worker.start(folder, name, manner, ...kill.map(String)));
}

/** The points of a life without a kill, by its name. */
const found = new Map<string, Promise<Life["points"]>>();
function pointsOf(name: string): Promise<Life["points"]> {
  const points = found.get(name) ?? findPoints(name);
  found.set(name, points);
  return points;
}

const hasGit = (name: string) => LIVES[name]?.options?.("").hasGit === true;

/** An empty place for a life, with the repository of those that use one. */
function makeFolder(name: string): string {
  const folder = mkdtempSync(join(base, "life-"));
  if (hasGit(name)) copyRepository(join(folder, "source"));
  return folder;
}

async function findPoints(name: string): Promise<Life["points"]> {
  const folder = makeFolder(name);
  const { points, code, told } = await runEngine(folder, name, "play");
  expect(code, name).toBe(0);
  if (MEETS_ALL) await expectKept(folder, name, told, `${name}, whole`);
  return points;
}

/** What an engine has left that was killed at a point. */
async function leave(name: string, point: string): Promise<{ folder: string; told: Told[] }> {
  const folder = makeFolder(name);
  return { folder, told: (await runEngine(folder, name, "play", [point, 1])).told };
}

/** The same once more; where git's files name the place, another engine's. */
async function leaveAgain(left: Awaited<ReturnType<typeof leave>>, name: string, point: string) {
  if (hasGit(name)) return leave(name, point);
  const folder = mkdtempSync(join(base, "copy-"));
  cpSync(left.folder, folder, { recursive: true });
  return { ...left, folder };
}

/** Kills the engine at the points of a life. */
async function walkLife(name: string, kills: Kill[], note: (life: Life, place: string) => void) {
  await inLanes(kills, async (kill) => {
    const folder = makeFolder(name);
    const place = `${name}, ${kill.join(" ")}`;
    const life = await runEngine(folder, name, "play", kill);
    note(life, place);
    await expectKept(folder, name, life.told, place);
    rmSync(folder, { recursive: true, force: true });
  });
}

describe("an engine that is killed at any point loses nothing that it has acknowledged, and starts nothing twice", () => {
  const all = createKills();
  const inRecovery = createKills(1);

  it.each(names)(
    "%s",
    async (name) => {
      const kills = all.choose(await pointsOf(name), LIVES[name]?.share);
      await walkLife(name, kills, (life, place) => all.note(life, place));
    },
    LIMIT_MS,
  );

  it.each(names.filter((name) => MEETS_ALL || RECOVERED.includes(name)))(
    "%s, and the next one while it goes on with that",
    async (name) => {
      const points = Object.keys(await pointsOf(name));
      const places = MEETS_ALL ? points : points.slice(points.length >> 1).slice(0, 1);
      for (const first of places) {
        const left = await leave(name, first);
        const recovered = await leaveAgain(left, name, first);
        const whole = await runEngine(recovered.folder, name, "recover");
        expect(whole.code, `${name}, ${first}`).toBe(0);
        await inLanes(inRecovery.choose(whole.points, 2), async (kill) => {
          const { folder, told } = await leaveAgain(left, name, first);
          const place = `${name}, ${first} 1, then ${kill.join(" ")}`;
          const life = await runEngine(folder, name, "recover", kill);
          inRecovery.note(life, place);
          await expectKept(folder, name, [...told, ...life.told], place);
          rmSync(folder, { recursive: true, force: true });
        });
        for (const { folder } of [left, recovered]) rmSync(folder, { recursive: true, force: true });
      }
    },
    LIMIT_MS,
  );

  it("and it is killed there: hardly a point depends on the moment", () => {
    for (const { died, planned } of [all, inRecovery]) expect(died).toBeGreaterThanOrEqual(planned * 0.9);
  });
});

it.skipIf(names.length < Object.keys(LIVES).length)(
  "the lives come to every kind of event that a run can have",
  async () => {
    const points = (await Promise.all(names.map(pointsOf))).flatMap((one) => Object.keys(one));
    const met = points.flatMap((point) => /^told (.+)/.exec(point)?.[1] ?? []);
    expect([...new Set(met), ...Object.keys(NOT_MET)].sort()).toEqual(listEventTypes());
  },
);

/** As they are declared, so that a new one is missed here at once. */
function listEventTypes(): string[] {
  const text = readFileSync(new URL("../src/engine/runs/events.ts", import.meta.url), "utf8");
  const types = [...text.matchAll(/\btype: "([a-z-]+)"/g)].map(([, type = ""]) => type);
  expect(types.length).toBeGreaterThan(25);
  return [...new Set(types)].sort();
}
