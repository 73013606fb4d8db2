import { randomBytes } from "node:crypto";
import type { Services } from "../actions/define-action.js";
import { createBoard } from "../dashboard/board.js";
import type { AnswerReceiver } from "../integrations/ask-message.js";
import { hold, letGo, RENEW_MS } from "../integrations/holders.js";
import { keepConnected } from "../integrations/socket-life.js";
import type { Log } from "../shared/log.js";
import { type Database, type Transaction, transaction } from "../store/database.js";
import { openStore, type StorePlace } from "../store/open-store.js";
import { createReopened } from "../store/reopened.js";
import { type AskedBy, createOutsideQuestions } from "./outside-questions.js";
import { oldestOpen } from "./questions.js";

/** A service with what takes its answers. */
export interface OutsideConnection extends AskedBy {
  /** Names the connection of which there is to be one: the same for the same account of the service. */
  account(): Promise<string>;
  /** Takes answers until the signal ends it. @throws as `keepConnected` expects it */
  follow(answers: AnswerReceiver, signal: AbortSignal): Promise<void>;
}

/** Answers from other services, for as long as a process is there. */
export interface OpenAnswers {
  /** Whether something is asked outside, or may be soon: a run goes on, or waits. */
  isBusy(): boolean;
  close(): Promise<void>;
}

/** How often what others have written is looked for, in ms. */
const LOOK_MS = 1_000;

/**
 * Puts what needs a person to people by other services, and takes their answers, until it is closed. Of several processes
 * on one database one asks for each API, and one holds the connection to each account.
 * @param options.onWritten something was written for the outbox
 */
export function openAnswers(
  options: StorePlace & {
    services: Services;
    connections: readonly OutsideConnection[];
    upstream: string;
    dashboardUrl: string | undefined;
    onWritten: () => void;
    askAfterMs?: number;
    log: Log;
  },
): OpenAnswers {
  const { folder, address, services, connections, upstream, log } = options;
  const { clock } = services;
  const self = randomBytes(9).toString("base64url");
  const closing = new AbortController();
  const { signal } = closing;
  const { use, close } = createReopened(async () => ({ db: await openStore({ folder, address, clock }) }));
  const timeOf = async ({ shared }: Database, trx: Transaction | Database) =>
    shared ? shared.readNow(trx) : clock.now();
  const change = <T>(work: (trx: Transaction, now: number) => Promise<T>) =>
    use(({ db }) => transaction(db, async (trx) => work(trx, await timeOf(db, trx))));
  const read = <T>(work: (db: Database) => Promise<T>) => use(({ db }) => work(db));
  const board = createBoard({ services, log });
  let release: (() => void) | undefined;
  const isAsking = () => release !== undefined;
  const questions = createOutsideQuestions({
    ...options,
    board,
    asked: connections,
    change,
    read,
    isAsking,
    signal,
  });
  /** Connections that this process holds, each with what ends it. */
  const held = new Map<OutsideConnection, { end: () => void; over: Promise<void> }>();
  let cancels: (() => void)[] = [];

  async function holdAsking(): Promise<void> {
    const isOurs = await change((trx, now) => hold(trx, `questions ${upstream}`, self, now)).catch(
      () => false,
    );
    if (isOurs && !release && !signal.aborted) {
      const ends = [board.keepLive(), board.onChange(() => void questions.bringUpToDate())];
      release = () => {
        for (const end of ends) end();
      };
      // A former process may have ended before what it had written was brought to a service.
      options.onWritten();
      void questions.bringUpToDate();
    } else if (!isOurs && release) {
      release();
      release = undefined;
    }
  }

  async function holdConnection(connection: OutsideConnection): Promise<void> {
    const isOurs = await connection
      .account()
      .then((account) => change((trx, now) => hold(trx, account, self, now)))
      .catch((error: Error) => {
        log.debug(`${connection.title} cannot be reached: ${error.message}`);
        return false;
      });
    const mine = held.get(connection);
    if (isOurs && !mine && !signal.aborted) held.set(connection, begin(connection));
    else if (!isOurs && mine) {
      mine.end();
      held.delete(connection);
    }
  }

  function begin(connection: OutsideConnection): { end: () => void; over: Promise<void> } {
    const ending = new AbortController();
    const ended = AbortSignal.any([ending.signal, signal]);
    const own: AnswerReceiver = {
      take: (given) => questions.take(connection, given),
      wordsFor: (given) => questions.wordsFor(connection, given),
      openSince: () => read((db) => oldestOpen(db, connection.service)),
    };
    const connect = (until: AbortSignal) => connection.follow(own, until);
    const over = keepConnected({ service: connection.title, connect, clock, log, signal: ended });
    return { end: () => ending.abort(), over };
  }

  function repeat(work: () => Promise<void>, everyMs: number): void {
    const at = cancels.length;
    const again = () => {
      cancels[at] = clock.after(everyMs, () => void work().finally(() => signal.aborted || again()));
    };
    again();
  }

  const holdAll = async () => void (await Promise.all([holdAsking(), ...connections.map(holdConnection)]));
  void holdAll();
  repeat(holdAll, RENEW_MS);
  repeat(questions.bringUpToDate, LOOK_MS);

  return {
    isBusy() {
      if (!release) return false;
      const { running, queue, needs } = board.now();
      return questions.hasOpen() || running.length + queue.length + needs.length > 0;
    },
    async close() {
      closing.abort();
      for (const cancel of cancels) cancel();
      cancels = [];
      release?.();
      release = undefined;
      board.close();
      await Promise.allSettled([...held.values()].map(({ over }) => over));
      await change((trx) => letGo(trx, self)).catch(() => {});
      await close();
    },
  };
}
