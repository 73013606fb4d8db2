import { readFileSync } from "node:fs";
import * as z from "zod";
import { replaceFile } from "../../shared/replace-file.js";

const consentsSchema = z.object({
  version: z.literal(1),
  /** By the repository's address. */
  repositories: z.record(z.string(), z.object({ scriptsSince: z.string() })),
});

/** For which repositories a person has said that their own scripts may always run. */
export interface ScriptConsents {
  has(repository: string): boolean;
  /** @throws when it cannot be written down */
  add(repository: string): void;
}

/**
 * Keeps them in a file that agents cannot reach. It is read each time, so that what a person takes out of it holds at
 * once; what cannot be read permits nothing.
 */
export function createScriptConsents(options: { file: string; now: () => number }): ScriptConsents {
  const { file, now } = options;

  function read(): Record<string, { scriptsSince: string }> {
    try {
      return consentsSchema.parse(JSON.parse(readFileSync(file, "utf8"))).repositories;
    } catch {
      return {};
    }
  }

  return {
    has: (repository) => Object.hasOwn(read(), repository),
    add(repository) {
      const scriptsSince = new Date(now()).toISOString();
      const repositories = { ...read(), [repository]: { scriptsSince } };
      replaceFile(file, `${JSON.stringify({ version: 1, repositories }, null, 2)}\n`);
    },
  };
}
