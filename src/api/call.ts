import type { Clock } from "../shared/clock.js";
import type { ProxyEnvironment } from "../shared/http/proxy.js";
import type { Attempt } from "./explain/attempt.js";

/** One call as the client's methods describe it. */
export interface Call extends Attempt {
  method: "GET" | "POST";
  /** Below the base address, beginning with a slash. */
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: Record<string, unknown>;
  /** The size up to which the answer is read, in bytes. */
  limitBytes: number;
  /** Longer answers have their long texts cut instead of being refused. */
  cutsTexts?: boolean;
  headers?: Record<string, string>;
  /** Nobody waits for it, so it does not restart an API that somebody has stopped. */
  background?: boolean;
  /** Answered without a key as well, so that an answer says nothing of the key. */
  needsNoKey?: boolean;
  /** A poll, which is repeated anyway: not sent while the API is known to be down. */
  poller?: boolean;
  /** A time limit of its own, in ms, for what may honestly take long. */
  timeoutMs?: number;
  /** Tries after the first; 0 for calls that act and for pollers that come back by themselves. */
  retries?: number;
}

/** A call whose answer is a stream of events. */
export type StreamCall = Omit<Call, "limitBytes" | "cutsTexts" | "body">;

/** An answer, read as JSON. */
export interface Answer {
  body: unknown;
  /** How far the server's clock is ahead of ours by its Date header, in ms. Whole seconds, so up to 1 s too low. */
  clockOffsetMs?: number;
}

/** Where the API is and the key that it takes. */
export interface Connection {
  baseUrl: string;
  apiKey: string | undefined;
}

/** Where the API is, and how it is asked. */
export interface HttpOptions extends Connection {
  /**
   * Finds an API whose address is only known by looking, and starts it where it is not there. Asked before the first
   * request, and again when nothing listens at the address any more.
   * @throws an Error worded for a person
   */
  locate?: (() => Promise<Connection>) | undefined;
  /**
   * The only caller whose runs are to be seen, by its id. An API that does not say with an answer that it is for this
   * caller is not believed, and nothing that acts is sent to it.
   */
  caller?: string | undefined;
  /** What to do when the API refuses the key, as a sentence; by default to set the variable. */
  refusedKeyAdvice?: string | undefined;
  /** Where proxies are named. An API that is found by looking is on this machine, and is reached without. */
  env?: ProxyEnvironment | undefined;
  /** Told with each answer whether the API takes the key. Must not throw. */
  onKey?: ((isTaken: boolean) => void) | undefined;
  /** Told of each request that has ended: its HTTP status, undefined where no answer came. Must not throw. */
  onAnswered?: ((status: number | undefined) => void) | undefined;
  requestTimeoutMs: number;
  clock: Clock;
  /** 0…1, for jitter. */
  random: () => number;
}
