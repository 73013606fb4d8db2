import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { stopAtDeadline } from "../../shared/deadline.js";
import { type FolderSize, measureChildren } from "./folder-size.js";
import { describeHolding, type Holding, NOTHING } from "./holdings.js";
import type { Leftover, LeftoverOptions, LeftoverStore } from "./leftover-types.js";
import { createLook, isLive } from "./look-at-leftovers.js";
import { isAside, type SessionRecord } from "./records.js";
import { createLeftoverRemoval } from "./remove-leftovers.js";

/** How long the sizes may take to be added up, in ms: after that it is "at least". */
const MEASURE_MS = 30_000;
/** Repositories that are looked at together. */
const AT_ONCE = 4;

/** Creates it on its collaborators. */
export function createLeftoverStore(options: LeftoverOptions): LeftoverStore {
  const { folder, records, clock, pathOf } = options;
  const look = createLook(options);

  function measureAll(): Promise<Map<string, FolderSize>> {
    const parts = [
      "repositories",
      "worktrees",
      "folders",
      "temporary",
      "checks",
      "copies",
      "removed",
      "sessions",
    ].map((part) => join(folder, part));
    return stopAtDeadline(clock, MEASURE_MS, (signal) => measureChildren(parts, signal));
  }

  return {
    ...createLeftoverRemoval(options, look),

    async leftovers(isInUse) {
      const sizes = await measureAll();
      const sizeOf = (path: string) => sizes.get(path) ?? { bytes: 0, whole: true };
      const all = await records.all();

      async function toSession(record: SessionRecord, holding: Holding | "in use"): Promise<Leftover> {
        const { sessionKey, sessionName, repository, branch } = record;
        const path = pathOf(record);
        return {
          id: idOf(record),
          kind: "session",
          name: sessionName ?? record.folder,
          sessionKey,
          ...(isAside(record) && { isAside: true, ...(branch && { branch }) }),
          path,
          ...(repository && { repository: repository.address }),
          size: sizeOf(path),
          usedAt: (await lstat(path).catch(() => undefined))?.mtimeMs ?? 0,
          inUse: holding === "in use",
          ...(holding === "in use" ? { ...describeHolding(NOTHING, path), safe: false } : holding),
        };
      }

      const there = await readdir(join(folder, "repositories")).catch(() => [] as string[]);
      const named = all.filter(isLive).flatMap((one) => one.repository?.name ?? []);
      // Half clones go with the next run.
      const names = [...new Set([...there.filter((one) => !one.includes(".new-")), ...named])];
      const looks = await mapSome(names, AT_ONCE, (name) =>
        look.atRepository(name, { all, isInUse, toSession, sizeOf }),
      );
      const items = looks.flatMap((found) => found.items);
      for (const record of all.filter((one) => isLive(one) && !one.repository)) {
        const inUse = !isAside(record) && isInUse(record.sessionKey);
        if (!inUse && !sizes.has(pathOf(record))) continue;
        items.push(await toSession(record, inUse ? "in use" : await look.atSession(record, undefined)));
      }
      items.push(...(await look.atStrays(all, sizeOf)));
      let [bytes, whole] = [0, true];
      for (const size of sizes.values()) [bytes, whole] = [bytes + size.bytes, whole && size.whole];
      return {
        items,
        mergedBranches: looks.flatMap((found) => found.mergedBranches),
        size: { bytes, whole },
      };
    },
  };
}

/** Names a session's workspace for its removal. */
function idOf(record: SessionRecord): string {
  if (isAside(record)) return `aside:${record.folder}`;
  return record.kind === "temporary"
    ? record.recordKey.replace(/^run /, "run:")
    : `session:${record.sessionKey}`;
}

/** Does the work for each, some at a time. */
async function mapSome<T, R>(
  values: readonly T[],
  limit: number,
  work: (value: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async () => {
    for (let at = next++; at < values.length; at = next++) results[at] = await work(values[at] as T);
  };
  await Promise.all(Array.from({ length: Math.min(limit, values.length) }, lane));
  return results;
}
