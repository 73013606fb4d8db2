import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import {
  createLocalEngine,
  type LocalEngine,
  type LocalEngineOptions,
} from "../../src/engine/create-local-engine.js";
import { systemClock } from "../../src/shared/clock.js";
import { createLog } from "../../src/shared/log.js";

export const ENGINE_KEY = "contract-key";

/** What scripted agents ask. */
export const QUESTION = {
  question: "Which database should I use?",
  header: "Database",
  multiSelect: false,
  options: [
    { label: "PostgreSQL", description: "With JSON" },
    { label: "SQLite", description: "One file" },
  ],
};

/** Stands in for the agent's program. */
export const SCRIPTED_AGENT = fileURLToPath(new URL("scripted-agent", import.meta.url));

/** A folder for an engine; whoever makes it removes it. */
export function engineFolder(): { folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), "automagik-test-"));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A whole engine of this process on a free port, whose agents are scripted. Warnings go to stderr. */
export function startLocalEngine(
  folder: string,
  settings: Partial<LocalEngineOptions["settings"]> = {},
  env: NodeJS.ProcessEnv = {},
  more: Partial<
    Pick<
      LocalEngineOptions,
      "readChangedSettings" | "kinds" | "clock" | "port" | "lingerMs" | "shared" | "log"
    >
  > = {},
): Promise<LocalEngine> {
  return createLocalEngine({
    apiKey: ENGINE_KEY,
    host: "127.0.0.1",
    port: 0,
    stateFolder: folder,
    folder,
    privateFolder: join(folder, "engine-private"),
    settings: {
      claudePath: SCRIPTED_AGENT,
      engineConcurrency: 4,
      engineCostLimitUsd: undefined,
      engineQuestionTimeoutS: 1800,
      engineCheckTimeoutS: 600,
      engineAllowedFolders: undefined,
      enginePush: "off",
      engineHooks: "off",
      engineSandbox: "off",
      engineAgentVariables: undefined,
      ...settings,
    },
    env: { PATH: process.env.PATH, HOME: folder, XDG_CONFIG_HOME: join(folder, "config"), ...env },
    home: folder,
    platform: process.platform,
    clock: systemClock,
    log: createLog({ level: "warn", stderr: process.stderr }),
    version: "1.2.3",
    // Each run of a test would be over a second later for a message that does not come.
    lingerMs: 30,
    ...more,
  });
}

/** The same in a folder of its own; it ends with the test. */
export async function openEngine(
  settings: Partial<LocalEngineOptions["settings"]> = {},
): Promise<LocalEngine> {
  const { folder, remove } = engineFolder();
  const engine = await startLocalEngine(folder, settings);
  onTestFinished(async () => {
    await engine.close();
    remove();
  });
  return engine;
}

/** The message with which the scripted agent does this; see scripted-agent.mjs. */
export function withScript(message: string, script: { pace?: number; steps: object[] }): string {
  return `${message}\n#script ${JSON.stringify(script)}`;
}

/** A task whose agent asks {@link QUESTION}. */
export const ASKS = withScript("Do it", {
  steps: [{ tools: [{ name: "AskUserQuestion", input: { questions: [QUESTION] } }] }, { text: "Done" }],
});
