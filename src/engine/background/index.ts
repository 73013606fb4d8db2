/** The engine as a process: finding, starting, watching and stopping it. Loads nothing of the engine itself. */

export { askWorkers, type WorkersAnswer } from "./ask-workers.js";
export { type DiskUse, measureDiskUse } from "./disk-use.js";
export { type DrainSight, drainEngine } from "./drain-engine.js";
export { engineFiles } from "./engine-files.js";
export { resolveEngineKey } from "./engine-key.js";
export { openEngineLog } from "./engine-log-file.js";
export {
  type CreateEngineServer,
  type EngineProcessOptions,
  type EngineServer,
  runEngineProcess,
} from "./engine-process.js";
export { readEngineRecord } from "./engine-record.js";
export { type EngineStatus, readEngineStatus } from "./engine-status.js";
export { findOrStartEngine } from "./find-or-start.js";
export {
  bringSettings,
  followKeptSettings,
  type KeptSettings,
  type OwnSettings,
  readKeptSettings,
} from "./kept-settings.js";
export { type LastEnd, readLastEnd } from "./last-end.js";
export { createSpawnEngine } from "./spawn-engine.js";
export { stopEngine } from "./stop-engine.js";
export { type DayCosts, readStoredCosts } from "./stored-costs.js";
export { readStoredRuns } from "./stored-runs.js";
export { readOwnWorkerId, readStoredWorkers, type StoredWorkers } from "./stored-workers.js";
