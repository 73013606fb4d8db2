import { randomUUID } from "node:crypto";
import { untilAborted } from "../../../shared/abort.js";
import type { Clock } from "../../../shared/clock.js";
import { withDeadline } from "../../../shared/deadline.js";
import { asRecord, asText, type JsonRecord } from "../json.js";

/** The requests with which the engine interrupts an agent, and the agent's answers to them. */
export interface Interrupts {
  /** Stops what the agent does at the moment. False when it has not confirmed that within `timeoutMs`. */
  send(timeoutMs?: number): Promise<boolean>;
  /** Takes the agent's `control_response`. */
  answered(message: JsonRecord): void;
  /** The agent has ended: nothing is confirmed any more. */
  close(): void;
}

/** An agent that works properly answers an interrupt within milliseconds; after this long, in ms, it counts as hanging. */
const TIMEOUT_MS = 5_000;

/**
 * @param options.write writes a message to the agent; false when it cannot be written to any more
 * @param options.endNow ends the wait for an answer
 */
export function createInterrupts(options: {
  clock: Clock;
  write(message: JsonRecord): boolean;
  endNow: AbortSignal;
}): Interrupts {
  const { clock, write, endNow } = options;
  const waiting = new Map<string, (ok: boolean) => void>();

  return {
    async send(timeoutMs = TIMEOUT_MS) {
      const requestId = randomUUID();
      const answered = new Promise<boolean>((resolve) => waiting.set(requestId, resolve));
      const isSent = write({
        type: "control_request",
        request_id: requestId,
        request: { subtype: "interrupt" },
      });
      const inTime = (signal: AbortSignal) =>
        Promise.race([answered, untilAborted(signal).then(() => false)]);
      const isDone = isSent && (await withDeadline(clock, timeoutMs, inTime, endNow));
      waiting.delete(requestId);
      return isDone ?? false;
    },
    answered(message) {
      const response = asRecord(message.response);
      waiting.get(asText(response.request_id) ?? "")?.(response.subtype === "success");
    },
    close() {
      for (const settle of waiting.values()) settle(false);
    },
  };
}
