import { existsSync, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** By which a file shows that it works on POSIX only. */
const SIGNS = [
  // A program that is started by its first line, and those of tests that are.
  /["'`]#!\//,
  /"[^"]*(?:scripted-agent|scripted-acp\.mjs|replayed-acp\.mjs)"/,
  /"(?:\/bin\/)?(?:ba)?sh"/,
  // Modes and links.
  /\b(?:chmod|symlink)(?:Sync)?\(|\bmode: 0o/,
  // Signals other than SIGKILL, which ends a process anywhere.
  /\bkill\([^)]*"SIG(?!KILL)/,
  /\/proc\//,
];

/**
 * The test files that are left out on Windows, as paths from the repository's folder: those that work on POSIX only, or
 * use a helper that does.
 */
export function posixOnly(): string[] {
  const tests = readdirSync(new URL("..", import.meta.url)).filter((name) => name.endsWith(".test.ts"));
  return tests.map((name) => `test/${name}`).filter((file) => [...reachedFrom(file)].some(needsPosix));
}

const needsPosix = (file: string) => SIGNS.some((sign) => sign.test(read(file)));

/** The file itself and those of `test/` that it imports, or starts as a process, at any remove. */
function reachedFrom(file: string, reached: Set<string> = new Set()): Set<string> {
  if (reached.has(file)) return reached;
  reached.add(file);
  for (const [, name = ""] of read(file).matchAll(/(?:\bfrom|\bimport|\bnew URL)\s*\(?\s*"(\.[^"]+)"/g)) {
    const path = posix.join(posix.dirname(file), name);
    const source = [path.replace(/\.js$/, ".ts"), path].find((one) => existsSync(`${ROOT}${one}`));
    if (source && /^test\/.*\.(?:ts|mjs)$/.test(source)) reachedFrom(source, reached);
  }
  return reached;
}

const sources = new Map<string, string>();

function read(file: string): string {
  const source = sources.get(file) ?? readFileSync(`${ROOT}${file}`, "utf8");
  sources.set(file, source);
  return source;
}
