import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Diary, readDiary } from "./diary.js";
import type { Machine } from "./machines.js";
import { type ClusterProgram, createProgram } from "./program.js";

export const SCRIPTED_AGENT = fileURLToPath(new URL("../../support/scripted-agent", import.meta.url));

/** After which time of silence a worker is gone, in s. */
export const WORKER_TIMEOUT_S = 3;

/** An engine of the built bin, on its machine. */
export interface ClusterWorker extends ClusterProgram {
  /** By which the others know it; undefined before its first start. */
  id(): string | undefined;
  /** What its agents have written. */
  diary: Diary;
}

/** @param options.folder in which its home is made */
export function createClusterWorker(options: {
  index: number;
  machine: Machine;
  folder: string;
  database: string;
  agent?: string | undefined;
  settings?: Record<string, string>;
}): ClusterWorker {
  const { index, machine, folder, database, settings = {}, agent = SCRIPTED_AGENT } = options;
  const diaryFile = join(folder, machine.name, "diary.jsonl");
  const program = createProgram({
    ...{ index, machine, folder, name: machine.name, args: ["engine"], listens: /listens on (\S+?)\.\s/ },
    env: { SCRIPTED_AGENT_DIARY: diaryFile },
    settings: {
      DATABASE: database,
      CLAUDE_PATH: agent,
      ENGINE_SANDBOX: "off",
      ENGINE_CONCURRENCY: "2",
      ENGINE_WORKER_TIMEOUT: `${WORKER_TIMEOUT_S}`,
      ENGINE_MOVE_AFTER: "6",
      ...settings,
    },
  });
  return {
    ...program,
    id: () => readId(join(program.home, "engine", "worker-id")),
    diary: readDiary(diaryFile),
  };
}

function readId(file: string): string | undefined {
  return existsSync(file) ? /[0-9a-f-]{36}/.exec(readFileSync(file, "utf8"))?.[0] : undefined;
}
