import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { KeyedMutex } from "../../shared/keyed-mutex.js";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import type { Clone, Clones } from "./clones.js";
import { type GitRunner, stoppable, type WorktreeLocation } from "./git-runner.js";
import { packWork } from "./pack-work.js";
import type { RunRecord, SessionRecord, SessionRecords } from "./records.js";
import { runUnlessStopped } from "./run-unless-stopped.js";
import { setAside } from "./set-aside.js";
import { type MovableWorkspaces, WorkspaceError } from "./types.js";

/** Creates what lets sessions go on with another engine, as `MovableWorkspaces` describes it. */
export function createMoving(options: {
  git: GitRunner;
  clones: Clones;
  records: SessionRecords;
  mutex: KeyedMutex;
  /** For bundles on their way; private, and emptied when the engine begins. */
  copiesFolder: string;
  pathOf: (record: Pick<SessionRecord, "kind" | "folder">) => string;
  worktreeOf: (clone: Clone, record: SessionRecord) => WorktreeLocation | undefined;
  /** The record of a run whose workspace is there. */
  recordOf: (runId: string) => Promise<{ record: SessionRecord; run: RunRecord } | undefined>;
}): MovableWorkspaces {
  const { git, clones, records, mutex, copiesFolder, worktreeOf } = options;

  return {
    async pack(runId, { signal, limitBytes, pushedAs, known }, use) {
      const record = (await options.recordOf(runId))?.record;
      const where = record?.repository;
      if (!record || !where) return use(undefined);
      await ensurePrivateFolder(copiesFolder);
      const file = join(copiesFolder, `${randomUUID()}.bundle`);
      const work = async () => {
        const clone = await clones.open(where, signal);
        if (!clone) throw new WorkspaceError("The engine's clone of the repository is gone.");
        const at = worktreeOf(clone, record);
        const asked = { clone, at, record, address: where.address, file, limitBytes, pushedAs, known };
        return packWork(stoppable(git, signal), asked);
      };
      try {
        const packed = await runUnlessStopped(mutex, `repository ${where.name}`, work, signal);
        return await use({ work: packed, ...(packed.kind === "bundle" && packed.bytes > 0 && { file }) });
      } finally {
        await rm(file, { force: true }).catch(() => undefined);
      }
    },

    async setAside(sessionKey) {
      const recordKey = `session ${sessionKey}`;
      const where = (await records.read(recordKey))?.repository;
      const key = where ? `repository ${where.name}` : recordKey;
      return mutex.run(key, async () => {
        const record = await records.read(recordKey);
        return record && setAside(options, record);
      });
    },
  };
}
