import {
  type EngineStatus,
  readOwnWorkerId,
  readStoredWorkers,
  type StoredWorkers,
} from "../../engine/background/index.js";
import { StoreError } from "../../store/store-error.js";
import { tellSpan } from "../sessions/fit-text.js";
import { ok, type Result, skipped, warning } from "./finding.js";

type Seen = StoredWorkers["workers"][number];

/**
 * Looks at the engines that share the database, without changing anything.
 * @param address of the database; it is not shown
 * @param options.engine that of this machine
 * @param options.limitMs how long a database that is away is waited for
 */
export async function checkWorkers(
  address: string,
  options: { stateFolder: string; engine: EngineStatus; limitMs: number },
): Promise<Result> {
  try {
    const found = await readStoredWorkers(address, options);
    const own = await readOwnWorkerId(options.stateFolder);
    return judge(found?.workers ?? [], own, options.engine);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return skipped("not known: the database cannot be used");
  }
}

function judge(workers: readonly Seen[], own: string | undefined, engine: EngineStatus): Result {
  const there = workers.filter(({ state }) => state === "ready" || state === "draining");
  const isHere = there.some(({ worker_id }) => worker_id === own);
  // One that windows have started is its machine's own.
  if (engine.running && engine.background === false && !isHere)
    return warning(
      `${tell(there)}; the engine of this machine${engine.pid ? ` (process ${engine.pid})` : ""} is none of them`,
      "Start it again with AUTOMAGIK_WORKFLOWS_DATABASE (or DATABASE_FILE) as the others have it.",
    );
  const gone = workers.filter(({ state }) => state === "gone");
  if (gone.length > 0) {
    const silent = gone.map(({ name, silent_seconds: s }) => `${name} for ${tellSpan(s * 1000)}`);
    return warning(
      `${tell(there)}; silent: ${silent.join(", ")}`,
      "Start it again there, or leave it: its runs are interrupted, and it is forgotten after 30 days.",
    );
  }
  if (there.length === 0)
    return workers.length === 0
      ? skipped("no engine uses the database")
      : warning(
          "none is there: whatever is started waits",
          "Start the command engine on one of the machines.",
        );
  if (new Set(there.map(({ version }) => version)).size > 1)
    return warning(
      `${tell(there)}; of different versions: ${there.map(({ name, version }) => `${name} ${version}`).join(", ")}`,
      "Bring the upgrade to its end: drain the older ones, update them, start them again.",
    );
  return ok(`${tell(there)}, version ${there[0]?.version}${isHere ? "; this machine is one of them" : ""}`);
}

function tell(there: readonly Seen[]): string {
  const sum = (key: "places" | "busy") => there.reduce((total, one) => total + one[key], 0);
  const names = there.map(({ name, state }) => (state === "draining" ? `${name}, which ends` : name));
  const count = there.length === 1 ? "1 worker" : `${there.length} workers`;
  if (there.length === 0) return "no worker is there";
  return `${count} (${names.join(", ")}), ${sum("busy")} of ${sum("places")} slots taken`;
}
