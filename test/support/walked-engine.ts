import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { createEngineWorld, type World } from "./engine-world.js";

export { REQUEST, SPEED, type WalkedEngine, type World } from "./engine-world.js";

/** A world for one test, removed with it. */
export function createWorld(): World {
  const base = mkdtempSync(join(tmpdir(), "automagik-test-"));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  return createEngineWorld({ base });
}
