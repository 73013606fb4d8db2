import { defineConfig } from "vitest/config";

/** With the real Claude Code, which `npm run test:claude` brings: 360 MB, so it is not among the other tests. */
export default defineConfig({
  test: {
    include: ["test/claude/*.claude.ts"],
    // The verbose one also prints what a test has annotated: what the chat client saw.
    reporters: ["verbose"],
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 30_000,
  },
});
