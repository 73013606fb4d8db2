import { open } from "node:fs/promises";
import { basename } from "node:path";

/** Far beyond what a person writes, in bytes. */
const MAX_BYTES = 1024 * 1024;

/** A plan's file cannot be had. */
export class NoPlanFile extends Error {
  override name = "NoPlanFile";
}

/** A plan as it is written in a file, and the name that it has where it says none itself: that of the file. */
export interface PlanFile {
  text: string;
  name: string;
}

/** @throws NoPlanFile for what is not there, is no file, or is too large */
export async function readPlanFile(path: string): Promise<PlanFile> {
  const refuse = (why: string) => new NoPlanFile(`The plan's file ${why}. Nothing was begun or changed.`);
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    throw refuse(
      error.code === "ENOENT"
        ? "is not there"
        : `cannot be read (${error.code ?? "unknown error"}); look at its permissions`,
    );
  });
  try {
    const { size } = await file.stat().then((found) => {
      if (!found.isFile()) throw refuse("is none: name a file with a plan in YAML or JSON");
      return found;
    });
    if (size > MAX_BYTES) throw refuse("has more than 1 MiB");
    const name = basename(path).replace(/\.(?:ya?ml|json)$/i, "");
    return { text: await file.readFile("utf8"), name };
  } finally {
    await file.close();
  }
}
/** True for what is meant as a file and not as the name of a template. */
export function isFile(wanted: string): boolean {
  return /[\\/]/.test(wanted) || /\.(?:ya?ml|json)$/i.test(wanted);
}
