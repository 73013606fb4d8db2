import { setTimeout as delay } from "node:timers/promises";
import type Pg from "pg";
import { type Pauses, pauseAfter } from "../shared/backoff.js";

/** Between two tries to connect. */
const PAUSES: Pauses = { firstMs: 50, longestMs: 2_000 };
/** A connection that nobody uses may end unnoticed: so often it is asked for a sign of life, in ms. */
const PROBE_MS = 15_000;

/**
 * Told what others have notified. `undefined`: the connection was made, for the first time or again, and what was
 * notified before may have been missed.
 */
export type OnNotice = (payload: string | undefined) => void;

/**
 * Listens to channels of a PostgreSQL database, all on one connection, which is there while somebody listens, is made
 * anew whenever it is lost, and holds no process open. Notices may be lost meanwhile: they tell sooner what a look would
 * tell as well.
 */
export class PostgresListener {
  readonly #connect: () => Pg.Client;
  readonly #channels = new Map<string, Set<OnNotice>>();
  /** The connection, once it listens. */
  #client: Pg.Client | undefined;
  #stopping: AbortController | undefined;
  /** What the connection was asked last: it takes one statement after the other. */
  #asked: Promise<unknown> = Promise.resolve();

  /** @param connect gives a client that is not connected yet */
  constructor(connect: () => Pg.Client) {
    this.#connect = connect;
  }

  /**
   * @param channel lower-case letters and underscores
   * @param onNotice must not throw
   * @returns ends it; nothing is told afterwards
   */
  listen(channel: string, onNotice: OnNotice): () => void {
    const own: OnNotice = (payload) => onNotice(payload);
    const known = this.#channels.get(channel);
    this.#channels.set(channel, (known ?? new Set()).add(own));
    if (!this.#stopping) void this.#keepConnected();
    else if (this.#client)
      void this.#ask(this.#client, `listen ${channel}`)
        .then(() => this.#channels.get(channel)?.has(own) && own(undefined))
        // It is lost, and told again when there is another one.
        .catch(() => {});
    return () => this.#leave(channel, own);
  }

  #leave(channel: string, own: OnNotice): void {
    const listeners = this.#channels.get(channel);
    listeners?.delete(own);
    if (listeners?.size !== 0) return;
    this.#channels.delete(channel);
    if (this.#channels.size === 0) this.stop();
    else if (this.#client) this.#ask(this.#client, `unlisten ${channel}`).catch(() => {});
  }

  #ask(client: Pg.Client, statement: string): Promise<unknown> {
    const answer = this.#asked.then(() => client.query(statement));
    this.#asked = answer.catch(() => {});
    return answer;
  }

  /** Ends the connection. Whoever listens hears nothing more. */
  stop(): void {
    this.#stopping?.abort();
    this.#stopping = undefined;
    this.#client = undefined;
    this.#channels.clear();
  }

  async #keepConnected(): Promise<void> {
    const stopping = new AbortController();
    const { signal } = stopping;
    this.#stopping = stopping;
    let tries = 1;
    while (!signal.aborted) {
      const wasConnected = await this.#listenOnce(signal);
      tries = wasConnected ? 1 : tries + 1;
      await delay(pauseAfter(tries, PAUSES), undefined, { ref: false, signal }).catch(() => {});
    }
  }

  /** Until the connection is lost. @returns whether there was one */
  async #listenOnce(signal: AbortSignal): Promise<boolean> {
    const client = this.#connect();
    this.#asked = Promise.resolve();
    const lost = new AbortController();
    const over = AbortSignal.any([signal, lost.signal]);
    let isConnected = false;
    client.on("error", () => lost.abort()).on("end", () => lost.abort());
    client.on("notification", ({ channel, payload = "" }) => {
      if (!over.aborted) this.#tell(channel, payload);
    });
    try {
      await client.connect();
      (client as Pg.Client & { unref(): void }).unref();
      const channels = [...this.#channels.keys()];
      if (channels.length > 0)
        await this.#ask(client, channels.map((channel) => `listen ${channel}`).join("; "));
      isConnected = true;
      if (!over.aborted) {
        this.#client = client;
        // Those that came meanwhile, too.
        for (const channel of this.#channels.keys()) {
          if (!channels.includes(channel)) await this.#ask(client, `listen ${channel}`);
          this.#tell(channel, undefined);
        }
      }
      for (;;) {
        await delay(PROBE_MS, undefined, { ref: false, signal: over });
        await this.#ask(client, "select 1");
      }
    } catch {
      if (this.#client === client) this.#client = undefined;
      // Its other end may be gone: nobody waits for that.
      client.end().catch(() => {});
      return isConnected;
    }
  }

  #tell(channel: string, payload: string | undefined): void {
    for (const listener of [...(this.#channels.get(channel) ?? [])]) listener(payload);
  }
}
