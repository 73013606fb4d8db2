import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { findFaultInRedisAddress } from "../../settings/redis-address.js";
import { createKeyedMutex } from "../../shared/keyed-mutex.js";
import type { StoreProblem } from "../../store/store-error.js";
import { deriveHistory } from "./derived-history.js";
import { recordId, upstreamFolderName } from "./file-names.js";
import { createRedisConnection } from "./redis-connection.js";
import { FORGET, SET_ASIDE, SWAP } from "./redis-scripts.js";
import {
  byNewest,
  copyRecord,
  MAX_RECORD_BYTES,
  type ParsedRecord,
  parseRecord,
  RUNS_KEPT,
  type SessionRecord,
  selectSessions,
  storedForm,
} from "./session-record.js";
import { closedError, type SessionStore } from "./session-store.js";

type Change = Parameters<SessionStore["update"]>[1];

/** What a key holds. Without `bytes` it is not a text at all. */
type Content = (ParsedRecord | { kind: "absent" }) & { bytes?: Buffer };

/** As long as the folder's lock is waited for. */
const GIVE_UP_AFTER_MS = 30_000;

/** The longest pause after a change by somebody else, in ms; the pauses begin at 1 ms and double. */
const LONGEST_PAUSE_MS = 25;

/** Records asked for in one command: some 100 KB, so that a long list never holds the server up for others. */
const AT_ONCE = 100;

/**
 * A store on a Redis server (5 or newer), for any number of server processes on any number of machines:
 *
 *     automagik-workflows:{<host>-<hash>}:session:<hash of the key>    a record, the same JSON as in a folder
 *                                         sessions                     the set of those hashes
 *                                         written:<hash>:<process>     a mark of the last write; gone after a minute
 *                                         damaged:<hash>:<time>        what was found and is not a record
 *
 * The braces keep all keys of one upstream together where they are spread over several servers.
 *
 * Changes are compare-and-set by a script (see redis-scripts.ts), not WATCH and MULTI: a watch belongs to the whole
 * connection, so changes of different sessions would need a connection each or wait for one another.
 *
 * A server that is restarted is waited for, up to `limitMs` (default 3 s); after that calls fail with an Error, at
 * once, until it is back, and the first failure is reported. It does not go on in memory as the folder's store does: replicas would
 * each remember something else, and Redis comes back while a full disk mostly does not.
 *
 * Nothing is connected before the first call. `upstream` and `runsKept` are as in a folder. Records stay until they
 * are removed, or with `expireAfterS` until that many seconds after their last change. `onProblem` must not throw.
 * Throws a TypeError, which does not quote it, for a `url` that is not redis:// or rediss://.
 */
export function createRedisSessionStore(options: {
  url: string;
  upstream: string;
  clock?: { now(): number };
  onProblem?: (problem: StoreProblem) => void;
  runsKept?: number;
  expireAfterS?: number;
  limitMs?: number;
}): SessionStore {
  const fault = findFaultInRedisAddress(options.url);
  if (fault) throw new TypeError(`The address of the Redis server ${fault}.`);
  const clock = options.clock ?? Date;
  const report = options.onProblem ?? (() => undefined);
  const runsKept = options.runsKept ?? RUNS_KEPT;
  const expireMs = Math.round((options.expireAfterS ?? 0) * 1000);

  const base = `automagik-workflows:{${upstreamFolderName(options.upstream)}}`;
  const index = `${base}:sessions`;
  const place = (id: string) => `${base}:session:${id}`;
  const self = randomUUID();

  const { send, close } = createRedisConnection({
    url: options.url,
    ...(options.limitMs ? { limitMs: options.limitMs } : {}),
    onTrouble: (message) => {
      report({ kind: "unwritable", message: `${message} Sessions are not remembered until that is over.` });
    },
  });
  const mutex = createKeyedMutex();
  const cache = new Map<string, Content>();
  const reported = new Set<string>();
  const underWay = new Set<Promise<unknown>>();
  let closed = false;

  function reportOnce(id: string, problem: StoreProblem): void {
    const name = `${problem.kind} ${id}`;
    if (reported.has(name)) return;
    reported.add(name);
    report(problem);
  }

  /** Records given out are the cache's own: copy before handing them on. */
  function contentOf(id: string, bytes: Buffer | null): Content {
    if (!bytes) return { kind: "absent" };
    const known = cache.get(id);
    if (known?.bytes?.equals(bytes)) return known;
    let parsed: ParsedRecord =
      bytes.length > MAX_RECORD_BYTES ? { kind: "damaged" } : parseRecord(bytes.toString());
    // A copied or renamed key would make two sessions of one.
    if (parsed.kind === "record" && recordId(parsed.record.key) !== id) parsed = { kind: "damaged" };
    if (parsed.kind === "newer") {
      const message = `The session ${id} in Redis was written by a newer release. It is left as it is and not shown.`;
      reportOnce(id, { kind: "newer-version", message });
    }
    const content = { ...parsed, bytes };
    if (parsed.kind === "damaged") cache.delete(id);
    else cache.set(id, content);
    return content;
  }

  async function read(id: string): Promise<Content> {
    try {
      return contentOf(id, await send<Buffer | null>("GET", place(id)));
    } catch (error) {
      // A list or a set in a record's place.
      if ((error as NodeJS.ErrnoException).code === "WRONGTYPE") return { kind: "damaged" };
      throw error;
    }
  }

  async function setAside(id: string, { bytes }: Content): Promise<void> {
    const aside = `${base}:damaged:${id}:${clock.now()}`;
    const seen = bytes ? [bytes] : [];
    const moved = await send<number>("EVAL", SET_ASIDE, "3", place(id), aside, index, id, ...seen);
    if (!moved) return;
    const message = `The session ${id} in Redis was not a session record. It was moved to a key with "damaged" in its name.`;
    report({ kind: "damaged", message });
  }

  /** Reading must not fail because of what cannot be moved; the next read finds it again. */
  async function setAsideOrLeave(id: string, content: Content): Promise<void> {
    await setAside(id, content).catch(() => {
      const message = `The session ${id} in Redis is not a session record and could not be moved away. It is left out.`;
      reportOnce(id, { kind: "damaged", message });
    });
  }

  async function get(key: string): Promise<SessionRecord | undefined> {
    const id = recordId(key);
    const content = await read(id);
    if (content.kind === "damaged") await setAsideOrLeave(id, content);
    return content.kind === "record" ? copyRecord(content.record) : undefined;
  }

  async function list(): Promise<SessionRecord[]> {
    const ids = (await send<Buffer[]>("SMEMBERS", index))
      .map(String)
      .filter((id) => /^[0-9a-f]{32}$/.test(id));
    const present = new Set(ids);
    for (const id of cache.keys()) if (!present.has(id)) cache.delete(id);

    const batches = Array.from({ length: Math.ceil(ids.length / AT_ONCE) }, (_, i) =>
      ids.slice(i * AT_ONCE, (i + 1) * AT_ONCE),
    );
    const found = await Promise.all(
      batches.map(async (batch) => {
        const texts = await send<(Buffer | null)[]>("MGET", ...batch.map(place));
        return batch.map((id, i) => [id, contentOf(id, texts[i] ?? null)] as const);
      }),
    );
    const records: SessionRecord[] = [];
    for (const [id, content] of found.flat()) {
      if (content.kind === "record") records.push(copyRecord(content.record));
      if (content.kind === "damaged" || content.kind === "absent") await tidy(id);
    }
    return records.sort(byNewest);
  }

  /** Looks after a key of the set that holds nothing, by expiry or by an eviction, or nothing that is a record. */
  async function tidy(id: string): Promise<void> {
    const content = await read(id);
    if (content.kind === "damaged") await setAsideOrLeave(id, content);
    // An account that may only read leaves it there.
    if (content.kind === "absent") await forget(id, Buffer.alloc(0)).catch(() => undefined);
  }

  /** False when the record is not the one that was seen. */
  async function forget(id: string, seen: Buffer): Promise<boolean> {
    return (await send<number>("EVAL", FORGET, "2", place(id), index, id, seen)) === 1;
  }

  /**
   * Does `work` with what the session holds, again when somebody else came in between: then `work` gives what it
   * found instead, or "again" when that has to be read.
   */
  async function untilDone<T>(
    id: string,
    work: (content: Content) => Promise<{ done: T } | Content | "again">,
  ) {
    const began = performance.now();
    let content = await read(id);
    for (let tries = 1; ; tries += 1) {
      const result: { done: T } | Content | "again" =
        content.kind === "damaged"
          ? await setAside(id, content).then(() => "again" as const)
          : await work(content);
      if (typeof result === "object" && "done" in result) return result.done;
      if (performance.now() - began > GIVE_UP_AFTER_MS)
        throw new Error("The session is being changed by another process.");
      // Random, so that two busy processes do not march in step.
      await delay(Math.random() * Math.min(2 ** tries, LONGEST_PAUSE_MS));
      content = result === "again" ? await read(id) : result;
    }
  }

  function update(key: string, change: Change): Promise<SessionRecord | undefined> {
    const id = recordId(key);
    const mark = `${base}:written:${id}:${self}`;
    const write = randomUUID();
    return untilDone<SessionRecord | undefined>(id, async (content) => {
      if (content.kind === "newer") return { done: undefined };
      const current = content.kind === "record" ? content.record : undefined;
      const next = change(current && copyRecord(current));
      if (!next) return { done: current && copyRecord(current) };
      const { record, text } = storedForm(next, key, runsKept);
      const [keys, seen] = [[place(id), index, mark], content.bytes ?? ""];
      const reply = await send<1 | Buffer | null>(
        "EVAL",
        SWAP,
        "3",
        ...keys,
        id,
        seen,
        text,
        write,
        `${expireMs}`,
      );
      return reply === 1 ? { done: record } : contentOf(id, reply);
    });
  }

  function remove(key: string): Promise<void> {
    const id = recordId(key);
    return untilDone<void>(id, async (content) => {
      if (content.kind !== "record" || !content.bytes) return { done: undefined };
      return (await forget(id, content.bytes)) ? { done: undefined } : "again";
    });
  }

  /** Refuses work after `close()`, and lets `close()` wait for what came before. */
  async function tracked<T>(work: () => Promise<T>): Promise<T> {
    if (closed) throw closedError();
    const result = work();
    underWay.add(result);
    try {
      return await result;
    } finally {
      underWay.delete(result);
    }
  }

  return {
    ...deriveHistory(() => tracked(list)),
    list: () => tracked(list),
    // A server of texts has no other way.
    find: (query) => tracked(async () => selectSessions(await list(), query)),
    get: (key) => tracked(() => get(key)),
    // One change at a time for each session, so that a process is not in its own way.
    update: (key, change) => tracked(() => mutex.run(key, () => update(key, change))),
    remove: (key) => tracked(() => mutex.run(key, () => remove(key))),
    isForgetful: () => false,
    close: async () => {
      closed = true;
      await Promise.allSettled(underWay);
      close();
    },
  };
}
