import { randomUUID } from "node:crypto";
import { lstat, readdir, readFile, rename, rm, stat, unlink } from "node:fs/promises";
import { devNull } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { checkBranchName } from "../../shared/git/repository-address.js";
import { createKeyedMutex } from "../../shared/keyed-mutex.js";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { replaceFile } from "../../shared/replace-file.js";
import { FETCH, secureConfig } from "./clone-config.js";
import { cloneFolder, moveFormerClone } from "./clone-folder.js";
import { explain, type GitCall, type GitLocation, type GitRunner, mustGit, stoppable } from "./git-runner.js";
import { isEmpty, type RefList, readRefs } from "./ref-list.js";
import type { Repository } from "./repository.js";
import { WorkspaceError } from "./types.js";

const recordSchema = z.object({
  version: z.literal(1),
  address: z.string(),
  /** The configuration as the clone was made. */
  config: z.string(),
  /** Of each branch that a session has made: the branch it was made from. */
  bases: z.record(z.string(), z.string()),
});
export type CloneRecord = z.infer<typeof recordSchema>;

/** A bare clone that is there and whole. */
export interface Clone {
  at: GitLocation;
  record: CloneRecord;
}

/** A clone that has just been made or fetched, and what it has since then. */
export interface FetchedClone extends Clone {
  refs: RefList;
}

/** The cache of bare clones: one for each repository. Callers take care that one repository has one caller. */
export interface Clones {
  /**
   * The clone, made or fetched anew. When it is there and the remote can't be reached, that is a notice.
   * @throws WorkspaceError when there is no clone and none could be made; then nothing of it stays
   */
  ensure(repository: Repository, signal?: AbortSignal): Promise<FetchedClone & { notices: string[] }>;
  /** The clone as it is, safe for our git; undefined when there is none. */
  open(repository: Pick<Repository, "name">, signal?: AbortSignal): Promise<Clone | undefined>;
  save(repository: Pick<Repository, "name">, record: CloneRecord): void;
  /** Whether history is cut off here: because it is at the remote, or because an agent has fetched so. */
  isShallow(repository: Pick<Repository, "name">): Promise<boolean>;
  /** Whether the remote has that tag, as far as it answers. A clone has only the tags on its branches' history. */
  hasTag(repository: Repository, tag: string, signal?: AbortSignal): Promise<boolean>;
}

type RemoteCall = Pick<GitCall, "remote" | "opened" | "signal" | "timeoutMs">;

/** Git holds the locks of refs for milliseconds; what is this old was left by a process that was killed. */
const STALE_LOCK_MS = 600_000;

/** For a look that the work can do without. */
const LOOK_MS = 20_000;

/** Creates the cache on its folder. */
export function createClones(options: {
  folder: string;
  git: GitRunner;
  now: () => number;
  cloneTimeoutMs: number;
  fetchTimeoutMs: number;
}): Clones {
  const { folder, git } = options;
  const mutex = createKeyedMutex();
  let swept: Promise<void> | undefined;
  const recordFile = (name: string) => join(folder, name, "repository.json");

  /** Half clones of an engine that was killed. One that its git still writes to goes the next time. */
  async function sweep(): Promise<void> {
    const names = await readdir(folder).catch(() => [] as string[]);
    const half = names.filter((name) => name.includes(".new-"));
    await Promise.all(
      half.map((name) => rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined)),
    );
  }

  async function read(name: string): Promise<CloneRecord | undefined> {
    const text = await readFile(recordFile(name), "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (text !== undefined) return recordSchema.parse(JSON.parse(text));
    const home = join(folder, name);
    // Without its record it was never finished, unless somebody works in it.
    if (await stat(join(cloneFolder(home), "worktrees")).catch(() => undefined))
      throw new Error("it has no record");
    await rm(home, { recursive: true, force: true });
    return undefined;
  }

  // Two at once would meet at the lock of the settings' file.
  function open({ name }: Pick<Repository, "name">, signal?: AbortSignal): Promise<Clone | undefined> {
    return mutex.run(name, () => openAlone(name, signal));
  }

  async function openAlone(name: string, signal: AbortSignal | undefined): Promise<Clone | undefined> {
    const home = join(folder, name);
    await moveFormerClone(home);
    let record: CloneRecord | undefined;
    try {
      record = await read(name);
    } catch {
      throw new WorkspaceError(
        `The clone of the repository in ${home} is damaged. Nothing was changed. Move the folder away to have it cloned anew; work that was not pushed is only in there.`,
      );
    }
    if (!record) return undefined;
    const { address, config } = record;
    const clone = cloneFolder(home);
    await secureConfig(stoppable(git, signal), clone, address, config);
    return { at: { clone }, record };
  }

  /** What the remote says of HEAD: the default branch, and how long its object ids are. */
  async function askHead(repository: Repository, call: RemoteCall) {
    // No repository around: its settings could name a command to connect with.
    const args = ["ls-remote", "--symref", "--", repository.address, "HEAD"];
    const told = await git(args, { ...call, env: { GIT_DIR: devNull } });
    const branch = /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(told.text)?.[1];
    return {
      told,
      hasCommit: /^[0-9a-f]{40,64}\tHEAD$/m.test(told.text),
      sha256: /^[0-9a-f]{64}\t/m.test(told.text),
      branch: branch && checkBranchName(branch).ok ? branch : undefined,
    };
  }

  async function isCutOff(clone: string): Promise<boolean> {
    return ((await stat(join(clone, "shallow")).catch(() => undefined))?.size ?? 0) > 0;
  }

  async function fetch(at: GitLocation, call: RemoteCall) {
    const args = ["fetch", "--quiet", "--prune", "--no-auto-maintenance", "--no-recurse-submodules"];
    // Without the first, branches of a shallow remote are left out without an error. The second brings the history
    // that an agent's `fetch --depth` has cut off here, for all sessions; as much of it as the remote has.
    const history = ["--update-shallow", ...((await isCutOff(at.clone)) ? ["--unshallow"] : [])];
    return git([...args, ...history, "--no-write-fetch-head", "origin", FETCH], { ...call, at });
  }

  /**
   * What the clone has by now, with the remote's default branch noted. Nobody is to begin in an empty folder because
   * what is there did not come over.
   * @throws WorkspaceError when the remote has commits and no branch of it is here
   */
  async function readFetched(
    at: GitLocation,
    remote: { hasCommit?: boolean; branch?: string | undefined },
    { failed, signal }: { failed: string; signal: AbortSignal | undefined },
  ): Promise<RefList> {
    const refs = await readRefs(git, at, signal);
    if (remote.hasCommit && isEmpty(refs))
      throw new WorkspaceError(`${failed}: it has commits, but no branch of it came over.`);
    const { branch } = remote;
    if (branch === undefined || !refs.remote.has(branch)) return refs;
    const call = { at, ...(signal && { signal }) };
    const own = `refs/heads/${branch}`;
    if (!(await isHead(at.clone, own))) await git(["symbolic-ref", "HEAD", own], call);
    if (branch === refs.remoteHead) return refs;
    await git(["symbolic-ref", "refs/remotes/origin/HEAD", `refs/remotes/origin/${branch}`], call);
    return { ...refs, remoteHead: branch };
  }

  async function make(repository: Repository, call: RemoteCall): Promise<FetchedClone> {
    const half = join(folder, `${repository.name}.new-${randomUUID()}`);
    const at = { clone: cloneFolder(half) };
    const failed = "The repository could not be cloned. Nothing of it was kept";
    try {
      const head = await askHead(repository, call);
      if (head.told.code !== 0) throw new WorkspaceError(`${failed}: ${explain(head.told)}`);
      await ensurePrivateFolder(half);
      const format = head.sha256 ? "sha256" : "sha1";
      // No template: it could hold hooks.
      const args = ["init", "--quiet", "--bare", "--template=", `--object-format=${format}`];
      const first = head.branch ? [`--initial-branch=${head.branch}`] : [];
      await mustGit(git, failed, [...args, ...first, "--", at.clone]);
      await mustGit(git, failed, ["remote", "add", "--", "origin", repository.address], { at });
      const fetched = await fetch(at, call);
      if (fetched.code !== 0) throw new WorkspaceError(`${failed}: ${explain(fetched)}`);
      const refs = await readFetched(at, head, { failed, signal: call.signal });
      const config = await readFile(join(at.clone, "config"), "utf8");
      const record: CloneRecord = { version: 1, address: repository.address, config, bases: {} };
      replaceFile(join(half, "repository.json"), JSON.stringify(record));
      await rename(half, join(folder, repository.name));
      // Nobody else has known of it, so its settings are as git has written them.
      return { at: { clone: cloneFolder(join(folder, repository.name)) }, record, refs };
    } catch (error) {
      await rm(half, { recursive: true, force: true, maxRetries: 5 }).catch(() => undefined);
      throw error;
    }
  }

  async function refresh(
    repository: Repository,
    at: GitLocation,
    call: RemoteCall,
  ): Promise<{ refs: RefList; notices: string[] }> {
    await removeStaleLocks(at.clone, options.now() - STALE_LOCK_MS);
    // Both to their end, so that neither still writes when the caller goes on.
    const [fetched, head] = await Promise.allSettled([fetch(at, call), askHead(repository, call)]);
    if (call.signal?.aborted && fetched.status === "rejected") throw fetched.reason;
    let problem: string | undefined;
    if (fetched.status === "rejected") problem = (fetched.reason as Error).message;
    else if (fetched.value.code !== 0) problem = explain(fetched.value);
    const failed = `The repository could not be fetched${problem ? ` (${problem})` : ""}`;
    const remote = head.status === "fulfilled" ? head.value : {};
    const refs = await readFetched(at, remote, { failed, signal: call.signal });
    return {
      refs,
      notices:
        problem === undefined
          ? []
          : [
              `The repository could not be fetched, so the work goes on with what was fetched before: ${problem}`,
            ],
    };
  }

  return {
    open,

    async ensure(repository, signal) {
      swept ??= sweep();
      await swept;
      await ensurePrivateFolder(folder);
      const opened = await repository.open?.();
      try {
        const call = { remote: repository, opened, ...(signal && { signal }) };
        const found = await open(repository, signal);
        if (found)
          return {
            ...found,
            ...(await refresh(repository, found.at, { ...call, timeoutMs: options.fetchTimeoutMs })),
          };
        const made = await make(repository, { ...call, timeoutMs: options.cloneTimeoutMs });
        return { ...made, notices: [] };
      } finally {
        await opened?.close();
      }
    },

    save(repository, record) {
      replaceFile(recordFile(repository.name), JSON.stringify(record));
    },

    isShallow: ({ name }) => isCutOff(cloneFolder(join(folder, name))),

    async hasTag(repository, tag, signal) {
      const call = { remote: repository, timeoutMs: LOOK_MS, env: { GIT_DIR: devNull } };
      const args = ["ls-remote", "--", repository.address, `refs/tags/${tag}`];
      const told = await git(args, { ...call, ...(signal && { signal }) }).catch(() => ({ text: "" }));
      return told.text.split("\n").some((line) => line.endsWith(`\trefs/tags/${tag}`));
    },
  };
}

/** Whether the clone's own HEAD, which agents can write, is that branch. Read as a file, it costs no start of git. */
async function isHead(clone: string, ref: string): Promise<boolean> {
  const text = `ref: ${ref}\n`;
  const path = join(clone, "HEAD");
  const found = await lstat(path).catch(() => undefined);
  if (!found?.isFile() || found.size !== Buffer.byteLength(text)) return false;
  return (await readFile(path, "utf8").catch(() => "")) === text;
}

async function removeStaleLocks(clone: string, before: number): Promise<void> {
  const inRefs = await readdir(join(clone, "refs"), { recursive: true }).catch(() => [] as string[]);
  const atTop = await readdir(clone).catch(() => [] as string[]);
  for (const name of [...inRefs.map((one) => join("refs", one)), ...atTop]) {
    if (!name.endsWith(".lock")) continue;
    const path = join(clone, name);
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() && found.mtimeMs < before) await unlink(path).catch(() => undefined);
  }
}
