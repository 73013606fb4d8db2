import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Linux has a folder in memory; in a container it may be small, or nothing may be run from it. */
const IN_MEMORY = "/dev/shm";
/** Several times what all workers have in their folders at once. */
const ENOUGH_BYTES = 2 * 1024 ** 3;

/**
 * Puts the folders of tests into memory where that can be done: they make and remove thousands of small files, and
 * each commit of a database waits for the disk. What is chosen by TMPDIR stays.
 * @returns what removes the folder with all that tests have left in it
 */
export default function useMemoryFolder(): (() => void) | undefined {
  if (process.env.TMPDIR) return undefined;
  const folder = makeFolder();
  if (folder === undefined) return undefined;
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** @returns undefined where there is none that serves */
function makeFolder(): string | undefined {
  let folder: string | undefined;
  try {
    const { bavail, bsize } = statfsSync(IN_MEMORY);
    if (bavail * bsize < ENOUGH_BYTES) return undefined;
    folder = mkdtempSync(join(IN_MEMORY, "tests-"));
    const program = join(folder, "program");
    writeFileSync(program, "#!/bin/sh\n", { mode: 0o755 });
    execFileSync(program);
    return folder;
  } catch {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
}
