import { randomUUID } from "node:crypto";
import { lstat, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** Writing below the folder of a person's own workflows. All throw what the file system throws. */
export interface WorkflowWriter {
  /** True when anything has that name. */
  taken(name: string): Promise<boolean>;
  /** True when a real folder has that name, not a link to one. */
  isFolder(name: string): Promise<boolean>;
  /** The text of workflow.json or prompt.md as it stands, not through a link; undefined when it cannot be read. */
  read(name: string, file: WorkflowFile): Promise<string | undefined>;
  /** Makes the folder with the files; it is there wholly or not at all. Throws ENOTEMPTY or EEXIST when it is taken. */
  create(name: string, files: Readonly<Record<string, string>>): Promise<void>;
  /** Replaces the files, each wholly or not at all. */
  replace(name: string, files: Readonly<Record<string, string>>): Promise<void>;
  /** Removes the folder with all that is in it. It is gone for every reader at once. */
  remove(name: string): Promise<void>;
}

export type WorkflowFile = "prompt.md" | "workflow.json";
/** The files of which every workflow consists. */
export const WORKFLOW_FILES: readonly WorkflowFile[] = ["prompt.md", "workflow.json"];

/** Creates a writer for `folder`, which it makes when it first needs it. Names must have been checked. */
export function createWorkflowWriter(folder: string): WorkflowWriter {
  const entry = (name: string) =>
    lstat(join(folder, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
      throw error;
    });
  /** Hidden, so that no reader takes it for a workflow. */
  const aside = (what: string) => join(folder, `.${what}-${randomUUID()}`);

  return {
    taken: async (name) => (await entry(name)) !== undefined,
    isFolder: async (name) => (await entry(name))?.isDirectory() ?? false,
    read: async (name, file) => {
      const path = join(folder, name, file);
      const plain = (await lstat(path).catch(() => undefined))?.isFile();
      return plain ? readFile(path, "utf8").catch(() => undefined) : undefined;
    },
    create: async (name, files) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const fresh = aside("new");
      try {
        await mkdir(fresh, { mode: 0o700 });
        for (const [file, text] of Object.entries(files)) await writeNew(join(fresh, file), text);
        await rename(fresh, join(folder, name));
      } catch (error) {
        await rm(fresh, { recursive: true, force: true });
        throw error;
      }
    },
    replace: async (name, files) => {
      const fresh = Object.entries(files).map(([file, text]) => ({
        file,
        text,
        path: join(folder, name, `.${file}-${randomUUID()}`),
      }));
      try {
        // All lie on the disk before the first is put in place: then nothing but a crash can come between.
        for (const { text, path } of fresh) await writeNew(path, text);
        for (const { file, path } of fresh) await rename(path, join(folder, name, file));
      } catch (error) {
        for (const { path } of fresh) await rm(path, { force: true });
        throw error;
      }
    },
    remove: async (name) => {
      const old = aside("removed");
      await rename(join(folder, name), old);
      await rm(old, { recursive: true, force: true });
    },
  };
}

async function writeNew(path: string, text: string): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.writeFile(text, "utf8");
    await handle.sync();
  } finally {
    await handle.close();
  }
}
