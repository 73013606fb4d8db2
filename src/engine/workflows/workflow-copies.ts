import { createHash } from "node:crypto";
import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isWorkflowName } from "./workflow-file.js";
import { createWorkflowWriter, WORKFLOW_FILES, type WorkflowFile } from "./workflow-writer.js";

/** Beside the two files of a copy: what it is a copy of. Without it a folder with the name of a shipped workflow is a mistake. */
export const COPY_FILE = "copied-from.json";
const MAX_COPY_FILE_BYTES = 4 * 1024;

/** The shipped workflow as it was when it was copied. */
export interface CopyMark {
  version: string;
  /** Of its two files. */
  sha256: string;
}

/** The person's copy of a shipped workflow, as against the shipped one of now. */
export interface WorkflowCopy extends CopyMark {
  name: string;
  /** Its folder. */
  folder: string;
  /** The person has changed it. */
  isChanged: boolean;
  /** The shipped one has changed since, and is not like the copy. */
  isOutdated: boolean;
}

type Files = Record<WorkflowFile, string>;

async function readFiles(folder: string, name: string): Promise<Files> {
  const texts = await Promise.all(WORKFLOW_FILES.map((file) => readFile(join(folder, name, file), "utf8")));
  return Object.fromEntries(WORKFLOW_FILES.map((file, index) => [file, texts[index] ?? ""])) as Files;
}

function hashOf(files: Files): string {
  return createHash("sha256")
    .update(JSON.stringify(WORKFLOW_FILES.map((file) => files[file])))
    .digest("hex");
}

/** What the folder says that it is a copy of; undefined when it does not say so. */
export async function readCopyMark(ownFolder: string, name: string): Promise<CopyMark | undefined> {
  const path = join(ownFolder, name, COPY_FILE);
  try {
    const stat = await lstat(path);
    if (!stat.isFile() || stat.size > MAX_COPY_FILE_BYTES) return undefined;
    const { version, sha256 } = JSON.parse(await readFile(path, "utf8"));
    return typeof version === "string" && typeof sha256 === "string" ? { version, sha256 } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The person's copies of shipped workflows.
 * @param names of the shipped ones
 */
export async function findCopies(
  folders: { shippedFolder: string; ownFolder: string },
  names: readonly string[],
): Promise<WorkflowCopy[]> {
  const { shippedFolder, ownFolder } = folders;
  const found = await Promise.all(
    names.map(async (name): Promise<WorkflowCopy[]> => {
      const mark = await readCopyMark(ownFolder, name);
      if (!mark) return [];
      const hash = (folder: string) => readFiles(folder, name).then(hashOf, () => undefined);
      const [own, shipped] = await Promise.all([hash(ownFolder), hash(shippedFolder)]);
      const isOutdated = shipped !== undefined && shipped !== mark.sha256 && shipped !== own;
      return [{ ...mark, name, folder: join(ownFolder, name), isChanged: own !== mark.sha256, isOutdated }];
    }),
  );
  return found.flat();
}

/**
 * Copies a shipped workflow to the person's own, where runs use it in place of the shipped one. Never over anything.
 * @param options.version of this product
 * @returns the folder of the copy
 * @throws an Error worded for a person when something has that name, and what the file system throws
 */
export async function copyShipped(options: {
  shippedFolder: string;
  ownFolder: string;
  name: string;
  version: string;
}): Promise<string> {
  const { shippedFolder, ownFolder, name, version } = options;
  if (!isWorkflowName(name)) throw new Error(`"${name}" is not the name of a workflow.`);
  const writer = createWorkflowWriter(ownFolder);
  const folder = join(ownFolder, name);
  if (await writer.taken(name)) throw new Error(`${folder} is there already. Nothing was copied.`);
  const files = await readFiles(shippedFolder, name);
  await writer.create(name, { ...files, [COPY_FILE]: markText(files, version) });
  return folder;
}

/** Notes that the person knows how the shipped workflow is now: their copy is not told as outdated any more. */
export async function renewCopyMark(options: {
  shippedFolder: string;
  ownFolder: string;
  name: string;
  version: string;
}): Promise<void> {
  const { shippedFolder, ownFolder, name, version } = options;
  const mark = markText(await readFiles(shippedFolder, name), version);
  await createWorkflowWriter(ownFolder).replace(name, { [COPY_FILE]: mark });
}

function markText(files: Files, version: string): string {
  const mark: CopyMark = { version, sha256: hashOf(files) };
  return `${JSON.stringify(mark, null, 2)}\n`;
}
