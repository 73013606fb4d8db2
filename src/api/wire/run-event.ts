import * as z from "zod";
import { parseBoundedJson } from "../../shared/bounded-json.js";
import type { LoggedEvent, Run } from "../types.js";
import { anyId, parseTime, record, text } from "./fields.js";
import { toWhose } from "./question.js";
import { statusToRun, statusWire } from "./run.js";

const openWire = z.looseObject({ gap: z.boolean().nullish().catch(undefined) });
const runWire = z.looseObject({ run_id: anyId, run: statusWire });

/** What one event of the stream tells; undefined for what is not understood. */
export type RunEvent = { kind: "open"; gap: boolean } | { kind: "run"; run: Run };

/** Reads one server-sent event: `open` when the stream stands, `run` with the run's status as it is now. */
export function parseRunEvent(event: string | undefined, data: string): RunEvent | undefined {
  let body: unknown;
  try {
    body = parseBoundedJson(data);
  } catch {
    return undefined;
  }
  if (event === "open") {
    const open = openWire.safeParse(body);
    return open.success ? { kind: "open", gap: open.data.gap === true } : undefined;
  }
  const run = event === "run" ? runWire.safeParse(body) : undefined;
  return run?.success ? { kind: "run", run: statusToRun(run.data.run_id, run.data.run) } : undefined;
}

const loggedWire = z.looseObject({ type: z.string(), at: text, data: record });

/** Reads one event of a run as something for its log; undefined for what is not understood. */
export function parseLoggedEvent(body: unknown): LoggedEvent | undefined {
  const parsed = loggedWire.safeParse(body);
  if (!parsed.success) return undefined;
  const { type, at, data } = parsed.data;
  const whose = toWhose(data?.answerer);
  return { type, at: parseTime(at), data: data ?? {}, ...(whose ? { whose } : {}) };
}
