import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Worker } from "../state-workers/worker-processes.js";

const project = fileURLToPath(new URL("../..", import.meta.url));

/** Compiles one worker and what it imports, so that each of many processes starts as plain node. */
export function compileWorker(name: string): { start(...args: string[]): Worker; dispose(): void } {
  const folder = mkdtempSync(join(tmpdir(), "engine-workers-"));
  symlinkSync(join(project, "node_modules"), join(folder, "node_modules"), "junction");
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  const config = {
    extends: join(project, "tsconfig.json"),
    compilerOptions: { noEmit: false, noCheck: true, outDir: folder, rootDir: project },
    include: [],
    files: [join(project, "test/engine-workers", `${name}.ts`)],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const compiler = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");
  execFileSync(process.execPath, [compiler, "-p", folder], { stdio: "pipe" });
  return {
    start: (...args) => {
      const script = join(folder, "test/engine-workers", `${name}.js`);
      return spawn(process.execPath, [script, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    },
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}
