import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPlanJournal } from "../../src/plan-runner/journal.js";
import { apply, startPlan } from "../../src/plans/machine/apply.js";
import type { PlanStarted } from "../../src/plans/machine/events.js";
import { planStatus } from "../../src/plans/machine/plan-status.js";
import { createDatabaseSessionStore } from "../../src/sessions/store/database-session-store.js";
import { createMemorySessionStore } from "../../src/sessions/store/memory-session-store.js";
import type { SessionRecord } from "../../src/sessions/store/session-record.js";
import type { SessionStore } from "../../src/sessions/store/session-store.js";
import { openDatabase } from "../../src/store/database.js";
import type { SeenPlan } from "./observed.js";
import type { Sequence } from "./sequence.js";

/** Where the server of a sequence keeps what it knows. */
export interface OpenState {
  /** The session index for one server: another one opens it anew, as another process does. */
  openStore(): Promise<SessionStore>;
  /** Where plans are kept; undefined in sequences without any. */
  plans: { folder: string; upstream: string } | undefined;
  /** What the session index held when the server closed. */
  indexAtEnd(): SessionRecord[];
  /** The plans as their journals have them, once the server has closed. */
  readPlans(): Promise<SeenPlan[]>;
  remove(): Promise<void>;
}

export async function openState(
  sequence: Sequence,
  upstream: string,
  clock: { now(): number },
): Promise<OpenState> {
  const hasFolder = sequence.folderStore || sequence.plans !== undefined;
  const folder = hasFolder ? await mkdtemp(join(tmpdir(), "faults-")) : undefined;
  let atEnd: SessionRecord[] = [];
  return {
    async openStore() {
      const isDurable = folder !== undefined && sequence.folderStore;
      const inner = isDurable
        ? createDatabaseSessionStore({ folder, upstream, clock })
        : createMemorySessionStore();
      if (!isDurable) for (const record of atEnd) await inner.update(record.key, () => record);
      return {
        ...inner,
        async close() {
          atEnd = await inner.list();
          await inner.close();
        },
      };
    },
    plans: folder && sequence.plans ? { folder, upstream } : undefined,
    indexAtEnd: () => atEnd,
    readPlans: async () => (folder && sequence.plans ? readPlans(folder, upstream) : []),
    async remove() {
      if (folder) await rm(folder, { recursive: true, force: true });
    },
  };
}

async function readPlans(folder: string, upstream: string): Promise<SeenPlan[]> {
  const database = await openDatabase({ folder });
  try {
    const journal = createPlanJournal({ database, upstream });
    const rows = await database.selectFrom("plans").select(["plan_id", "start"]).execute();
    return await Promise.all(
      rows.map(async ({ plan_id, start }) => {
        let state = startPlan(JSON.parse(start) as PlanStarted);
        const reached = new Set([planStatus(state)]);
        const events = (await journal.readSince(plan_id, 0)).map(({ event }) => event);
        for (const event of events) {
          state = apply(state, event);
          reached.add(planStatus(state));
        }
        return { state, events, reached };
      }),
    );
  } finally {
    await database.destroy();
  }
}
