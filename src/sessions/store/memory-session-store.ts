import { deriveHistory } from "./derived-history.js";
import {
  byNewest,
  copyRecord,
  RUNS_KEPT,
  type SessionRecord,
  selectSessions,
  storedForm,
} from "./session-record.js";
import { closedError, type SessionStore } from "./session-store.js";

/**
 * A store that lives and ends with the process. It keeps at most `runsKept` runs of a session (default 200) and
 * behaves like the durable ones: copies in, copies out, the same checks.
 */
export function createMemorySessionStore(options: { runsKept?: number } = {}): SessionStore {
  const runsKept = options.runsKept ?? RUNS_KEPT;
  const records = new Map<string, SessionRecord>();
  let closed = false;

  function open(): Map<string, SessionRecord> {
    if (closed) throw closedError();
    return records;
  }
  const read = (key: string) => {
    const record = open().get(key);
    return record && copyRecord(record);
  };

  return {
    ...deriveHistory(async () => [...open().values()]),
    list: async () => [...open().values()].map(copyRecord).sort(byNewest),
    find: async (query) =>
      selectSessions([...open().values()], query)
        .map(copyRecord)
        .sort(byNewest),
    get: async (key) => read(key),
    update: async (key, change) => {
      const next = change(read(key));
      if (next) open().set(key, storedForm(next, key, runsKept).record);
      return read(key);
    },
    remove: async (key) => {
      open().delete(key);
    },
    // It was chosen to be no more than that.
    isForgetful: () => false,
    close: async () => {
      closed = true;
    },
  };
}
