import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

const project = fileURLToPath(new URL("../..", import.meta.url));

export type Worker = ChildProcessByStdio<Writable, Readable, null>;

/**
 * Bundles the workers with the sources they import into a temporary folder, so that each of the hundreds of
 * processes starts as plain node and runs the present sources, whatever was built before.
 */
export function compileWorkers(names = ["append-runs", "write-until-killed", "count-in-database"]): {
  start(worker: string, args: string[]): Worker;
  dispose(): void;
} {
  const folder = mkdtempSync(join(tmpdir(), "state-workers-"));
  symlinkSync(join(project, "node_modules"), join(folder, "node_modules"), "junction");
  buildSync({
    entryPoints: names.map((name) => join(project, "test/state-workers", `${name}.ts`)),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: ["libsql", "pg"],
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
  });
  return {
    start: (worker, args) =>
      spawn(process.execPath, [join(folder, `${worker}.mjs`), ...args], {
        stdio: ["pipe", "pipe", "inherit"],
      }),
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The worker's lines, as they come. */
export function linesOf(worker: Worker): AsyncIterator<string> {
  return createInterface({ input: worker.stdout })[Symbol.asyncIterator]();
}

/** Resolves with the exit code when the process has ended; null when it was killed. */
export async function ended(worker: Worker): Promise<number | null> {
  if (worker.exitCode !== null || worker.signalCode !== null) return worker.exitCode;
  const [code] = (await once(worker, "exit")) as [number | null];
  return code;
}
