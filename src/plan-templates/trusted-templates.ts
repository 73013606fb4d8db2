import { join } from "node:path";
import * as z from "zod";
import { createKeyedMutex } from "../shared/keyed-mutex.js";
import { ensurePrivateFolder, readPrivateFile } from "../shared/private-files.js";
import { replaceFile } from "../shared/replace-file.js";
import { TemplateError } from "./templates.js";

/** Texts that a person has agreed to, for the repository that they are from. */
export interface TrustedTemplates {
  has(repository: string, digest: string): Promise<boolean>;
  /** @throws TemplateError when it cannot be kept; it holds until this process ends */
  add(one: { repository: string; name: string; digest: string }): Promise<void>;
}

const FILE = "trusted-templates.json";
const MAX_BYTES = 1024 * 1024;
/** The oldest are forgotten, and asked about anew. */
const MAX_KEPT = 1_000;

const fileSchema = z.object({
  version: z.literal(1),
  templates: z.array(
    z.object({ repository: z.string(), name: z.string(), digest: z.string(), since: z.string() }),
  ),
});
type Kept = z.infer<typeof fileSchema>["templates"];

/**
 * Keeps them in a file of the state folder, which every process of this person reads at each look; without a folder in
 * memory. A file that is damaged counts for nothing, and is left as it is.
 */
export function createTrustedTemplates(options: {
  folder: string | undefined;
  now: () => number;
}): TrustedTemplates {
  const { folder, now } = options;
  const inMemory = new Set<string>();
  const mutex = createKeyedMutex();
  const keyOf = (repository: string, digest: string) => `${digest} ${repository}`;

  async function read(): Promise<Kept | undefined> {
    if (folder === undefined) return [];
    try {
      const { text } = await readPrivateFile(join(folder, FILE), MAX_BYTES);
      return fileSchema.parse(JSON.parse(text ?? "")).templates;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ENOENT" ? [] : undefined;
    }
  }

  return {
    async has(repository, digest) {
      if (inMemory.has(keyOf(repository, digest))) return true;
      const kept = (await read()) ?? [];
      return kept.some((one) => one.repository === repository && one.digest === digest);
    },
    add: ({ repository, name, digest }) =>
      mutex.run(FILE, async () => {
        inMemory.add(keyOf(repository, digest));
        if (folder === undefined) return;
        const kept = await read();
        const lost =
          "The agreement to this template holds until this process ends, and is asked for again then";
        if (!kept)
          throw new TemplateError(
            `${lost}: the file ${FILE} in the state folder, which lists what was agreed to, cannot be read. Mend it, or remove it.`,
          );
        const isSame = (one: Kept[number]) => one.repository === repository && one.digest === digest;
        if (kept.some(isSame)) return;
        const templates = [...kept, { repository, name, digest, since: new Date(now()).toISOString() }];
        try {
          await ensurePrivateFolder(folder);
          const text = JSON.stringify({ version: 1, templates: templates.slice(-MAX_KEPT) }, null, 2);
          replaceFile(join(folder, FILE), `${text}\n`);
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException;
          throw new TemplateError(
            `${lost}: the file ${FILE} in the state folder cannot be written (${code ?? "no reason"}).`,
          );
        }
      }),
  };
}
