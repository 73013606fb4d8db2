import { constants } from "node:fs";
import { lstat, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type FileStamp, sameStamp } from "../../shared/private-files.js";
import type { EngineWorkflow } from "../types.js";
import { isWorkflowName, MAX_PROMPT_BYTES, MAX_SETTINGS_BYTES, parseWorkflow } from "./workflow-file.js";

/** Something in a folder of workflows that could not be used, or not wholly. */
export interface WorkflowProblem {
  /** The folder's name; empty when it is about the folder of workflows itself. */
  name: string;
  /** What is wrong and what to do, for a person. */
  message: string;
}

/** Everything found in one folder of workflows. */
export interface FolderContent {
  /** In the order of their names. They are the cache's own: copy before handing them on. */
  workflows: EngineWorkflow[];
  /** Names of all folders that could be a workflow's, read or not. */
  names: string[];
  problems: WorkflowProblem[];
}

interface Loaded {
  workflow?: EngineWorkflow;
  problem?: string;
}

/**
 * Times of files come in ticks of up to 2 s (FAT). Two versions within one tick can look alike, so a file is trusted to
 * be unchanged only when it was older than that as it was read.
 */
const TICK_MS = 2_000;

/**
 * Reads a folder of workflows, again at each call; files that have not changed since are not opened. Links below the
 * folder are not followed. The answer never throws: what cannot be read is among the problems.
 * @param options.optional the folder need not exist
 */
export function createWorkflowFolder(options: {
  folder: string;
  shipped: boolean;
  optional: boolean;
  clock: { now(): number };
}): () => Promise<FolderContent> {
  const { folder, shipped, clock } = options;
  const cache = new Map<string, { stamps: FileStamp[]; loaded: Loaded }>();

  async function load(name: string): Promise<Loaded> {
    const paths = [join(folder, name, "prompt.md"), join(folder, name, "workflow.json")] as const;
    const readAt = clock.now();
    const stamps = await Promise.all(paths.map((path) => lstat(path)));
    const cached = cache.get(name);
    if (cached && stamps.every((stamp, index) => sameStamp(stamp, cached.stamps[index] ?? stamp))) {
      return cached.loaded;
    }
    const [prompt, settings] = await Promise.all([
      readText(paths[0], MAX_PROMPT_BYTES),
      readText(paths[1], MAX_SETTINGS_BYTES),
    ]);
    const loaded = understand(name, prompt, settings);
    if (stamps.every((stamp) => readAt - stamp.mtimeMs > TICK_MS)) cache.set(name, { stamps, loaded });
    else cache.delete(name);
    return loaded;
  }

  function understand(name: string, prompt: TextOrReason, settings: TextOrReason): Loaded {
    if ("reason" in prompt) return { problem: leftOut(name, `prompt.md ${prompt.reason}`) };
    if ("reason" in settings) return { problem: leftOut(name, `workflow.json ${settings.reason}`) };
    const parsed = parseWorkflow({ name, prompt: prompt.text, settings: settings.text, shipped });
    if ("message" in parsed) return { problem: leftOut(name, parsed.message) };
    const { workflow, unknownKeys } = parsed;
    if (unknownKeys.length === 0) return { workflow };
    const keys = unknownKeys.slice(0, 5).map(shown).join(", ");
    return {
      workflow,
      problem: `The workflow "${name}" is used, but workflow.json has keys that mean nothing here: ${keys}.`,
    };
  }

  return async () => {
    const content: FolderContent = { workflows: [], names: [], problems: [] };
    const report = (name: string, message: string) => content.problems.push({ name, message });
    let entries: Awaited<ReturnType<typeof entriesOf>>;
    try {
      entries = await entriesOf(folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" || !options.optional)
        report("", `The folder of workflows ${folder} could not be read (${code ?? "unknown error"}).`);
      return content;
    }
    for (const entry of entries) {
      // Hidden ones are the system's and what is being written; plain files (a README) are nobody's mistake.
      if (entry.name.startsWith(".")) continue;
      if (entry.isSymbolicLink()) {
        report(shown(entry.name), leftOut(shown(entry.name), "it is a link; copy the folder itself"));
        continue;
      }
      if (!entry.isDirectory()) continue;
      if (!isWorkflowName(entry.name)) {
        const rules = "small letters, digits, _ and -, beginning with a letter or digit, at most 64";
        report(shown(entry.name), leftOut(shown(entry.name), `its name must be made of ${rules}`));
        continue;
      }
      content.names.push(entry.name);
      const { workflow, problem } = await load(entry.name).catch((error: NodeJS.ErrnoException): Loaded => {
        const why =
          error.code === "ENOENT"
            ? "it needs both prompt.md and workflow.json"
            : `it could not be read (${error.code ?? "unknown error"})`;
        return { problem: leftOut(entry.name, why) };
      });
      if (workflow) content.workflows.push(workflow);
      if (problem) report(entry.name, problem);
    }
    for (const name of cache.keys()) if (!content.names.includes(name)) cache.delete(name);
    return content;
  };
}

async function entriesOf(folder: string) {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

type TextOrReason = { text: string } | { reason: string };

/** Reads a whole file, not through a link, and without hanging on a pipe that somebody put there. */
async function readText(path: string, maxBytes: number): Promise<TextOrReason> {
  // Where the system cannot refuse links at the opening (Windows), looking beforehand has to do.
  if ((await lstat(path)).isSymbolicLink()) return { reason: "is a link; put the file itself there" };
  const handle = await open(
    path,
    constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0),
  );
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) return { reason: "is not a plain file" };
    if (stat.size > maxBytes) return { reason: `is larger than ${maxBytes / 1024} KiB` };
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(await handle.readFile()) };
  } catch (error) {
    if (error instanceof TypeError) return { reason: "is not text in UTF-8" };
    throw error;
  } finally {
    await handle.close();
  }
}

function leftOut(name: string, why: string): string {
  return `The workflow "${name}" is left out: ${why}.`;
}

/** A name for a message: names that others chose may hold anything. */
function shown(name: string): string {
  return /^[\w. -]{1,80}$/.test(name) ? name : JSON.stringify(name).slice(1, 80);
}
