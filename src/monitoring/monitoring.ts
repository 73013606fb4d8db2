import type { Services } from "../actions/define-action.js";

/** How Prometheus knows its text format. */
export const TEXT_HEADERS = {
  "content-type": "text/plain; version=0.0.4; charset=utf-8",
  "cache-control": "no-store",
} as const;

/** What is counted while a server works. None of it throws or is waited for. */
export interface Counters {
  /** A request to the workflows API has ended. @param status of HTTP; undefined where no answer came */
  answered(status: number | undefined): void;
  /** A call of a tool has ended. @param seconds how long it took */
  called(call: { action: string; failed: boolean; seconds: number }): void;
  /** A notification was given, or could not be. */
  notified(channel: string, outcome: "sent" | "unknown" | "failed"): void;
}

/** What operators are told of a server. Loaded only where settings ask for it. */
export interface Monitoring extends Counters {
  /** What is told of runs and plans comes from there from now on. */
  watch(services: Pick<Services, "sessions" | "plans" | "catalogue" | "startLimiter" | "clock">): void;
  /** All figures in the text format of Prometheus. */
  text(): Promise<string>;
  /** Sends what is to be sent, within a few seconds, and ends. */
  close(): Promise<void>;
}
