import { spawn } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import type { Worker } from "../state-workers/worker-processes.js";

export type StartWorker = (...args: string[]) => Worker;

const project = fileURLToPath(new URL("../..", import.meta.url));

/** Bundles a worker into one file of the folder, so that each of many processes starts in a moment. */
export function bundleWorker(name: string, folder: string): StartWorker {
  symlinkSync(join(project, "node_modules"), join(folder, "node_modules"), "junction");
  const outfile = join(folder, `${name}.mjs`);
  buildSync({
    entryPoints: [join(project, "test/engine-workers", `${name}.ts`)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    // The hundreds of files of the query builder would be read anew by each process.
    external: ["libsql"],
  });
  return (...args) => spawn(process.execPath, [outfile, ...args], { stdio: ["pipe", "pipe", "inherit"] });
}
