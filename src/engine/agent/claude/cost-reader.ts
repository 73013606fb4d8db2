import { randomUUID } from "node:crypto";
import { asRecord, asText, type JsonRecord } from "../json.js";

/** Asks the agent what it has cost while it works: by itself it tells only when it has worked off a request. */
export interface CostReader {
  /** It has begun to work on a request. */
  begun(): void;
  /** It has begun another turn. */
  turn(): void;
  /** It has told by itself what the process has cost so far, in USD. */
  result(costUsd: number): void;
  /** Takes the agent's `control_response`. */
  answered(message: JsonRecord): void;
}

/**
 * What `/usage` prints; to a ten-thousandth of a dollar, large sums to a cent. `get_usage` has more digits, but for a
 * subscription it asks a service for its limits each time, where this looks at nothing but the process.
 */
const SUBTYPE = "get_session_cost";
const TOTAL = /^\s*(?:estimated|total) cost:\s*\$(\d[\d,]*(?:\.(\d+))?)/im;

/**
 * @param options.continued its total has the past of the conversation in it
 * @param options.write writes a message to the agent; false when it cannot be written to any more
 * @param options.onCost gets what has been spent since the last result, or since the process began, in USD
 */
export function createCostReader(options: {
  continued: boolean;
  write: (message: JsonRecord) => boolean;
  onCost: (sinceResultUsd: number) => void;
}): CostReader {
  /** The total with which the present request began; undefined where it has to be asked for. */
  let beforeUsd: number | undefined = options.continued ? undefined : 0;
  let waitingFor: string | undefined;
  let askAgain = false;

  /** One question at a time: a program that does not answer this one is not asked again. */
  function ask(): void {
    askAgain = waitingFor !== undefined;
    if (askAgain) return;
    waitingFor = randomUUID();
    options.write({ type: "control_request", request_id: waitingFor, request: { subtype: SUBTYPE } });
  }

  return {
    begun() {
      // Before the model has answered, which is the past alone.
      if (beforeUsd === undefined) ask();
    },
    turn: ask,
    result(costUsd) {
      beforeUsd = options.continued ? undefined : costUsd;
      waitingFor = undefined;
      askAgain = false;
    },
    answered(message) {
      const { request_id, subtype, response } = asRecord(message.response);
      if (waitingFor === undefined || request_id !== waitingFor) return;
      // One that does not know the question is left alone.
      if (subtype !== "success") return;
      waitingFor = undefined;
      const [, digits, decimals = ""] = TOTAL.exec(asText(asRecord(response).text) ?? "") ?? [];
      if (digits === undefined) return;
      const totalUsd = Number(digits.replaceAll(",", ""));
      // Both sums are rounded: never more than has really been spent, since what is told only grows.
      const sinceUsd = totalUsd - (beforeUsd ?? totalUsd) - 10 ** -decimals.length;
      beforeUsd ??= totalUsd;
      if (sinceUsd > 0) options.onCost(sinceUsd);
      if (askAgain) ask();
    },
  };
}
