import { access, constants, readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isRecordFileName, recordFileName } from "../../sessions/store/file-names.js";
import { parseRecord } from "../../sessions/store/session-record.js";
import { STATE_FOLDER_NAME } from "../../shared/state-folder.js";
import { failure, ok, type Result, warning } from "./finding.js";

/** More files than this are not looked into: enough to see whether something is wrong. */
const MAX_FILES = 2_000;
/** Group and others may do something. */
const LOOSE = 0o077;

/**
 * Looks at the folder in which sessions are remembered, without changing or making anything.
 * @param options.folder absolute
 * @param options.shown how it is called in messages
 */
export async function checkState(options: {
  folder: string;
  shown: string;
  platform: NodeJS.Platform;
}): Promise<Result> {
  const { folder, shown, platform } = options;
  const elsewhere = "Make it writable, or name another folder in AUTOMAGIK_WORKFLOWS_STATE_DIR.";
  const forgets = "sessions would be forgotten when the server ends";
  const nearest = await findNearestFolder(folder);
  if (!nearest.isFolder)
    return failure(`${shown} cannot be a folder: a file is in its way; ${forgets}`, elsewhere);
  if (!(await isWritable(nearest.path))) return failure(`${shown} cannot be written; ${forgets}`, elsewhere);
  if (nearest.path !== folder) return ok(`${shown} is made when the first session is remembered`);

  const sessions = join(folder, "sessions");
  const seen = await countFiles(sessions);
  if (seen.unwritable) return failure(`a folder in ${shown} cannot be written; ${forgets}`, elsewhere);
  const own = basename(folder) === STATE_FOLDER_NAME ? [folder] : [];
  for (const one of [...own, sessions]) {
    const mode = await stat(one).then(
      (found) => found.mode,
      () => 0,
    );
    if (platform !== "win32" && (mode & LOOSE) !== 0) {
      return warning(
        `${shown} is open to other users of this machine`,
        `chmod 700 ${one === folder ? shown : join(shown, "sessions")}`,
      );
    }
  }
  const problems = [
    seen.damaged > 0 ? `${seen.damaged} damaged` : "",
    seen.unreadable > 0 ? `${seen.unreadable} unreadable` : "",
    seen.newer > 0 ? `${seen.newer} of a newer release` : "",
    seen.setAside > 0 ? `${seen.setAside} set aside as damaged earlier` : "",
  ].filter(Boolean);
  const count = `${seen.records} session${seen.records === 1 ? "" : "s"}`;
  if (problems.length === 0) return ok(`${shown} can be written; ${count}`);
  return warning(
    `${shown}: ${count}; files with problems: ${problems.join(", ")}`,
    'They are left out. Look into its subfolders "sessions" and "damaged"; what is not needed can be deleted.',
  );
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

/** What lies in the folders of all addresses. */
async function countFiles(sessions: string) {
  const seen = { records: 0, damaged: 0, unreadable: 0, newer: 0, setAside: 0, unwritable: false };
  let left = MAX_FILES;
  for (const address of await list(sessions)) {
    if (!address.isDirectory()) continue;
    const home = join(sessions, address.name);
    if (!(await isWritable(home))) seen.unwritable = true;
    seen.setAside += (await list(join(home, "damaged"))).length;
    for (const entry of await list(home)) {
      if (entry.isDirectory() || entry.name.startsWith(".") || left-- <= 0) continue;
      if (!isRecordFileName(entry.name)) {
        seen.damaged++;
        continue;
      }
      const text = entry.isFile()
        ? await readFile(join(home, entry.name), "utf8").catch(() => undefined)
        : "";
      if (text === undefined) {
        seen.unreadable++;
        continue;
      }
      const content = parseRecord(text);
      const fits = content.kind === "record" && recordFileName(content.record.key) === entry.name;
      if (content.kind === "newer") seen.newer++;
      else if (fits) seen.records++;
      else seen.damaged++;
    }
  }
  return seen;
}

function list(folder: string) {
  return readdir(folder, { withFileTypes: true }).catch(() => []);
}
