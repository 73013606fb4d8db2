import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BundledWorker, bundleWorker } from "./engine-workers/bundle.js";
import { LIVES, SHARED_LIVES } from "./engine-workers/lives.js";
import type { Told } from "./engine-workers/told.js";
import { expectKept } from "./support/expect-kept.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";
import {
  chooseLives,
  createKills,
  hearOut,
  inLanes,
  type Kill,
  type Life,
  MEETS_ALL,
} from "./support/walked-kills.js";

// The walk of engine-kills.test.ts with engines that share a PostgreSQL database: one is killed at every point of its runs'
// lives, another one takes over, and is killed at each point of that; then a third process goes on as the second worker,
// and at last the first worker comes back. `npm test` meets a share of one life and of one takeover: each takes its second,
// since a worker is gone for the others only when it was silent for a while.
const LIMIT_MS = 7 * 24 * 3_600_000;
const SHARE = 10;
/** Of a takeover, as `npm test` meets it: an agent was at work. */
const FIRST: Kill = ["committed agent-started", 1];

const programs = await findPostgres();
const all = chooseLives(Object.fromEntries(SHARED_LIVES.map((name) => [name, LIVES[name]])));
const names = MEETS_ALL ? all : all.filter((name) => name === "ends");

interface Place {
  folder: string;
  database: string;
}

let server: PostgresServer;
let worker: BundledWorker;
let base: string;

async function openPlace(): Promise<Place> {
  return { folder: mkdtempSync(join(base, "place-")), database: await server.createDatabase() };
}

function runEngine(
  { folder, database }: Place,
  name: string,
  manner: "play" | "recover",
  kill: Kill | [] = [],
): Promise<Life> {
  return hearOut(worker.startWith({ WALKED_DATABASE: database }, folder, name, manner, ...kill.map(String)));
}

async function expectAllKept({ folder, database }: Place, name: string, told: Told[], place: string) {
  await expectKept(folder, name, told, place, database);
  rmSync(folder, { recursive: true, force: true });
}

describe.skipIf(!programs)(
  "of workers that are killed at any point nothing acknowledged is lost, and nothing starts twice",
  () => {
    beforeAll(async () => {
      server = await startPostgres(programs as string);
      base = mkdtempSync(join(tmpdir(), "worker-kills-"));
      worker = await bundleWorker("engine-workers/runs-until-killed", base);
    });
    afterAll(async () => {
      await server?.dispose();
      rmSync(base, { recursive: true, force: true });
    });

    const played = createKills();
    const takenOver = createKills(1);

    it.each(names)(
      "%s",
      async (name) => {
        const whole = await openPlace();
        const { points, code, told } = await runEngine(whole, name, "play");
        expect(code, name).toBe(0);
        await expectAllKept(whole, name, told, `${name}, whole`);
        await inLanes(played.choose(points, SHARE), async (kill) => {
          const at = await openPlace();
          const place = `${name}, ${kill.join(" ")}`;
          const life = await runEngine(at, name, "play", kill);
          played.note(life, place);
          await expectAllKept(at, name, life.told, place);
        });
        const firsts = MEETS_ALL ? Object.keys(points).map((point): Kill => [point, 1]) : [FIRST];
        for (const first of firsts) await walkTakeover(name, first);
      },
      LIMIT_MS,
    );

    /** Kills the worker that takes over at the points of that. */
    async function walkTakeover(name: string, first: Kill): Promise<void> {
      const whole = await openPlace();
      await runEngine(whole, name, "play", first);
      const { points, code } = await runEngine(whole, name, "recover");
      expect(code, `${name}, ${first.join(" ")}`).toBe(0);
      await inLanes(takenOver.choose(points, SHARE), async (kill) => {
        const at = await openPlace();
        const place = `${name}, ${first.join(" ")}, then ${kill.join(" ")}`;
        const { told } = await runEngine(at, name, "play", first);
        const life = await runEngine(at, name, "recover", kill);
        takenOver.note(life, place);
        await expectAllKept(at, name, [...told, ...life.told], place);
      });
    }

    it("and they are killed there: hardly a point depends on the moment", () => {
      for (const { died, planned } of [played, takenOver]) expect(died).toBeGreaterThanOrEqual(planned * 0.5);
    });
  },
);
