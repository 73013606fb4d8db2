import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Frame } from "./modern-frames.js";

/** What the real Claude Code and a server have said to each other. */
export interface Recorded {
  about: string;
  frames: { dir: string; msg: Frame; headers?: Record<string, string> }[];
}

const FOLDER = fileURLToPath(new URL("../fixtures/modern-era", import.meta.url));

export const recordedNames = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.replace(/\.json$/, ""));

export function readRecorded(name: string): Recorded {
  return JSON.parse(readFileSync(`${FOLDER}/${name}.json`, "utf8"));
}
