import type { Notice } from "./notice.js";

/** A way by which a person is told. */
export interface Channel {
  /** Stored with what it has told: never changed. */
  name: "desktop" | "command";
  /**
   * Tells it, within some seconds.
   * @param signal the process ends
   * @throws an Error that says in a few words what went wrong, without secrets
   */
  send(notice: Notice, signal: AbortSignal): Promise<void>;
}
