import { isFinal, type Run, type StartRequest } from "../api/types.js";
import { TASK_CHARS } from "../history/figures.js";
import type { RunEvent } from "../runs/run-events.js";
import type { RunWatcher } from "../runs/run-watcher.js";
import { setBounded } from "../shared/bounded-map.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { cleanLine } from "../shared/text.js";
import { byStart, isNameless } from "./merge-sessions.js";
import { mergeRecords, toRecord } from "./run-record.js";
import type { SessionRecord } from "./store/session-record.js";
import type { SessionStore } from "./store/session-store.js";

/** Writes what is seen of runs into the index while it can be seen. Nothing here throws. */
export interface SessionWriter {
  /**
   * Writes down a run that was just started, and keeps watching it so that its session id is not missed. Resolves
   * when that is done, with whether it is kept where sessions are kept.
   */
  started(run: Run, request: StartRequest): Promise<boolean>;
  /** Writes down what was seen of a run: of one in the index, and of any other that shows a session id. */
  seen(run: Run): Promise<void>;
  /**
   * The record that holds a run. Where it is cannot be known of a run that was not started here: then it is looked
   * for, but not again within a minute.
   * @throws as the store does
   */
  find(runId: string): Promise<SessionRecord | undefined>;
  /** Keeps looking at a run that was just killed: some servers do not stop what they kill. */
  keepWatching(run: Run): void;
  /**
   * Resolves when what was told so far is written, or has failed to be.
   * @param concerns the runs that matter; all when left out
   */
  written(concerns?: (run: Run) => boolean): Promise<void>;
  /** The same of all, and nothing is taken on any more. */
  close(): Promise<void>;
}

/** The record that a run belongs to, and what was last written of the run there. */
interface Owner {
  key: string;
  status: string | undefined;
  sessionId: string | undefined;
  /** What the session stood on before a start of ours: it does so again when that comes to nothing. */
  before?: Repository;
}

type Repository = Pick<SessionRecord, "repositoryUrl" | "gitBranch">;

/** A run is looked after in the background for its own time limit and this long, in ms. */
const BACKGROUND_GRACE_MS = 60_000;
/** Owners kept at hand; those of other runs are looked up in the index again. */
const OWNERS_KEPT = 1_000;
/** A run that no record holds is looked for in the whole index again after this long, in ms. */
const LOOK_AGAIN_MS = 60_000;
/** So long what was seen of a run that goes on waits to be written with more, in ms: a synced write holds up all calls. */
const SEEN_WAITS_MS = 100;
/** The API's own time limit where a start names none, in s. */
const DEFAULT_TIMEOUT_S = 7200;

/** Listens to the watcher and writes. `onChange` is told when a run of the index has started, ended or else changed. */
export function createSessionWriter(options: {
  store: SessionStore;
  watcher: Pick<RunWatcher, "watch" | "onEvent">;
  clock: Clock;
  log: Log;
  onChange: () => void;
  /** False: what runs were told does not leave this machine, and sessions do. */
  remembersTasks?: boolean | undefined;
}): SessionWriter {
  const { store, watcher, clock, log, onChange, remembersTasks = true } = options;
  /** By run id. A promise, so that what is seen of a run waits until its start has found its record. */
  const owners = new Map<string, Promise<Owner | undefined>>();
  /** When no record held a run in the whole index (monotonic clock, ms), by the run's id. */
  const notFoundAt = new Map<string, number>();
  /** What is being written, and of which run. */
  const pending = new Map<Promise<boolean>, Run>();
  /** What was last seen of runs that go on, and is not being written yet. */
  const waiting = new Map<string, Run>();
  let cancelWaiting = () => {};
  const background = new Set<() => void>();
  let closing = false;
  let closed = false;
  const stopListening = watcher.onEvent(({ run }) => {
    if (isFinal(run.status)) void seen(run);
    else seenGoingOn(run);
  });

  /** Gives whether the work went well. */
  function track(work: Promise<unknown>, run: Run): Promise<boolean> {
    const done: Promise<boolean> = work.then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        // The file system's own words name the path, which is the person's own business.
        log.warn(`A session could not be written: ${error.code ?? error.message}`);
        return false;
      },
    );
    pending.set(done, run);
    return done.finally(() => pending.delete(done));
  }

  function own(runId: string, owner: Promise<Owner | undefined>): void {
    // One failure must not be the answer for good.
    const settled = owner.catch(() => undefined);
    setBounded(owners, runId, settled, OWNERS_KEPT);
  }

  function seenGoingOn(run: Run): void {
    if (waiting.size === 0) cancelWaiting = clock.after(SEEN_WAITS_MS, () => writeWaiting());
    waiting.set(run.runId, run);
  }

  function writeWaiting(concerns: (run: Run) => boolean = () => true): void {
    for (const run of [...waiting.values()].filter(concerns)) void seen(run);
  }

  function seen(run: Run): Promise<void> {
    if (waiting.delete(run.runId) && waiting.size === 0) cancelWaiting();
    if (closed) return Promise.resolve();
    const owner = Promise.resolve(owners.get(run.runId)).then((own) => own ?? adopt(run));
    own(run.runId, owner);
    return track(
      owner.then((own) => own && write(own, run)),
      run,
    ).then(() => {});
  }

  async function write(own: Owner, run: Run): Promise<void> {
    const { status, sessionId } = toRecord(run, clock.now());
    const before = { status: own.status, sessionId: own.sessionId };
    // Turns go by fast and are told by the API anyway; what must not be lost is the id and how the run ended.
    if (before.status === status && before.sessionId === sessionId) return;
    Object.assign(own, { status, sessionId });
    try {
      const forgotten = run.neverStarted && (await forget(own.key, run.runId));
      if (!forgotten) {
        await store.update(own.key, (current) => {
          const next = withRun(current, own.key, run, clock.now());
          return run.neverStarted && own.before ? withRepository(next, own.before) : next;
        });
      }
    } catch (error) {
      Object.assign(own, before);
      throw error;
    }
    if (before.status !== status) onChange();
  }

  /** Removes a session that has nothing but this start, which has come to nothing. False when there is more. */
  async function forget(key: string, runId: string): Promise<boolean> {
    const record = await store.get(key);
    if (record?.runs.some((run) => run.runId !== runId)) return false;
    await store.remove(key);
    return true;
  }

  /**
   * The record that holds the run. A session is kept under the id of its first run, where no other key is known; the
   * whole index is searched only when it is not there, and not again and again for a run that is nowhere.
   */
  async function findHolder(runId: string, key = runId): Promise<SessionRecord | undefined> {
    const own = await store.get(key);
    if (own && holdsRun(own, runId)) return own;
    const missedAt = notFoundAt.get(runId);
    if (missedAt !== undefined && clock.elapsed() - missedAt < LOOK_AGAIN_MS) return undefined;
    const records = await store.find({ ids: [runId] });
    const holder = records.find((record) => holdsRun(record, runId));
    if (!holder) setBounded(notFoundAt, runId, clock.elapsed(), OWNERS_KEPT);
    return holder;
  }

  /** The record of a run that another process or somebody else has started; none before it shows a session id. */
  async function adopt(run: Run): Promise<Owner | undefined> {
    const { runId } = run;
    const { sessionId } = toRecord(run, 0);
    let holder = await findHolder(runId);
    if (!holder) {
      if (!sessionId) return undefined;
      const records = await store.find({ ids: [runId, sessionId] });
      holder =
        records.find((record) => holdsRun(record, runId)) ??
        records.find((record) => holds(record, sessionId));
    }
    // From now on a record holds it.
    notFoundAt.delete(runId);
    const stored = holder?.runs.find((one) => one.runId === runId);
    return { key: holder?.key ?? runId, status: stored?.status, sessionId: stored?.sessionId };
  }

  /** Continued by its id, a session keeps its record; anything else begins a session of its own. */
  async function findKey(run: Run, { sessionId }: StartRequest): Promise<string> {
    const records = sessionId ? await store.find({ ids: [sessionId] }) : [];
    return records.find((record) => sessionId && holds(record, sessionId))?.key ?? run.runId;
  }

  /** Nobody may be waiting for the run, but its session id shows only while it goes on. */
  function watchInBackground(run: Run, timeoutS: number): void {
    if (closing) return;
    const onEvent = (event: RunEvent) => {
      const over = event.type === "finished" && event.run.status !== "killed";
      if (over || event.type === "lost") stop();
    };
    const watch = watcher.watch(run, onEvent, { background: true });
    const cancel = clock.after(timeoutS * 1000 + BACKGROUND_GRACE_MS, () => stop());
    function stop(): void {
      cancel();
      watch.stop();
      background.delete(stop);
    }
    background.add(stop);
  }

  async function written(concerns: (run: Run) => boolean = () => true): Promise<void> {
    writeWaiting(concerns);
    await Promise.all([...pending].filter(([, run]) => concerns(run)).map(([work]) => work));
  }

  return {
    started(run, request) {
      if (closed) return Promise.resolve(false);
      const { status, sessionId } = toRecord(run, 0);
      const owner = findKey(run, request).then((key): Owner => ({ key, status, sessionId }));
      own(run.runId, owner);
      const work = owner.then((own) =>
        store.update(own.key, (current) => {
          const named = {
            ...(remembersTasks ? { messageStart: cleanLine(request.message, TASK_CHARS) } : {}),
            ...run,
            ...{ sessionName: run.sessionName ?? request.sessionName ?? run.runId },
          };
          const next = withRun(current, own.key, named, clock.now());
          own.before = repositoryOf(current ?? {});
          // What the person has chosen for this run is what the session goes on with.
          return {
            ...next,
            ...(request.repositoryUrl ? { repositoryUrl: request.repositoryUrl } : {}),
            ...(request.gitBranch ? { gitBranch: request.gitBranch } : {}),
          };
        }),
      );
      const done = track(work, { ...run, sessionName: run.sessionName ?? request.sessionName ?? run.runId });
      watchInBackground(run, request.timeoutS ?? DEFAULT_TIMEOUT_S);
      return done.then((isWritten) => {
        onChange();
        return isWritten && !store.isForgetful();
      });
    },
    seen,
    find: async (runId) => findHolder(runId, (await owners.get(runId))?.key),
    keepWatching: (run) => watchInBackground(run, 0),
    written,
    async close() {
      closing = true;
      stopListening();
      for (const stop of [...background]) stop();
      while (waiting.size + pending.size > 0) await written();
      closed = true;
      await store.close();
    },
  };
}

function repositoryOf({ repositoryUrl, gitBranch }: Repository): Repository {
  return { ...(repositoryUrl ? { repositoryUrl } : {}), ...(gitBranch ? { gitBranch } : {}) };
}

function withRepository(record: SessionRecord, before: Repository): SessionRecord {
  const { repositoryUrl: _repository, gitBranch: _branch, ...rest } = record;
  return { ...rest, ...before };
}

function holdsRun(record: SessionRecord, runId: string): boolean {
  return record.runs.some((run) => run.runId === runId);
}

function holds(record: SessionRecord, sessionId: string): boolean {
  return (
    record.sessionId === sessionId ||
    record.runs.some((run) => run.sessionId === sessionId || run.resumes === sessionId)
  );
}

function withRun(current: SessionRecord | undefined, key: string, run: Run, now: number): SessionRecord {
  const name = run.sessionName ?? run.runId;
  const session = current ?? { version: 1, key, name, createdAt: now, updatedAt: now, runs: [] };
  const record = toRecord(run, now);
  const before = session.runs.find((one) => one.runId === run.runId);
  const runs = session.runs.filter((one) => one.runId !== run.runId);
  runs.push(before ? mergeRecords(before, record) : record);
  runs.sort(byStart);
  const sessionId = runs.findLast((one) => one.sessionId)?.sessionId ?? session.sessionId;
  const repositoryUrl = session.repositoryUrl ?? run.repositoryUrl;
  const gitBranch = session.gitBranch ?? run.gitBranch;
  return {
    ...session,
    name: isNameless({ name: session.name, runs }) ? name : session.name,
    runs,
    updatedAt: now,
    ...(sessionId ? { sessionId } : {}),
    ...(record.sessionId ? { sessionIdSeenAt: now } : {}),
    ...(repositoryUrl ? { repositoryUrl } : {}),
    ...(gitBranch ? { gitBranch } : {}),
  };
}
