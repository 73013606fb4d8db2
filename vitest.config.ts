import { configDefaults, defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.js";
import { posixOnly } from "./test/support/posix-only.js";

/**
 * Test files that get a process of their own: those that put other modules in place of Node's, measure the process,
 * count connections or open a thousand of them (what simulates an API in a file before has put itself between a socket
 * and the system, and once such a process was aborted by Node itself), or start so many programs (git) that a small
 * process pays: the cost of a start grows with the memory of who starts.
 */
const OWN_PROCESS = [
  "test/{calls-from-agents,connections,engine-local,http-places,http-security,http-server,odd-answers,proxies,renamed-machine}.test.ts",
  "test/{clients-of-both-eras,modern-http,modern-recorded}.test.ts",
  "test/{engine-kept-work,engine-push,engine-repositories,engine-workspaces,git,leaving-links,repository-*}.test.ts",
];
const LEFT_OUT = [...configDefaults.exclude, ...(process.platform === "win32" ? posixOnly() : [])];

export default defineConfig({
  test: {
    // Three times the cores: of the time of a test more than half is waiting, for processes above all (12 mixed files on
    // two cores: 38 s with four workers, 33 s with six, 30 s with eight, which take more memory).
    maxWorkers: 6,
    // Of test/faults.test.ts, whose tests are let go together: a few at once leave the machine idle.
    maxConcurrency: 9,
    // Only what hangs takes so long: on a busy machine everything takes ten times as long as on a quiet one.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    sequence: { sequencer: LongestFirst },
    globalSetup: "test/support/memory-folder.ts",
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      // It runs in a browser (test/dashboard-*.test.ts), where nobody counts.
      exclude: ["src/dashboard/ui/**"],
      // A log that is cut off at its beginning still tells which test has failed: the table of all files is long.
      reporter: process.env.CI ? ["text-summary"] : ["text-summary", "text"],
      thresholds: { lines: 90 },
    },
    projects: [
      {
        extends: true,
        test: { name: "own process", include: OWN_PROCESS, exclude: LEFT_OUT },
      },
      {
        // The others share a process a worker: what they import (the SDK, fastmcp, the sources) is loaded once, not
        // once a file, which took two seconds of processor time each.
        extends: true,
        test: {
          name: "shared process",
          isolate: false,
          include: ["test/**/*.test.ts"],
          exclude: [...OWN_PROCESS, ...LEFT_OUT],
        },
      },
    ],
  },
});
