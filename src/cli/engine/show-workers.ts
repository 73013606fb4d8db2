import {
  askWorkers,
  readEngineRecord,
  readStoredWorkers,
  type StoredWorkers,
} from "../../engine/background/index.js";
import { StoreError } from "../../store/store-error.js";
import { tellSpan } from "../sessions/fit-text.js";
import { renderRows } from "../table.js";

/** How long a database that is away is waited for, in ms. */
const LIMIT_MS = 4_000;

/** The engines that share a database with this machine's, or why they could not be read. */
export type WorkersSight = StoredWorkers | { problem: string };

/**
 * Asks this machine's engine for the workers, or else the database where its address is known. Changes nothing.
 * @param options.settingsKey the key from the settings
 * @param options.database the address of the PostgreSQL database, where one is set
 * @returns undefined where the engine shares its runs with no other
 */
export async function lookAtWorkers(
  stateFolder: string,
  options: { settingsKey: string | undefined; database: string | undefined },
): Promise<WorkersSight | undefined> {
  const record = await readEngineRecord(stateFolder);
  const told = record && (await askWorkers(stateFolder, record, options.settingsKey));
  if (told) return told.workers.some(({ worker_id }) => worker_id !== "") ? told : undefined;
  if (options.database === undefined) return undefined;
  try {
    return await readStoredWorkers(options.database, { limitMs: LIMIT_MS });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return { problem: error.message };
  }
}

/** "3 workers, 5 of 6 slots taken, 2 runs wait" */
export function tellWorkers(sight: WorkersSight): string {
  if ("problem" in sight) return `could not be read: ${sight.problem}`;
  const { workers, waiting } = sight;
  const there = workers.filter(({ state }) => state === "ready" || state === "draining");
  const sum = (key: "places" | "busy") => there.reduce((total, one) => total + one[key], 0);
  const count = there.length === 1 ? "1 is there" : `${there.length} are there`;
  const wait = waiting === 0 ? "" : waiting === 1 ? ", 1 run waits" : `, ${waiting} runs wait`;
  return `${count}, ${sum("busy")} of ${sum("places")} slots taken${wait}`;
}

/** What `engine status --json` has of it; `workers_waiting` counts runs that have not begun. */
export function workersToJson(sight: WorkersSight): Record<string, unknown> {
  if ("problem" in sight) return { workers_problem: sight.problem };
  const workers = sight.workers.map(({ worker_id, name, version, state, places, busy, silent_seconds }) => ({
    ...{ worker_id, name, version, state, places, busy, silent_seconds },
  }));
  return { workers, workers_waiting: sight.waiting };
}

const STATES = { ready: "ready", draining: "begins nothing more", ended: "ended", gone: "silent" };

/** A line for each worker. @param width cells of the terminal's line; undefined for no limit */
export function renderWorkers({ workers }: StoredWorkers, width: number | undefined): string {
  const rows = workers.map(({ name, state, places, busy, version, silent_seconds: s }) => ({
    cells: {
      worker: name,
      state: STATES[state],
      slots: `${busy} of ${places} taken`,
      version,
      // So often each says that it is there.
      silent: state === "ready" && s < 10 ? "" : `for ${tellSpan(s * 1000)}`,
    },
  }));
  return renderRows(rows, {
    columns: ["worker", "state", "slots", "version", "silent"],
    shrink: [["worker", 8]],
    width,
    toned: "state",
    paint: (text) => text,
  });
}
