import { access, constants, readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DATABASE_FILE, STATE_FOLDER_NAME } from "../../shared/state-folder.js";
import { StoreError } from "../../store/store-error.js";
import { failure, ok, type Result, warning } from "./finding.js";

/** Group and others may do something. */
const LOOSE = 0o077;
const ELSEWHERE = "Make it writable, or name another folder in AUTOMAGIK_WORKFLOWS_STATE_DIR.";
const FORGETS = "sessions would be forgotten when the server ends";

/**
 * Looks at the folder and the database in which sessions are remembered, without making anything or changing what is
 * in them.
 * @param options.folder absolute
 * @param options.shown how it is called in messages
 */
export async function checkState(options: {
  folder: string;
  shown: string;
  platform: NodeJS.Platform;
}): Promise<Result> {
  const { folder, shown, platform } = options;
  const nearest = await findNearestFolder(folder);
  if (!nearest.isFolder)
    return failure(`${shown} cannot be a folder: a file is in its way; ${FORGETS}`, ELSEWHERE);
  if (!(await isWritable(nearest.path))) return failure(`${shown} cannot be written; ${FORGETS}`, ELSEWHERE);
  if (nearest.path !== folder) return ok(`${shown} is created with the first session`);

  const file = join(folder, DATABASE_FILE);
  const own: [path: string, shown: string, mode: number][] = [[file, join(shown, DATABASE_FILE), 600]];
  if (basename(folder) === STATE_FOLDER_NAME) own.unshift([folder, shown, 700]);
  for (const [path, name, mode] of own) {
    const found = await stat(path).catch(() => undefined);
    if (platform === "win32" || !found || (found.mode & LOOSE) === 0) continue;
    return warning(`${name} is open to other users of this machine`, `chmod ${mode} ${name}`);
  }
  const found = await stat(file).catch(() => undefined);
  if (!found) return ok(`${shown} can be written; its database is created with the first session`);
  const result = await checkDatabase(folder, shown, found.size);
  const aside = (await readdir(folder)).filter((name) => /^automagik\.db\.damaged-\d+$/.test(name));
  if (result.status !== "ok" || aside.length === 0) return result;
  return warning(
    `${result.message}; set aside as damaged earlier: ${aside.join(", ")}`,
    "Delete those that are not needed.",
  );
}

async function checkDatabase(folder: string, shown: string, bytes: number): Promise<Result> {
  const { inspectDatabase } = await import("../../store/database.js");
  try {
    const { release, sessions } = await inspectDatabase(folder);
    const count = `${sessions} session${sessions === 1 ? "" : "s"}`;
    const size = `${Math.ceil(bytes / 1024)} KiB`;
    return ok(
      `${shown} can be written; ${count}; its database${release === undefined ? "" : `, set up by version ${release},`} takes ${size} and can be locked`,
    );
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.kind === "damaged") {
      return warning(`${shown}: ${error.message}`, "The next server moves it aside and begins a new one.");
    }
    if (error.kind === "newer-version") return failure(`${shown}: ${error.message}`, "Update this product.");
    return failure(`${shown}: ${error.message.replace(/\.$/, "")}; ${FORGETS}`, ELSEWHERE);
  }
}

async function findNearestFolder(folder: string): Promise<{ path: string; isFolder: boolean }> {
  for (let path = folder; ; path = dirname(path)) {
    try {
      return { path, isFolder: (await stat(path)).isDirectory() };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ENOTDIR") return { path, isFolder: true };
      if (path === dirname(path)) return { path, isFolder: false };
    }
  }
}

async function isWritable(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}
