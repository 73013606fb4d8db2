import type { Services } from "../actions/define-action.js";
import type { LoggedEvent, Run } from "../api/types.js";
import { sleep } from "../shared/clock.js";
import { toLogEntry } from "./log-entry.js";
import type { LogEntry } from "./views/run.js";

/** The log of one run, shared by all who look at it. */
export interface RunLog {
  /** The newest entries; older ones that were let go are counted. */
  entries(): { log: LogEntry[]; logLeft: number };
  /** Resolves when what has happened so far is there, or after a while. */
  ready: Promise<void>;
  /** Why it has only what was seen here. */
  note: string | undefined;
  onEntry(listener: (entry: LogEntry) => void): () => void;
  /** Another one needs it no more. */
  leave(): void;
}

/** So many entries of a run are kept and told. */
const MOST_ENTRIES = 2_000;
/** The past has been told when nothing has come for so long, in ms; more is not waited for. */
const QUIET_MS = 120;
const PAST_MS = 2_000;
/** A log that nobody needs is kept so long for who comes back, in ms. */
const KEPT_MS = 30_000;
const MOST_LOGS = 20;
/** Pauses before a stream is opened again that broke or could not be had, in ms. */
const AGAIN_MS = [0, 250, 1_000, 5_000, 15_000];
const ONLY_SEEN =
  "This workflows API does not tell what the agent did: the log has what was seen since this page was opened.";

interface Kept extends RunLog {
  users: number;
  close(): void;
}

/** The logs of runs, opened when somebody looks at one. */
export function createRunLogs(services: Pick<Services, "api" | "capabilities" | "watcher" | "clock">) {
  const { clock } = services;
  const logs = new Map<string, Kept>();

  function leave(runId: string, log: Kept): void {
    if (--log.users > 0) return;
    clock.after(KEPT_MS, () => log.users === 0 && forget(runId, log));
    if (logs.size <= MOST_LOGS) return;
    for (const [id, one] of [...logs]) if (one.users === 0 && logs.size > MOST_LOGS) forget(id, one);
  }

  function forget(runId: string, log: Kept): void {
    if (logs.get(runId) === log) logs.delete(runId);
    log.close();
  }

  return {
    /** @param run as it is known; its log goes on from the run's beginning */
    open(run: Run): RunLog {
      const { runId } = run;
      const log = logs.get(runId) ?? createLog(run, services, (own) => leave(runId, own));
      logs.set(runId, log);
      log.users++;
      return log;
    },
    close(): void {
      for (const [runId, log] of [...logs]) forget(runId, log);
    },
  };
}

function createLog(
  run: Run,
  { api, capabilities, watcher, clock }: Pick<Services, "api" | "capabilities" | "watcher" | "clock">,
  onLeave: (log: Kept) => void,
): Kept {
  const listeners = new Set<(entry: LogEntry) => void>();
  const closing = new AbortController();
  const entries: LogEntry[] = [];
  let left = 0;
  let last: LoggedEvent | undefined;
  let heardAt = clock.elapsed();
  const isTold = capabilities.describesEndpoint("events");
  /** Grows also from one log of the run to the next: a page that has an earlier one takes only what is newer. */
  let key = isTold ? 0 : clock.now();

  function add(event: LoggedEvent, id?: string): void {
    heardAt = clock.elapsed();
    const told = toLogEntry(event, last);
    last = event;
    if (!told) return;
    key = Math.max(key + 1, /^\d{1,15}$/.test(id ?? "") ? Number(id) : 0);
    const entry = { key, ...told };
    entries.push(entry);
    if (entries.length > MOST_ENTRIES) {
      entries.shift();
      left++;
    }
    for (const listener of [...listeners]) listener(entry);
  }

  /**
   * Until the run has ended. A stream that breaks before, as where the API begins anew, is opened again and goes on where
   * it was. @param onBreak called each time
   */
  async function listen(onBreak: () => void): Promise<void> {
    const done = new AbortController();
    const signal = AbortSignal.any([closing.signal, done.signal]);
    let lastId: string | undefined;
    let failures = 0;
    const take = (event: LoggedEvent, id: string | undefined) => {
      lastId = id ?? lastId;
      failures = 0;
      add(event, id);
      if (event.type === "finished") done.abort();
    };
    while (!signal.aborted) {
      await api.streamEvents(run.runId, signal, take, lastId).catch(() => {});
      onBreak();
      await sleep(clock, AGAIN_MS[Math.min(failures++, AGAIN_MS.length - 1)] ?? 0, signal);
    }
  }

  /** Where the API tells no log, what is seen of the run is one. */
  function watch(): void {
    const { stop } = watcher.watch(run, ({ type, run: now }) => {
      const at = clock.now();
      if (type === "turn") add({ type, at, data: { turn: now.turn } });
      if (type === "action" && now.currentAction)
        add({ type, at, data: { action: now.currentAction, turn: now.turn } });
      if (type === "question") for (const { text } of now.questions ?? []) add({ type, at, data: { text } });
      if (type === "finished") add({ type, at, data: { status: now.status } });
    });
    closing.signal.addEventListener("abort", stop, { once: true });
  }

  async function waitForPast(): Promise<void> {
    const over = new AbortController();
    void listen(() => over.abort());
    const until = clock.elapsed() + PAST_MS;
    do {
      if (!(await sleep(clock, QUIET_MS, over.signal))) return;
    } while (clock.elapsed() < until && (entries.length === 0 || clock.elapsed() - heardAt < QUIET_MS));
  }

  if (!isTold) watch();
  const log: Kept = {
    users: 0,
    ready: isTold ? waitForPast() : Promise.resolve(),
    ...{ note: isTold ? undefined : ONLY_SEEN },
    entries: () => ({ log: [...entries], logLeft: left }),
    onEntry(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    leave: () => onLeave(log),
    close: () => closing.abort(),
  };
  return log;
}
