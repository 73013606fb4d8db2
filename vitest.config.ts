import { configDefaults, defineConfig } from "vitest/config";

/**
 * Left out on Windows: tests that start a program by its first line (#!), as the scripted agent and the git of tests are,
 * end processes by signals, or set modes and make links.
 */
const POSIX_ONLY = [
  "{acknowledged-starts,agent-sandbox,broken-workflows,calls-from-agents,contract-engine,demo,doctor,git}",
  "{engine-*,demo-engine,http-server,install,leaving-links,planted-files,replicas,repository-*,state*,stdio}",
];

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [
      ...configDefaults.exclude,
      ...(process.platform === "win32" ? POSIX_ONLY.map((names) => `test/${names}.test.ts`) : []),
    ],
    // Two cores: the processes that some tests start need one of them.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      reporter: ["text-summary", "text"],
      thresholds: { lines: 90 },
    },
  },
});
