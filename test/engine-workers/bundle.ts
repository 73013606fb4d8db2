import { spawn } from "node:child_process";
import { symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, stop } from "esbuild";
import { englishOnly, noGlobalFetch } from "../../scripts/slim-bundle.js";
import type { Worker } from "../state-workers/worker-processes.js";

export interface BundledWorker {
  /** The file that it was bundled into. */
  script: string;
  start(...args: string[]): Worker;
  /** The same with these variables in its environment. */
  startWith(env: Record<string, string>, ...args: string[]): Worker;
}

const project = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Bundles a worker into one file of the folder, so that each of many processes starts in a moment.
 * @param path of its source below `test`, without the suffix
 */
export async function bundleWorker(path: string, folder: string): Promise<BundledWorker> {
  // The engine looks for its workflows beside the package's own file.
  for (const name of ["node_modules", "package.json", "workflows"])
    symlinkSync(join(project, name), join(folder, name), "junction");
  const script = join(folder, `${basename(path)}.mjs`);
  await build({
    entryPoints: [join(project, "test", `${path}.ts`)],
    outfile: script,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    // The hundreds of files of the query builder would be read anew by each process.
    external: ["libsql"],
    plugins: [englishOnly, noGlobalFetch],
    // Packages in the older form ask for Node's own modules by require.
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
  });
  // The bundler's own process would live on in that of the tests, whose files and children some of them count.
  await stop();
  const startWith: BundledWorker["startWith"] = (env, ...args) =>
    spawn(process.execPath, [script, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, ...env },
    });
  return { script, startWith, start: (...args) => startWith({}, ...args) };
}
