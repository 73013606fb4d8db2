import { constants } from "node:fs";
import { lstat, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { MAX_TEMPLATE_BYTES, MAX_TEMPLATES, readFileName, type TemplateFile } from "./template-file.js";

/**
 * The templates in a folder of this machine, by name; none where there is no such folder. Links are left out, since
 * nobody can say whose file they lead to.
 * @returns `problem`: the folder is there and cannot be read, or has more than are read; a sentence's end
 */
export async function readFolder(folder: string): Promise<{ files: TemplateFile[]; problem?: string }> {
  let names: string[];
  try {
    names = (await readdir(folder)).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT"
      ? { files: [] }
      : { files: [], problem: `cannot be read (${code ?? "no reason"})` };
  }
  const known = names.flatMap((file) => {
    const read = readFileName(file);
    return read ? [{ file, ...read }] : [];
  });
  const files = await Promise.all(
    known.slice(0, MAX_TEMPLATES).map(async ({ file, ...read }): Promise<TemplateFile> => {
      if ("reason" in read) return read;
      return { ...read, ...(await readText(join(folder, file))) };
    }),
  );
  const isMuch = known.length > MAX_TEMPLATES;
  return {
    files,
    ...(isMuch ? { problem: `has more than the ${MAX_TEMPLATES} templates that are read` } : {}),
  };
}

/** Not through a link, and without hanging on a pipe that somebody put there. */
async function readText(path: string): Promise<{ text: string } | { reason: string }> {
  try {
    // Where the system cannot refuse links at the opening (Windows), looking beforehand has to do.
    if ((await lstat(path)).isSymbolicLink()) return { reason: "it is a link; put the file itself there" };
    const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
    const handle = await open(path, flags);
    try {
      const { size, ...stat } = await handle
        .stat()
        .then((found) => ({ size: found.size, file: found.isFile() }));
      if (!stat.file) return { reason: "it is not a plain file" };
      if (size > MAX_TEMPLATE_BYTES) return { reason: `it is larger than ${MAX_TEMPLATE_BYTES / 1024} KiB` };
      return { text: new TextDecoder("utf-8", { fatal: true }).decode(await handle.readFile()) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof TypeError) return { reason: "it is not text in UTF-8" };
    return { reason: `it cannot be read (${(error as NodeJS.ErrnoException).code ?? "no reason"})` };
  }
}
