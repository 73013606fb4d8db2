import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { checkBranchName } from "../../shared/git/repository-address.js";
import { ensurePrivateFolder, readPrivateFile } from "../../shared/private-files.js";
import { replaceFile } from "../../shared/replace-file.js";
import { consentSchema } from "./consent.js";
import { digest, folderName, isCertainBranch } from "./names.js";
import { WorkspaceError } from "./types.js";

/** Names made here, of `slug` and digits: nothing read from a file can lead out of our folders. */
const name = z.string().regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/);
const branchName = z.string().refine((text) => checkBranchName(text).ok);

/** Path, modification time and size of a file: enough to tell whether a run has touched it. */
const stamp = z.tuple([z.string(), z.number(), z.number()]);
export type FileStamp = z.infer<typeof stamp>;

const runSchema = z.object({
  runId: z.string(),
  startCommit: z.string().optional(),
  /** The remote's base branch as the run began: what comes from there is not the run's work. */
  upstreamCommit: z.string().optional(),
  /** What was uncommitted as the run began; missing when that was too much to remember. */
  startedWith: z.array(stamp).optional(),
});
export type RunRecord = z.infer<typeof runSchema>;

const sessionSchema = z.object({
  version: z.literal(1),
  /** `session <key>`; `run <id>` for a temporary folder; `aside <folder>` for what a session that has moved has left. */
  recordKey: z.string(),
  sessionKey: z.string(),
  kind: z.enum(["repository", "folder", "temporary"]),
  folder: name,
  repository: z.object({ name, address: z.string() }).optional(),
  /** What the person has allowed for this session alone. */
  consent: consentSchema.optional(),
  /** The worktree's folder under `worktrees/` of the bare clone. */
  admin: name.optional(),
  branch: branchName.optional(),
  baseBranch: branchName.optional(),
  /** What people call the session: for the name of a branch, where its own cannot be had. */
  sessionName: z.string().optional(),
  /** The branch that the session was given because it asked for none; earlier versions did not note it. */
  ownBranch: branchName.optional(),
  /** The branch on which its commits were last delivered, where that has another name. */
  deliveredAs: branchName.optional(),
  /** The branch at the remote from which a pull request is to be opened, or was. */
  publishedAs: branchName.optional(),
  /** Marks of files that differ from their commit since they were checked out: nobody's work. */
  asCheckedOut: z.array(z.string()).optional(),
  /** The commit with what the person had not committed when the session began. */
  ownCommit: z.string().optional(),
  /** The commit that the first run of a session that has moved began at. */
  beganAt: z.string().optional(),
  /** Another session has been given the branch: this worktree stands on the commit alone. */
  handedOver: z.boolean().optional(),
  /** False while the folder is being made: one that was not finished holds nobody's work. */
  ready: z.boolean(),
  removedAt: z.number().optional(),
  runs: z.array(runSchema),
});
export type SessionRecord = z.infer<typeof sessionSchema>;

/** What is known of sessions and their workspaces, one small file each. */
export interface SessionRecords {
  read(recordKey: string): Promise<SessionRecord | undefined>;
  /** All that can be read. */
  all(): Promise<SessionRecord[]>;
  /** By the name of its folder. */
  readByFolder(folder: string): Promise<SessionRecord | undefined>;
  /**
   * Gives the record a folder's name of its own, the wanted one or that with digits behind it. No name that another
   * record has, also one of a removed workspace: the agent's own program keeps what belongs to a folder by its path.
   * @param isFree whether nothing is there under that name, either
   */
  nameFolder(recordKey: string, wanted: string, isFree: (name: string) => Promise<boolean>): Promise<string>;
  /** Replaces the file at once, so that it survives whatever comes next. */
  write(record: SessionRecord): Promise<void>;
  remove(record: SessionRecord): Promise<void>;
  /**
   * Writes the record under the key of another one, which is gone then. Stopped in between, both are there; the same
   * call puts that right.
   */
  replace(record: SessionRecord, former: SessionRecord): Promise<void>;
  /** The key of the record that holds this run. */
  keyOfRun(runId: string): Promise<string | undefined>;
}

/** Runs whose beginning is remembered for each session; older ones are long over. */
const MAX_RUNS = 50;
/** Of these also the files that were uncommitted, which can be some hundred kilobytes. */
const MAX_RUNS_IN_FULL = 4;
const MAX_RECORD_BYTES = 4 * 1024 * 1024;
/** A removed workspace's branch is remembered this long, so that the session can be continued on it. */
const REMEMBER_MS = 180 * 24 * 3600 * 1000;

/** Creates the store on its folder, which is made when the first record is written. */
export function createSessionRecords(folder: string, now: () => number): SessionRecords {
  let known: Promise<Index> | undefined;
  const fileOf = (recordKey: string) => join(folder, `${digest(recordKey)}.json`);

  async function load(path: string): Promise<SessionRecord | undefined> {
    let text: string | undefined;
    try {
      ({ text } = await readPrivateFile(path, MAX_RECORD_BYTES));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw new WorkspaceError(
        `The record of a session's workspace cannot be read: ${(error as Error).message}`,
      );
    }
    try {
      return sessionSchema.parse(JSON.parse(text ?? ""));
    } catch {
      // To go on without it could put two sessions into one folder, or make work unfindable.
      throw new WorkspaceError(
        `The record of a session's workspace is damaged. Nothing was changed. Check ${path}, and move it away to start over.`,
      );
    }
  }

  async function all(): Promise<SessionRecord[]> {
    const names = await readdir(folder).catch(() => [] as string[]);
    const files = names.filter((one) => /^[0-9a-f]{32}\.json$/.test(one));
    const found: SessionRecord[] = [];
    for (const file of files) {
      const record = await load(join(folder, file)).catch(() => undefined);
      if (record) found.push(record);
    }
    return found;
  }

  async function scan(): Promise<Index> {
    const index: Index = { keyOfRun: new Map(), keyOfFolder: new Map() };
    for (const record of await all()) {
      if (record.removedAt !== undefined && record.removedAt < now() - REMEMBER_MS)
        await rm(fileOf(record.recordKey), { force: true });
      else note(index, record);
    }
    return index;
  }

  function note({ keyOfRun, keyOfFolder }: Index, { recordKey, folder: name, runs }: SessionRecord): void {
    keyOfFolder.set(name, recordKey);
    for (const run of runs) keyOfRun.set(run.runId, recordKey);
  }

  const index = () => {
    known ??= scan();
    return known;
  };

  async function write(record: SessionRecord): Promise<void> {
    const notes = await index();
    record.runs.splice(0, record.runs.length - MAX_RUNS);
    for (const run of record.runs.slice(0, -MAX_RUNS_IN_FULL)) delete run.startedWith;
    await ensurePrivateFolder(folder);
    replaceFile(fileOf(record.recordKey), JSON.stringify(record));
    note(notes, record);
  }

  async function remove(record: SessionRecord): Promise<void> {
    const notes = await index();
    await rm(fileOf(record.recordKey), { force: true });
    notes.keyOfFolder.delete(record.folder);
    for (const run of record.runs) notes.keyOfRun.delete(run.runId);
  }

  return {
    all,
    write,
    remove,
    async replace(record, former) {
      await write(record);
      await remove(former);
      note(await index(), record);
    },
    read: (recordKey) => load(fileOf(recordKey)),
    async readByFolder(name) {
      const key = (await index()).keyOfFolder.get(name);
      return key === undefined ? undefined : load(fileOf(key));
    },
    async nameFolder(recordKey, wanted, isFree) {
      const { keyOfFolder } = await index();
      for (let count = 1; ; count++) {
        const name = count === 1 ? wanted : `${wanted}-${count}`;
        if (keyOfFolder.has(name)) continue;
        // Taken before it is looked at: sessions of other repositories choose at the same time.
        keyOfFolder.set(name, recordKey);
        if (await isFree(name)) return name;
        keyOfFolder.delete(name);
      }
    },
    keyOfRun: async (runId) => (await index()).keyOfRun.get(runId),
  };
}

/** What is looked up often: the keys of records. */
interface Index {
  keyOfRun: Map<string, string>;
  keyOfFolder: Map<string, string>;
}

/** The key of what a session that has moved has left in a folder. */
export const asideKey = (folder: string) => `aside ${folder}`;

/** It is no session's any more: that has moved to another machine, and has left it. */
export function isAside({ recordKey, folder }: SessionRecord): boolean {
  return recordKey === asideKey(folder);
}

/** True for a branch that the session was given, and not asked for. */
export function isOwnBranch({ ownBranch, sessionKey }: SessionRecord, branch: string): boolean {
  return branch === ownBranch || isCertainBranch(sessionKey, branch);
}

/** What is written down of a session before anything of it is made. */
export function newRecord(
  request: { sessionKey: string; sessionName?: string },
  recordKey: string,
  kind: SessionRecord["kind"],
  folder = folderName(kind, recordKey),
): SessionRecord {
  return {
    version: 1,
    recordKey,
    sessionKey: request.sessionKey,
    ...(request.sessionName && { sessionName: request.sessionName }),
    kind,
    folder,
    ready: kind !== "repository",
    runs: [],
  };
}
