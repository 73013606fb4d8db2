import type { HistorySource } from "../../history/history.js";
import type { SessionQuery, SessionRecord } from "./session-record.js";

/** The sessions that this product remembers. Records given out are copies: changing one changes nothing. */
export interface SessionStore extends HistorySource {
  /**
   * All sessions, the last updated first. What cannot be read is left out and told through `onProblem`;
   * it is never thrown. Every call throws a StoreError when they are on a server that cannot be reached.
   */
  list(): Promise<SessionRecord[]>;

  /** The sessions that have any of the names or ids, the last updated first, without reading the others. */
  find(query: SessionQuery): Promise<SessionRecord[]>;

  /** The session under this key, or undefined. */
  get(key: string): Promise<SessionRecord | undefined>;

  /**
   * Changes one session while nobody else, in this process or another, can change it. `change` gets the newest
   * record (undefined when there is none) and gives the next one, or undefined to leave it as it is. It must be
   * quick, synchronous and free of effects: it is called again when another process came in between, and much later
   * when sessions could not be written where they are kept and then can.
   *
   * Gives the record as it is afterwards. A record written by a newer release is left alone: `change` is not
   * called and the answer is undefined.
   *
   * Throws what `change` throws, a TypeError when the next record is not valid, and an Error when the session
   * stays busy for half a minute.
   */
  update(
    key: string,
    change: (current: SessionRecord | undefined) => SessionRecord | undefined,
  ): Promise<SessionRecord | undefined>;

  /** Forgets the session; no error when there is none. */
  remove(key: string): Promise<void>;

  /** True when what is written is remembered by this process only, because where it should be kept it cannot be. */
  isForgetful(): boolean;

  /**
   * Whether the server can be reached on which they are, and takes writes; absent where they are on no server.
   * @throws StoreError when not
   */
  reach?(): Promise<void>;

  /** Waits for what is under way; afterwards every other call is refused with an Error. */
  close(): Promise<void>;
}

/** What a call gets after `close()`. */
export function closedError(): Error {
  return new Error("The session store is closed.");
}
