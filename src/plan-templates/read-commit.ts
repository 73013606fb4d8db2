import type { Git } from "./repository-git.js";
import {
  MAX_TEMPLATE_BYTES,
  MAX_TEMPLATES,
  MAX_TOTAL_BYTES,
  readFileName,
  type TemplateFile,
} from "./template-file.js";
import { REPOSITORY_FOLDER } from "./template-folders.js";

/** A file as the commit has it: what it is called, and its object; or why it is left out. */
export type CommittedFile = { name: string; object: string } | { name: string; reason: string };

/**
 * What the commit has in the folder of templates; nothing is read of it yet.
 * @throws Error when git fails
 */
export async function listFiles(git: Git, commit: string): Promise<CommittedFile[]> {
  const told = await git(["ls-tree", "-z", "--full-tree", commit, `${REPOSITORY_FOLDER}/`]);
  if (told?.code !== 0) throw new Error("git cannot read the commit");
  const files: CommittedFile[] = [];
  for (const entry of told.text.split("\0")) {
    const [, mode, type, object = "", path = ""] = /^(\d+) (\w+) ([0-9a-f]+)\t(.+)$/s.exec(entry) ?? [];
    const read = readFileName(path.slice(REPOSITORY_FOLDER.length + 1));
    if (!read || type === "tree") continue;
    if ("reason" in read) files.push(read);
    else if (mode === "120000") files.push({ ...read, reason: "it is a link; commit the file itself there" });
    else if (type !== "blob") files.push({ ...read, reason: "it is not a plain file" });
    else files.push({ ...read, object });
    if (files.length === MAX_TEMPLATES) break;
  }
  return files;
}

/** The texts of the files, as they are committed: nothing is checked out, and no filter of the repository runs. */
export async function readFiles(git: Git, files: readonly CommittedFile[]): Promise<TemplateFile[]> {
  const read: TemplateFile[] = [];
  let bytes = 0;
  // One after another: there are few, and they are small.
  for (const file of files) {
    if ("reason" in file) read.push(file);
    else if (bytes > MAX_TOTAL_BYTES)
      read.push({
        name: file.name,
        reason: `those before it are larger than ${MAX_TOTAL_BYTES / 1024} KiB together`,
      });
    else {
      const found = await readObject(git, file.object);
      if ("text" in found) bytes += Buffer.byteLength(found.text);
      read.push({ name: file.name, ...found });
    }
  }
  return read;
}

async function readObject(git: Git, object: string): Promise<{ text: string } | { reason: string }> {
  const size = await git(["cat-file", "-s", object]);
  if (size?.code !== 0) return { reason: "git does not have its content" };
  if (Number(size.text) > MAX_TEMPLATE_BYTES)
    return { reason: `it is larger than ${MAX_TEMPLATE_BYTES / 1024} KiB` };
  const told = await git(["cat-file", "blob", object], 2 * MAX_TEMPLATE_BYTES);
  if (told?.code !== 0) return { reason: "git does not have its content" };
  if (/[\0\ufffd]/.test(told.text)) return { reason: "it is not text in UTF-8" };
  return { text: told.text };
}
