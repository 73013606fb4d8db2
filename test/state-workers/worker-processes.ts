import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

const project = fileURLToPath(new URL("../..", import.meta.url));

export type Worker = ChildProcessByStdio<Writable, Readable, null>;

/**
 * Compiles the workers and the sources they import into a temporary folder, so that each of the hundreds of
 * processes starts as plain node and runs the present sources, whatever was built before.
 */
export function compileWorkers(): { start(worker: string, args: string[]): Worker; dispose(): void } {
  const folder = mkdtempSync(join(tmpdir(), "state-workers-"));
  symlinkSync(join(project, "node_modules"), join(folder, "node_modules"), "junction");
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  const config = {
    extends: join(project, "tsconfig.json"),
    compilerOptions: { noEmit: false, noCheck: true, outDir: folder, rootDir: project },
    include: [],
    files: ["append-runs", "write-until-killed", "hold-lock", "count-in-database"].map((name) =>
      join(project, "test/state-workers", `${name}.ts`),
    ),
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const compiler = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");
  execFileSync(process.execPath, [compiler, "-p", folder], { stdio: "pipe" });
  return {
    start: (worker, args) => {
      const script = join(folder, "test/state-workers", `${worker}.js`);
      return spawn(process.execPath, [script, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    },
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
