import { ApiError } from "../api/errors.js";
import { isFinal, type Run, type StartRequest } from "../api/types.js";
import { createHistory, type History } from "../history/history.js";
import { mergeRun } from "../runs/merge-run.js";
import type { RunList } from "../runs/run-list.js";
import type { RunWatcher } from "../runs/run-watcher.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { findNearest } from "../shared/nearest.js";
import { visibleName } from "../shared/text.js";
import { hasNeverRun, LOST, mergeSessions, selectRelated } from "./merge-sessions.js";
import { figuresOf } from "./run-figures.js";
import { toRecord, toRun } from "./run-record.js";
import { createSessionWriter } from "./session-writer.js";
import type { RunRecord, SessionQuery, SessionRecord } from "./store/session-record.js";
import type { SessionStore } from "./store/session-store.js";
import type { Session, Target } from "./types.js";

export interface Sessions {
  /**
   * All sessions, newest first: our index and the API's list together, the index alone while the list cannot be
   * read. @throws ApiError when neither is there, or the key is missing or refused
   */
  all(signal?: AbortSignal): Promise<Session[]>;
  /**
   * The sessions that a target means, newest first. @throws ApiError as `all` does, and when nothing is found
   * while the API's list cannot be read
   */
  find(target: Target, signal?: AbortSignal): Promise<Session[]>;
  /** The same by our index and the list as last read. Never asks the API. */
  findKnown(target: Target): Promise<Session[]>;
  /** The run as the API's list has shown it the last time. Never asks the API. */
  listed(runId: string): Run | undefined;
  /** Why the API's list could not be read the last time; undefined when it could. */
  problem(): ApiError | undefined;
  /** The run with what the index remembers of it and of its session. Never asks the API, never throws. */
  recall(run: Run): Promise<Run>;
  /** Sessions whose name looks exactly like this one, newest first, by the index and the list as last read. Never asks the API. */
  named(name: string): Promise<Session[]>;
  /** Names most like the wanted one. Never asks the API. */
  nearest(name: string): string[];
  /** What ended runs and plans of this API tell of those to come. Never asks the API. */
  history: History;
  /** Names known without asking the API, newest session first. */
  knownNames(): string[];
  /** The newest repository that a session was started with, from the index. */
  lastRepository(): Promise<string | undefined>;
  /**
   * Writes down a run that was just started, and keeps watching it so that its session id is not missed. Resolves
   * when that is done, with whether it is kept where sessions are kept.
   */
  started(run: Run, request: StartRequest): Promise<boolean>;
  /** Writes down what was seen of a run. */
  seen(run: Run): Promise<void>;
  /** The API's list is read anew when it is needed next: a run has just been changed. */
  outdate(): void;
  /** Keeps looking at a run that was just killed: some servers do not stop what they kill. */
  keepWatching(run: Run): void;
  /** Calls back when a session has appeared or one of its runs has started or ended. */
  onChange(listener: () => void): () => void;
  /** Calls back with every reading of all sessions; `complete` when the API's list could be read. */
  onRead(listener: (sessions: readonly Session[], complete: boolean) => void): () => void;
  /** Waits until everything told so far is written, then stops. */
  close(): Promise<void>;
}

/** The newest run of a session. */
export function newestRun(session: Session): RunRecord | undefined {
  return session.runs.at(-1);
}

/** The newest run that still goes on. */
export function activeRun(session: Session): RunRecord | undefined {
  return session.runs.findLast((run) => !isOver(run));
}

/** True when nothing more is to come of the run. */
export function isOver(run: { status: string }): boolean {
  return isFinal(run.status) || run.status === LOST;
}

/** Sessions by name: our own durable index merged with what the API lists. */
export function createSessions(options: {
  store: SessionStore;
  runList: RunList;
  watcher: RunWatcher;
  clock: Clock;
  log: Log;
  /** False: what runs were told does not leave this machine, and sessions do. */
  remembersTasks?: boolean;
}): Sessions {
  const { store, runList, watcher } = options;
  const listeners = new Set<() => void>();
  const readers = new Set<(sessions: readonly Session[], complete: boolean) => void>();
  let known: Session[] = [];

  function changed(): void {
    for (const listener of [...listeners]) listener();
  }
  const writer = createSessionWriter({ ...options, onChange: changed });
  const history = createHistory({ source: store, clock: options.clock });
  const noted = new WeakSet<Run>();

  /** What ended of what others have started is kept, too: in the background, as nobody waits for it. */
  function noteListed(listed: readonly Run[]): void {
    const figures = listed.flatMap((run) => {
      if (!isFinal(run.status) || noted.has(run)) return [];
      noted.add(run);
      const name = run.sessionName ?? run.runId;
      return figuresOf(toRecord(run, 0), { name, ...repositoryOf(run) }) ?? [];
    });
    if (figures.length > 0) void history.note(figures);
  }

  async function all(signal?: AbortSignal): Promise<Session[]> {
    await writer.written();
    const reading = store.list();
    const [records, listed] = await Promise.all([reading, readList(reading, signal)]);
    known = merge(records, listed);
    noteListed(runList.known());
    for (const reader of [...readers]) reader(known, runList.problem() === undefined);
    return known;
  }

  /**
   * What sessions of a name are put together from, without asking the API. Of thousands of sessions only those are
   * read that can come to bear it: each step may find ids by which others belong to them.
   */
  async function readRelated(name: string): Promise<ReturnType<typeof selectRelated>> {
    const records = new Map<string, SessionRecord>();
    const asked = new Set<string>();
    for (let query: SessionQuery = { names: [name] }; ; ) {
      for (const record of await store.find(query).catch(() => [])) records.set(record.key, record);
      const related = selectRelated(name, [...records.values()], runList.known());
      const ids = [...related.ids].filter((id) => !asked.has(id));
      if (ids.length === 0) return related;
      for (const id of ids) asked.add(id);
      query = { ids };
    }
  }

  function merge(records: readonly SessionRecord[], listed: readonly Run[]): Session[] {
    return mergeSessions(records, listed, (runId) => watcher.latest(runId), runList.isLost);
  }

  async function readList(
    records: Promise<readonly SessionRecord[]>,
    signal?: AbortSignal,
  ): Promise<readonly Run[]> {
    try {
      return await runList.read(
        signal,
        records.then(openRuns, () => []),
      );
    } catch (error) {
      const hopeless =
        error instanceof ApiError && ["no_key", "unauthorised", "aborted"].includes(error.kind);
      if (hopeless || (await records).length === 0) throw error;
      return [];
    }
  }

  return {
    all,
    listed: (runId) => runList.get(runId),
    problem: () => runList.problem(),

    async find(target, signal) {
      if (listWanted(target).length === 0) return [];
      const found = choose(await all(signal), target);
      const problem = runList.problem();
      // Without the list nobody can say that there is no such session.
      if (found.length === 0 && problem) throw problem;
      return found;
    },

    async findKnown(target) {
      await writer.written();
      return choose(merge(await store.list().catch(() => []), runList.known()), target);
    },

    async recall(run) {
      await writer.written((one) => one.runId === run.runId);
      const record = await writer.find(run.runId).catch(() => undefined);
      const stored = record?.runs.find((each) => each.runId === run.runId);
      if (!record || !stored) return run;
      const { sessionId } = record;
      return mergeRun({ ...(sessionId ? { sessionId } : {}), ...toRun(stored, record) }, run);
    },

    async named(name) {
      const wanted = visibleName(name);
      await writer.written((run) => run.sessionName === undefined || visibleName(run.sessionName) === wanted);
      const related = await readRelated(name);
      return merge(related.records, related.listed).filter(
        (session) => visibleName(session.name) === wanted && !hasNeverRun(session),
      );
    },

    nearest: (name) => findNearest(name, [...new Set(known.map((session) => session.name))]),
    history,
    knownNames: () => [...new Set(known.map((session) => session.name))],

    async lastRepository() {
      const records = await store.list();
      const begun = (record: SessionRecord) => record.runs.at(-1)?.startedAt ?? record.updatedAt;
      // One with which nothing could be started is not offered again.
      const usable = records.filter((record) => record.repositoryUrl && !hasNeverRun(record));
      return usable.sort((a, b) => begun(b) - begun(a))[0]?.repositoryUrl;
    },

    started(run, request) {
      runList.note(run);
      return writer.started(run, request);
    },

    seen: writer.seen,
    outdate: runList.outdate,
    keepWatching: writer.keepWatching,

    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    onRead(listener) {
      readers.add(listener);
      return () => readers.delete(listener);
    },

    async close() {
      await writer.close();
      readers.clear();
      listeners.clear();
    },
  };
}

/** The values that a target gives. */
function listWanted({ runId, sessionId, sessionName }: Target): string[] {
  return [runId, sessionId, sessionName].filter(
    (value): value is string => value !== undefined && value !== "",
  );
}

/** Those of the sessions that the target means: by id, else by name, else by name in other letters. */
function choose(sessions: readonly Session[], target: Target): Session[] {
  const wanted = listWanted(target);
  const [first] = wanted;
  if (first === undefined) return [];
  const byId = sessions.filter((session) => wanted.some((value) => isIdOf(session, value)));
  if (byId.length > 0) return byId;
  const name = visibleName(target.sessionName ?? first);
  const exact = sessions.filter((session) => visibleName(session.name) === name);
  if (exact.length > 0) return exact;
  const small = name.toLowerCase();
  return sessions.filter((session) => visibleName(session.name).toLowerCase() === small);
}

/** Whether a value is the id of the session or of one of its runs. */
function isIdOf(session: Session, value: string): boolean {
  return (
    session.sessionId === value ||
    session.runs.some((run) => run.runId === value || run.sessionId === value || run.resumes === value)
  );
}

function repositoryOf({ repositoryUrl }: Run): { repositoryUrl?: string } {
  return repositoryUrl ? { repositoryUrl } : {};
}

/** Runs of the index whose end was not seen: the API is asked for those that its list does not show. */
function openRuns(records: readonly SessionRecord[]): Run[] {
  return records.flatMap((record) =>
    record.runs.filter((run) => !isFinal(run.status)).map((run) => toRun(run, record)),
  );
}
