import { lstat, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { isPlanName, NAME_RULE } from "../plans/language/plain-value.js";
import { cleanLine } from "../shared/text.js";
import { REPOSITORY_FOLDER } from "./template-folders.js";
import { TemplateError } from "./templates.js";

/**
 * Writes a template into the person's own folder of plans, which is made when it is not there. No file is ever replaced.
 * @returns its path
 * @throws TemplateError when there is one of that name, or it cannot be written
 */
export async function saveOwn(folder: string, name: string, text: string): Promise<string> {
  assertName(name);
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch(refuse);
  return writeNew(join(folder, `${name}.yaml`), text, 0o600);
}

/**
 * Writes a template into the folder of plans of a repository on this machine, as a file that is not committed. Where a
 * part of the way to it is a link, nothing is written: a repository can lead anywhere by one.
 * @returns its path
 * @throws TemplateError as `saveOwn`
 */
export async function saveInRepository(top: string, name: string, text: string): Promise<string> {
  assertName(name);
  let folder = top;
  for (const part of REPOSITORY_FOLDER.split("/")) {
    folder = join(folder, part);
    await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") refuse(error);
    });
    if (!(await lstat(folder).catch(refuse)).isDirectory())
      throw new TemplateError(
        `${REPOSITORY_FOLDER} of the repository is a link, or no folder. Nothing was written.`,
      );
  }
  return writeNew(join(folder, `${name}.yaml`), text, 0o644);
}

function assertName(name: string): void {
  if (!isPlanName(name))
    throw new TemplateError(
      `"${cleanLine(name, 80)}" is no name for a template: it must have ${NAME_RULE}. Nothing was written.`,
    );
}

/** Neither over a file nor through a link. */
async function writeNew(path: string, text: string, mode: number): Promise<string> {
  const file = await open(path, "wx", mode).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST")
      throw new TemplateError(
        "There is a template of that name already. Nothing was written. Take another name.",
      );
    return refuse(error);
  });
  try {
    await file.writeFile(text, "utf8");
  } catch (error) {
    refuse(error as NodeJS.ErrnoException);
  } finally {
    await file.close();
  }
  return path;
}

function refuse({ code }: NodeJS.ErrnoException): never {
  throw new TemplateError(`The template cannot be written (${code ?? "no reason"}).`);
}
