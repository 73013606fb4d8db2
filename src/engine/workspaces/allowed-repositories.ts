import { lstat, mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import * as z from "zod";
import { readPrivateFile } from "../../shared/private-files.js";
import { replaceFile } from "../../shared/replace-file.js";
import { type Consent, consentSchema } from "./consent.js";
import { WorkspaceError } from "./types.js";

/** The file's name in the configuration folder. */
export const ALLOWED_FILE = "allowed-repositories.json";

const MAX_BYTES = 1024 * 1024;
const fileSchema = z.object({
  version: z.literal(1),
  repositories: z.array(z.object({ ...consentSchema.shape, since: z.string() })),
});

/** The repositories of this machine that a person has allowed for good. */
export interface AllowedRepositories {
  /** @throws WorkspaceError when the file is there and cannot be read; it allows nothing then */
  list(): Promise<Consent[]>;
  /** @throws WorkspaceError when it cannot be written down; a file that cannot be read is left as it is */
  add(consent: Consent): Promise<void>;
  /** @returns false when it was not in there. @throws WorkspaceError as for `add` */
  remove(path: string): Promise<boolean>;
}

/**
 * Keeps them in a file that is read at each look, so that an engine that runs knows at once what was allowed in a form,
 * in a terminal, or with an editor.
 */
export function createAllowedRepositories(options: { file: string; now: () => number }): AllowedRepositories {
  const { file, now } = options;

  async function read(): Promise<z.infer<typeof fileSchema>> {
    let text: string | undefined;
    try {
      ({ text } = await readPrivateFile(file, MAX_BYTES));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return { version: 1, repositories: [] };
      throw new WorkspaceError(
        `${file}, which lists the allowed repositories, cannot be read: ${(error as Error).message}`,
      );
    }
    try {
      return fileSchema.parse(JSON.parse(text ?? ""));
    } catch {
      throw new WorkspaceError(
        `${file}, which lists the allowed repositories, is damaged, so nothing in it counts, and it was not changed. Mend it, or move it away and allow the repositories again.`,
      );
    }
  }

  async function write(repositories: z.infer<typeof fileSchema>["repositories"]): Promise<void> {
    try {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      // What is there may be a link to a file that somebody keeps elsewhere; it is not replaced without a word.
      if ((await lstat(file).catch(() => undefined))?.isSymbolicLink()) throw new Error("it is a link");
      replaceFile(file, `${JSON.stringify({ version: 1, repositories }, null, 2)}\n`);
    } catch (error) {
      throw new WorkspaceError(
        `${file} cannot be written: ${(error as Error).message}. Nothing was allowed.`,
      );
    }
  }

  return {
    async list() {
      return (await read()).repositories.map(({ path, folders }) => ({ path, folders }));
    },
    async add({ path, folders }) {
      const others = (await read()).repositories.filter((one) => one.path !== path);
      await write([...others, { path, folders, since: new Date(now()).toISOString() }]);
    },
    async remove(path) {
      const { repositories } = await read();
      const others = repositories.filter((one) => one.path !== path);
      if (others.length === repositories.length) return false;
      await write(others);
      return true;
    },
  };
}
