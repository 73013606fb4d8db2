import { defineConfig } from "vitest/config";

/** With the real Codex, which `npm run test:codex` brings: 450 MB, so it is not among the other tests. */
export default defineConfig({
  test: {
    include: ["test/codex/*.codex.ts"],
    // The verbose one also prints what a test has annotated: start times and memory.
    reporters: ["verbose"],
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 30_000,
  },
});
