import { readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import type { Clock } from "../shared/clock.js";
import { ensurePrivateFolder } from "../shared/private-files.js";
import { readRecord, removeRecord, writeRecord } from "../shared/record-file.js";
import { type DriverPlace, driverFiles } from "./driver-files.js";

/*
 * How a command in a terminal gets a link to the dashboard that the driver serves: it makes the link's secret code, and
 * lays a file into the driver's own folder that is called as the code's digest. Only this user can do that, and whoever
 * reads the folder learns no code.
 */

const recordSchema = z.object({ pid: z.number().int().positive(), url: z.string() });

/** Where the driver serves the dashboard. */
export type DashboardRecord = z.output<typeof recordSchema>;

const DIGEST = /^[0-9a-f]{64}$/;
/** What nobody has taken up for so long is no request any more, in ms. */
const REQUEST_MS = 60_000;
/** How often the driver looks for requests, in ms. */
export const LOOK_FOR_LINKS_MS = 200;

const folderOf = (place: DriverPlace) => join(driverFiles(place).folder, "dashboard-links");
const recordOf = (place: DriverPlace) => join(driverFiles(place).folder, "dashboard.json");

/** Asks the driver for a link whose code has this digest. Throws what the file system throws. */
export async function askForLink(place: DriverPlace, digest: string): Promise<void> {
  const { parent, folder } = driverFiles(place);
  for (const one of [parent, folder, folderOf(place)]) await ensurePrivateFolder(one);
  await writeFile(join(folderOf(place), digest), "", { mode: 0o600 });
}

/** Whether a driver has taken that request up. */
export async function isTakenUp(place: DriverPlace, digest: string): Promise<boolean> {
  const found = await stat(join(folderOf(place), digest)).catch(() => undefined);
  return found === undefined;
}

/** Takes the request back. Never throws. */
export async function withdrawLink(place: DriverPlace, digest: string): Promise<void> {
  await rm(join(folderOf(place), digest), { force: true }).catch(() => {});
}

/** The requests that nobody has taken up, the old ones left out. Never throws. */
export async function findLinkRequests(place: DriverPlace, clock: Pick<Clock, "now">): Promise<string[]> {
  const folder = folderOf(place);
  const names = await readdir(folder).catch(() => []);
  const digests = await Promise.all(
    names.flatMap((name) => (DIGEST.test(name) ? [readOne(join(folder, name), name)] : [])),
  );
  return digests.flat();

  async function readOne(path: string, digest: string): Promise<string[]> {
    const found = await stat(path).catch(() => undefined);
    if (found && clock.now() - found.mtimeMs < REQUEST_MS) return [digest];
    await withdrawLink(place, digest);
    return [];
  }
}

/** Says where the driver serves. Throws what the file system throws. */
export function writeDashboardRecord(place: DriverPlace, record: DashboardRecord): void {
  writeRecord(recordOf(place), record);
}

/** Undefined when there is none. Never throws. */
export function readDashboardRecord(place: DriverPlace): Promise<DashboardRecord | undefined> {
  return readRecord(recordOf(place), recordSchema);
}

export function removeDashboardRecord(place: DriverPlace): void {
  removeRecord(recordOf(place));
}
