import { setTimeout as delay } from "node:timers/promises";
import type { PostgresPool, PostgresPoolClient } from "kysely";
import type Pg from "pg";
import { type Pauses, pauseAfter } from "../shared/backoff.js";
import { systemClock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import { AwayError, explainPostgres, isReply, TimeUp } from "./postgres-error.js";
import { type OnNotice, PostgresListener } from "./postgres-listen.js";
import { StoreError } from "./store-error.js";

/**
 * How long a server that is away is waited for, and one statement, in ms: longer than it takes to start again, and short
 * enough that a process that is asked to stop meanwhile still ends within 5 s.
 */
const LIMIT_MS = 3_000;
/** Connections at once; they wait for one another, and an unused one is closed. */
const CONNECTIONS = 5;
/** Between two tries, with a random part on top. */
const PAUSES: Pauses = { firstMs: 25, longestMs: 1_000 };
/** Connections that are closed are waited for no longer, in ms: the other end may be gone. */
const CLOSING_MS = 500;
/** A connection that a library waits for or holds may be dead: so long until that is looked into, in ms. */
const PROBE_MS = 10_000;
/** A machine that vanishes in the middle of a library's change holds the others up for so long, in ms. */
const IDLE_MS = 10_000;
/** The number of PostgreSQL's type for counts and large numbers: as text it would be no number to anybody. */
const INT8 = 20;

/** @throws StoreError where the package is not installed */
async function loadPostgres(): Promise<typeof Pg> {
  try {
    return (await import("pg")).default;
  } catch (error) {
    const message =
      'AUTOMAGIK_WORKFLOWS_DATABASE needs the npm package "pg", which is not installed. Install it beside this one: ' +
      "npm install pg (with -g where this one was installed so).";
    throw new StoreError(message, (error as NodeJS.ErrnoException).code, "unavailable");
  }
}

/**
 * Connections to one PostgreSQL server, made when they are needed and again when they are lost. A server that is away is
 * waited for; when that was in vain, everything fails at once until it is back, which is looked for in the background.
 */
export class PostgresConnections {
  readonly #pool: Pg.Pool;
  /** Those of libraries. */
  readonly #others: Pg.Pool[] = [];
  readonly #openOther: (size: number) => Pg.Pool;
  readonly #listener: PostgresListener;
  readonly limitMs: number;
  readonly #turns: (() => void)[] = [];
  #free = CONNECTIONS;
  #away: AwayError | undefined;
  #isClosed = false;
  /** How often a connection was lost. */
  losses = 0;

  /** @param address of the database; it is checked already */
  static async open(address: string, limitMs = LIMIT_MS): Promise<PostgresConnections> {
    return new PostgresConnections(await loadPostgres(), address, limitMs);
  }

  private constructor({ Client, Pool, types }: typeof Pg, address: string, limitMs: number) {
    this.limitMs = limitMs;
    const common = {
      connectionString: address,
      application_name: "automagik-workflows",
      connectionTimeoutMillis: limitMs,
      keepAlive: true,
    };
    this.#listener = new PostgresListener(() => new Client({ ...common, query_timeout: limitMs }));
    this.#pool = new Pool({
      ...common,
      max: CONNECTIONS,
      allowExitOnIdle: true,
      types: {
        getTypeParser: (type: number, format?: "text") =>
          type === INT8 ? Number : types.getTypeParser(type, format),
      } as typeof types,
    });
    // Whoever uses a connection learns of its end by what fails.
    this.#pool.on("error", () => {
      this.losses += 1;
    });
    this.#pool.on("connect", (client) => void client.on("error", () => {}));
    this.#openOther = (max) => {
      const others = { keepAliveInitialDelayMillis: PROBE_MS, connectionTimeoutMillis: PROBE_MS };
      // Not among what a connection begins with: a pooler in between would refuse it.
      const verify = (client: Pg.PoolClient, done: (error?: Error) => void) =>
        client.query(`set idle_in_transaction_session_timeout = ${IDLE_MS}`, done);
      const pool = new Pool({ ...common, ...others, ...{ max, allowExitOnIdle: true, verify } });
      pool.on("error", () => {});
      pool.on("connect", (client) => void client.on("error", () => {}));
      return pool;
    };
  }

  /** Connections for a library, which end with the others. */
  openPool(size: number): Pg.Pool {
    const pool = this.#openOther(size);
    this.#others.push(pool);
    return pool;
  }

  /** For statements that only read: each has a connection for itself, and is asked again where that is lost. */
  readonly reading: PostgresPool = {
    options: {},
    end: async () => {},
    connect: async () =>
      ({
        query: (sql: string, parameters: readonly unknown[]) =>
          this.persist(() => this.use((client) => client.query(sql, parameters))),
        release() {},
      }) as PostgresPoolClient,
  };

  /** For transactions: a connection until it is released. */
  readonly writing: PostgresPool = { options: {}, end: async () => {}, connect: () => this.#connect() };

  /** @throws what `work` throws, and StoreError */
  async use<T>(work: (client: PostgresPoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    try {
      return await work(client);
    } finally {
      client.release();
    }
  }

  /**
   * Sends statements, which are carried out as a whole, and gives the rows of the last one.
   * @throws StoreError
   */
  send(sql: string): Promise<unknown[]> {
    return this.use(async (client) => (await client.query(sql, [])).rows);
  }

  /**
   * Does the work, again while the server is away, for some seconds.
   * @throws what `work` throws, and AwayError, at once while the server is known to be away
   */
  async persist<T>(work: () => Promise<T>): Promise<T> {
    const until = performance.now() + this.limitMs;
    for (let tries = 1; ; tries++) {
      const pauseMs = pauseAfter(tries, PAUSES);
      if (this.#away) throw new AwayError(this.#away.message, this.#away.code);
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof AwayError) || this.#isClosed) throw error;
        this.losses += 1;
        if (performance.now() + pauseMs > until) {
          void this.#lookForIt(error);
          throw error;
        }
      }
      await delay(pauseMs + Math.random() * PAUSES.firstMs);
    }
  }

  /** See {@link PostgresListener}; it ends with the connections, too. */
  listen(channel: string, onNotice: OnNotice): () => void {
    return this.#listener.listen(channel, onNotice);
  }

  /** Ends all connections. What is still under way fails. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.stop();
    await withDeadline(systemClock, CLOSING_MS, () =>
      Promise.allSettled([this.#pool, ...this.#others].map((pool) => pool.end())),
    );
  }

  async #connect(): Promise<PostgresPoolClient> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#turns.push(resolve));
    try {
      if (this.#isClosed) throw new StoreError("The database is closed, since this server is stopping.");
      return this.#guard(await this.#pool.connect());
    } catch (error) {
      this.#passTurn();
      throw explainPostgres(error);
    }
  }

  /** A connection whose errors are such as a person should read. After one that is no reply nothing more is sent by it. */
  #guard(client: Pg.PoolClient): PostgresPoolClient {
    let lost: unknown;
    const query = async (sql: string, parameters: readonly unknown[]) => {
      if (lost) throw lost;
      try {
        const result = await withLimit(this.limitMs, client.query(sql, parameters.map(storable)));
        // Of several statements in one text the last one's.
        return Array.isArray(result) ? result.at(-1) : result;
      } catch (error) {
        const meaning = explainPostgres(error);
        if (!isReply(error) || meaning instanceof AwayError) lost = meaning;
        throw meaning;
      }
    };
    const release = (destroy = false) => {
      client.release(lost !== undefined || destroy);
      this.#passTurn();
    };
    return { query, release } as PostgresPoolClient;
  }

  #passTurn(): void {
    const next = this.#turns.shift();
    if (next) next();
    else this.#free += 1;
  }

  /** Tries now and then until the server is back. */
  async #lookForIt(away: AwayError): Promise<void> {
    if (this.#away) return;
    for (this.#away = away; this.#away && !this.#isClosed; ) {
      await delay(PAUSES.longestMs, undefined, { ref: false });
      // One that replies with an error is there: whoever asks next learns what is wrong.
      const isAway = (error: unknown) => error instanceof AwayError;
      if (!(await this.send("select 1").then(() => false, isAway))) this.#away = undefined;
    }
  }
}

/** PostgreSQL keeps no NUL in a text, and the half of a letter of two parts is none to it: both are stored alike. */
function storable(value: unknown): unknown {
  return typeof value === "string" ? value.replaceAll("\0", "\ufffd") : value;
}

/** @throws TimeUp when the answer does not come within `limitMs` */
function withLimit<T>(limitMs: number, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    // Where this process itself was too busy to look, the answer may be there: it is read before immediates run.
    const timer = setTimeout(() => setImmediate(() => reject(new TimeUp())), limitMs);
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
