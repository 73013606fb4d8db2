/**
 * Measures what has a goal, on this machine and the bundle as it was just built:
 *
 *     npm run bench [-- start overhead many-runs plans routing dashboard cluster] [-- --rounds 15] [-- --check]
 *
 * Without names every part runs. `--check` ends with exit code 1 when a goal is missed.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { benchCluster } from "./cluster.js";
import { benchDashboard } from "./dashboard.js";
import { benchManyRuns } from "./many-runs.js";
import { benchOverhead } from "./overhead.js";
import type { BenchPart } from "./part.js";
import { benchPlans } from "./plans.js";
import { benchRouting } from "./routing.js";
import { benchStart } from "./start.js";

const PARTS: Record<string, BenchPart> = {
  start: benchStart,
  overhead: benchOverhead,
  "many-runs": benchManyRuns,
  plans: benchPlans,
  routing: benchRouting,
  dashboard: benchDashboard,
  cluster: benchCluster,
};

const { values, positionals } = parseArgs({
  options: { check: { type: "boolean" }, rounds: { type: "string" } },
  allowPositionals: true,
});
const print = (line: string) => process.stdout.write(`${line}\n`);
const missed: string[] = [];
print(`Node ${process.version}, ${process.platform}, ${cpus().length} × ${cpus()[0]?.model}`);
for (const name of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
  const part = PARTS[name];
  if (!part) throw new Error(`No part is called ${name}; there are ${Object.keys(PARTS).join(", ")}.`);
  print("");
  missed.push(...(await part({ print, ...(values.rounds ? { rounds: Number(values.rounds) } : {}) })));
}
print(missed.length > 0 ? `\nMissed: ${missed.join("; ")}` : "\nEvery goal is reached.");
if (values.check && missed.length > 0) process.exitCode = 1;
