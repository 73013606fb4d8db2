import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { StoreError } from "../../store/store-error.js";
import { closedError } from "./session-store.js";

/**
 * One command's time in ms, reconnecting included: longer than a server takes to start again, and short enough that
 * a server that is asked to stop while Redis is away still ends within 5 s.
 */
const LIMIT_MS = 3_000;

/**
 * Commands under way at once. The limit is each command's own, so those that wait behind thousands of others, or
 * behind a long list on a slow line, must not be taken for unanswered.
 */
const AT_ONCE = 16;

/** The pauses between two tries to connect, in ms: doubling between these, with a random part on top. */
const [FIRST_PAUSE_MS, LAST_PAUSE_MS] = [25, 1_000];

/** The pause before a command that the server could not carry out for the moment is sent again, in ms. */
const PASSING_PAUSE_MS = 100;

/** Replies by which a server says that it is starting, busy or changing roles: tried again within the limit. */
const PASSING = ["LOADING", "BUSY", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"];

/** By the type byte of a text in the protocol. As Buffers, damaged texts can be compared and moved unchanged. */
const TEXTS_AS_BUFFERS = { 36: Buffer };

/** A connection to one Redis server that is made when it is needed and made again when it is lost. */
export interface RedisConnection {
  /**
   * Sends one command and gives its reply: texts as Buffers, nothing as null. After a lost connection it is sent
   * again, so it must be one that may be carried out twice.
   *
   * Throws an Error when there is no answer within the limit, and at once while the server is known to be away; it
   * is not known then whether the command was carried out. A reply that is an error is thrown as an Error whose
   * `code` is the reply's first word. Messages carry no address and nothing else that the server has said.
   */
  send<T>(...command: (string | Buffer)[]): Promise<T>;
  /** Ends the connection; what is still under way fails. */
  close(): void;
}

/** As much of the library as is used here. */
interface Client extends NodeJS.EventEmitter {
  isOpen: boolean;
  isReady: boolean;
  connect(): Promise<unknown>;
  destroy(): void;
  sendCommand<T>(command: (string | Buffer)[], options?: object): Promise<T>;
}

/**
 * The library is loaded with the first command: a server that keeps its sessions in a folder never pays for it.
 * `onTrouble` is told when commands begin to fail: once until one has succeeded where the server is away, and once
 * for each kind of error that it replies. `limitMs` is the time of one command, default 3 s.
 */
export function createRedisConnection(options: {
  url: string;
  onTrouble: (message: string) => void;
  limitMs?: number;
}): RedisConnection {
  const limitMs = options.limitMs ?? LIMIT_MS;
  let library: typeof import("./redis-library.js") | undefined;
  let client: Client | undefined;
  let becomingReady: Promise<unknown> | undefined;
  let closed = false;
  /** Set when the limit has passed without an answer, until there is one: nobody has to wait for that again. */
  let silent = false;
  let free = AT_ONCE;
  const waiting: (() => void)[] = [];
  let cause: unknown;
  /** By the code of the reply; empty where there was none. */
  const told = new Set<string>();

  /** The first word of an error that the server has replied; undefined for errors of another origin. */
  function replyCode(error: unknown): string | undefined {
    if (!library || !(error instanceof library.ErrorReply)) return undefined;
    return /^[A-Z]+/.exec(error.message)?.[0] ?? "ERR";
  }

  async function open(): Promise<Client> {
    try {
      library ??= await import("./redis-library.js");
      if (!closed && !client?.isOpen) client = connect(library);
    } catch (error) {
      throw unreachable(error);
    }
    if (closed || !client) throw closedError();
    return client;
  }

  function connect({ createClient }: typeof import("./redis-library.js")): Client {
    const created = createClient({
      url: options.url,
      // The protocol that every server speaks; nothing here needs a newer one.
      RESP: 2,
      disableClientInfo: true,
      // The library's queue would be sent right behind the password and the number of the database, and be carried
      // out in another database when those are refused.
      disableOfflineQueue: true,
      socket: {
        connectTimeout: limitMs,
        // Wrong credentials do not get better by themselves: the next command tries them anew.
        reconnectStrategy: (tries, failure) =>
          isLasting(replyCode(failure))
            ? failure
            : Math.min(FIRST_PAUSE_MS * 2 ** tries, LAST_PAUSE_MS) + Math.random() * FIRST_PAUSE_MS,
      },
    });
    created.on("error", (failure) => {
      cause = failure;
      if (replyCode(failure)) silent = false;
    });
    created.on("ready", () => void (silent && probe(created)));
    becomingReady = undefined;
    // How it failed is told by the event.
    created.connect().catch(() => undefined);
    return created;
  }

  /** Throws why the present try to connect has failed. One listener for all who wait. */
  async function untilReady(used: Client): Promise<void> {
    if (used.isReady) return;
    becomingReady ??= once(used, "ready").finally(() => {
      becomingReady = undefined;
    });
    await becomingReady;
  }

  /** Asks a server that was silent until it answers. */
  async function probe(asked: Client): Promise<void> {
    try {
      await withLimit(limitMs, () => asked.sendCommand(["PING"]));
      silent = false;
    } catch (error) {
      // An error is an answer too. A lost connection is made again, and then asked.
      if (replyCode(error)) silent = false;
      else if (error instanceof TimeUp) await restart(asked);
    }
  }

  /** Where a server has stopped answering, the connection may lead nowhere although nobody has said so. */
  async function restart(stale: Client): Promise<void> {
    if (client !== stale || closed) return;
    stale.destroy();
    await open().catch(() => undefined);
  }

  async function attempt<T>(command: (string | Buffer)[]): Promise<T> {
    const until = performance.now() + limitMs;
    for (;;) {
      const used = await open();
      if (silent) throw unreachable(cause);
      let sent = false;
      try {
        return await withLimit(until - performance.now(), async (abortSignal) => {
          await untilReady(used);
          sent = true;
          return used.sendCommand<T>(command, { abortSignal, typeMapping: TEXTS_AS_BUFFERS });
        });
      } catch (error) {
        if (closed) throw closedError();
        const code = replyCode(error);
        if (code && (isLasting(code) || performance.now() > until)) throw refused(code, sent);
        if (error instanceof TimeUp) {
          silent = true;
          if (used.isReady) {
            cause = undefined;
            void restart(used);
          }
          throw unreachable(cause);
        }
        // A replica that was the primary stays one; whoever is primary now is found by connecting anew.
        if (code === "READONLY") await restart(used);
        if (code) await delay(PASSING_PAUSE_MS);
      }
    }
  }

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  }

  return {
    send: async <T>(...command: (string | Buffer)[]) => {
      if (closed) throw closedError();
      try {
        const reply = await inTurn(() => attempt<T>(command));
        told.delete("");
        return reply;
      } catch (error) {
        const { code = "", message } = error as Error & { code?: string };
        // That is the state of one key and not the server's: the caller's to look after.
        if (!told.has(code) && !closed && code !== "WRONGTYPE") {
          told.add(code);
          options.onTrouble(message);
        }
        throw error;
      }
    },
    close: () => {
      closed = true;
      client?.destroy();
    },
  };
}

class TimeUp extends Error {}

/** Ends waiting after `limitMs`; the signal takes back what has not been sent by then. */
function withLimit<T>(limitMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const controller = new AbortController();
    const giveUp = () => {
      reject(new TimeUp());
      controller.abort();
    };
    // Where this process itself was too busy to look, the answer may be there: it is read before immediates run.
    const timer = setTimeout(() => setImmediate(giveUp), limitMs);
    void work(controller.signal)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

function isLasting(code: string | undefined): boolean {
  return code !== undefined && !PASSING.includes(code);
}

const SERVER = "The Redis server that keeps the sessions";

function unreachable(cause: unknown): StoreError {
  const { code } = (cause ?? {}) as { code?: unknown };
  const known = typeof code === "string" && /^[A-Z][A-Z0-9_]+$/.test(code) ? ` (${code})` : "";
  return new StoreError(cause ? `${SERVER} cannot be reached${known}.` : `${SERVER} does not answer.`);
}

/** `sent` is false for a reply to what comes before the first command: the credentials and the database. */
function refused(code: string, sent: boolean): StoreError {
  const what =
    sent && code !== "NOAUTH"
      ? `refused a command (${code}).`
      : `does not accept the user, password or database (${code}). Check AUTOMAGIK_WORKFLOWS_STATE.`;
  return new StoreError(`${SERVER} ${what}`, code);
}
