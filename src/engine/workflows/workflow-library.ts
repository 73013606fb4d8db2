import { createKeyedMutex } from "../../shared/keyed-mutex.js";
import type { EngineWorkflow } from "../types.js";
import { readCopyMark } from "./workflow-copies.js";
import { isWorkflowName, parseWorkflow } from "./workflow-file.js";
import { createWorkflowFolder, type FolderContent, type WorkflowProblem } from "./workflow-folder.js";
import { createWorkflowWriter } from "./workflow-writer.js";

/** A workflow as somebody wants it. What is left out gets the default; null takes away what was set. */
export interface WorkflowInput {
  name: string;
  prompt: string;
  displayName?: string | null | undefined;
  description?: string | null | undefined;
  category?: string | null | undefined;
  emoji?: string | null | undefined;
  suggestedTurns?: number | null | undefined;
  maxTurns?: number | null | undefined;
  /** In the agent's notation, or the name of a set ("@commit", "@checks"). */
  allowedTools?: string[] | null | undefined;
  disallowedTools?: string[] | null | undefined;
  permissionMode?: EngineWorkflow["permissionMode"] | null | undefined;
  model?: string | null | undefined;
  capabilities?: string[] | null | undefined;
}

/** What changes; everything else stays as it is. */
export type WorkflowChange = Partial<Omit<WorkflowInput, "name">>;

/** A change that was refused. Nothing has been changed; the message says why, for a person. */
export class WorkflowError extends Error {
  override name = "WorkflowError";
  readonly code: "exists" | "invalid" | "shipped" | "not_found" | "unwritable";

  constructor(code: WorkflowError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** The workflows that there are: those that came with the engine or the person's copies of them, and the person's own. */
export interface WorkflowLibrary {
  /** The shipped ones in the order of a project's life, then the person's own by name. Never throws. */
  list(): Promise<EngineWorkflow[]>;
  get(name: string): Promise<EngineWorkflow | undefined>;
  /** @throws WorkflowError `invalid`, `shipped` or `exists` (also when the folder is there and cannot be read) */
  create(input: WorkflowInput): Promise<EngineWorkflow>;
  /** Also mends a folder that could not be read. @throws WorkflowError `shipped`, `not_found` or `invalid` */
  update(name: string, change: WorkflowChange): Promise<EngineWorkflow>;
  /** Removes the folder with all that is in it. @throws WorkflowError `shipped` or `not_found` */
  remove(name: string): Promise<void>;
  /** What the latest `list` or `get` could not use; it never keeps the others from being used. */
  problems(): WorkflowProblem[];
}

/** How one follows on another in most projects. */
const SHIPPED_ORDER = ["architect", "implement", "test", "review", "fix", "refactor", "document"];

/**
 * Creates the library over two folders of folders `<name>/{prompt.md,workflow.json}`. The files are looked at on every
 * call, so what a person changes shows up without a restart; nothing is watched. Nothing is created before the
 * first `create`.
 * @param options.ownFolder the person's own; a name that a shipped one has is reported and left out, unless it is marked
 *   as a copy of that: then it is used in its place
 * @param options.onProblem told once of each problem, and again when it comes back; must not throw
 */
export function createWorkflowLibrary(options: {
  shippedFolder: string;
  ownFolder: string;
  clock?: { now(): number };
  onProblem?: (problem: WorkflowProblem) => void;
}): WorkflowLibrary {
  const clock = options.clock ?? Date;
  const readShipped = createWorkflowFolder({
    folder: options.shippedFolder,
    shipped: true,
    optional: false,
    clock,
  });
  const readOwn = createWorkflowFolder({ folder: options.ownFolder, shipped: false, optional: true, clock });
  const writer = createWorkflowWriter(options.ownFolder);
  const mutex = createKeyedMutex();
  let found: WorkflowProblem[] = [];

  async function scan(): Promise<EngineWorkflow[]> {
    const shipped = await readShipped();
    const read = await readOwn();
    const copied = await listCopied(read.names, shipped.names);
    const own = withoutShadowing(
      explainCopies(read, copied),
      shipped.names.filter((name) => !copied.includes(name)),
    );
    const known = new Set(found.map(idOf));
    found = [...shipped.problems, ...own.problems];
    for (const problem of found) if (!known.has(idOf(problem))) options.onProblem?.({ ...problem });
    const isCopy = ({ name }: EngineWorkflow) => copied.includes(name);
    // A copy that cannot be used has the shipped one's place all the same: that one would do what its author has changed.
    const inOrder = [
      ...shipped.workflows.filter((one) => !isCopy(one)),
      ...own.workflows.filter(isCopy),
    ].sort(byShippedOrder);
    return structuredClone([...inOrder, ...own.workflows.filter((one) => !isCopy(one))]);
  }

  /** Which of the person's own folders are copies of shipped workflows, to be used in place of those. */
  async function listCopied(own: readonly string[], shipped: readonly string[]): Promise<string[]> {
    const names = own.filter((name) => shipped.includes(name));
    const marks = await Promise.all(names.map((name) => readCopyMark(options.ownFolder, name)));
    return names.filter((_, index) => marks[index] !== undefined);
  }

  // One at a time, so that what is reported as new is new.
  const list = () => mutex.run("scan", scan);

  /** Does a change with the names that are taken by shipped ones, one change at a time. */
  function change<T>(name: string, work: () => Promise<T>): Promise<T> {
    return mutex.run("change", async () => {
      const isShipped = (await readShipped()).names.includes(name);
      if (isShipped && !(await readCopyMark(options.ownFolder, name))) {
        throw new WorkflowError(
          "shipped",
          `"${name}" came with the engine and cannot be changed, replaced or removed. Make your own under another name.`,
        );
      }
      try {
        return await work();
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (error instanceof WorkflowError || code === undefined) throw error;
        throw new WorkflowError(
          "unwritable",
          `The folder of your workflows, ${options.ownFolder}, could not be written (${code}). Nothing was changed.`,
        );
      }
    });
  }

  async function mustExist(name: string): Promise<void> {
    if (isWorkflowName(name) && (await writer.isFolder(name))) return;
    throw new WorkflowError("not_found", `There is no workflow "${name}" of your own. Nothing was changed.`);
  }

  return {
    list,
    get: async (name) => (await list()).find((workflow) => workflow.name === name),

    create: ({ name, prompt, ...given }) =>
      change(name, async () => {
        if (!isWorkflowName(name)) {
          throw new WorkflowError(
            "invalid",
            "A workflow's name is made of small letters, digits, _ and -, begins with a letter or digit, and has at most 64 of them. Nothing was created.",
          );
        }
        const { workflow, settings } = check(name, prompt, merge({}, given));
        if (await writer.taken(name)) throw exists(name);
        await writer
          .create(name, { "prompt.md": prompt, "workflow.json": textOf(settings) })
          .catch((error: NodeJS.ErrnoException) => {
            // Somebody else was faster.
            throw error.code === "ENOTEMPTY" || error.code === "EEXIST" ? exists(name) : error;
          });
        return workflow;
      }),

    update: (name, { prompt: newPrompt, ...given }) =>
      change(name, async () => {
        await mustExist(name);
        const prompt = newPrompt ?? (await writer.read(name, "prompt.md")) ?? "";
        const settings = merge(objectOf(await writer.read(name, "workflow.json")), given);
        const checked = check(name, prompt, settings);
        await writer.replace(name, { "prompt.md": prompt, "workflow.json": textOf(checked.settings) });
        return checked.workflow;
      }),

    remove: (name) =>
      change(name, async () => {
        await mustExist(name);
        await writer.remove(name);
      }),

    problems: () => found.map((problem) => ({ ...problem })),
  };
}

/** Throws what is wrong with it as a WorkflowError. */
function check(name: string, prompt: string, settings: Record<string, unknown>) {
  const parsed = parseWorkflow({ name, prompt, settings, shipped: false });
  if (!("message" in parsed)) return parsed;
  throw new WorkflowError(
    "invalid",
    `The workflow "${name}" would not be valid: ${parsed.message}. Nothing was changed.`,
  );
}

/** The settings with what was given put in: undefined changes nothing, null takes away. */
function merge(
  settings: Record<string, unknown>,
  given: Omit<WorkflowChange, "prompt">,
): Record<string, unknown> {
  const merged = { ...settings };
  for (const [key, value] of Object.entries(given)) {
    if (value === null) delete merged[key];
    else if (value !== undefined) merged[key] = value;
  }
  return merged;
}

/** What stands in a workflow.json; nothing when it is not readable as one, and then every setting is made anew. */
function objectOf(text: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}

function textOf(settings: Record<string, unknown>): string {
  return `${JSON.stringify(settings, null, 2)}\n`;
}

function exists(name: string): WorkflowError {
  return new WorkflowError(
    "exists",
    `There is a workflow "${name}" in your folder already. Nothing was created; change that one or take another name.`,
  );
}

/** A person's own folder with the name of a shipped one is not used. */
function withoutShadowing(own: FolderContent, taken: readonly string[]): FolderContent {
  const shadowing = own.names.filter((name) => taken.includes(name));
  if (shadowing.length === 0) return own;
  const message = (name: string) =>
    `Your workflow "${name}" is left out: that name belongs to a workflow that came with the engine. Rename its folder. To change the one that came, copy it by \`automagik-workflows-mcp workflows edit ${name}\`.`;
  return {
    ...own,
    workflows: own.workflows.filter(({ name }) => !shadowing.includes(name)),
    problems: [
      ...own.problems.filter(({ name }) => !shadowing.includes(name)),
      ...shadowing.map((name) => ({ name, message: message(name) })),
    ],
  };
}

/** What to do with a copy of a shipped workflow that cannot be used. */
function explainCopies(own: FolderContent, copied: readonly string[]): FolderContent {
  const usable = own.workflows.map(({ name }) => name);
  const problems = own.problems.map(({ name, message }) =>
    copied.includes(name) && !usable.includes(name)
      ? { name, message: `${message} Remove the folder to go back to the one that came with the engine.` }
      : { name, message },
  );
  return { ...own, problems };
}

function byShippedOrder(a: EngineWorkflow, b: EngineWorkflow): number {
  const rank = ({ name }: EngineWorkflow) => SHIPPED_ORDER.indexOf(name) + 1 || SHIPPED_ORDER.length + 1;
  return rank(a) - rank(b);
}

function idOf(problem: WorkflowProblem): string {
  return `${problem.name}\n${problem.message}`;
}
