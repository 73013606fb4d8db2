import * as z from "zod";
import { systemClock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import { readText } from "../../shared/http/body-limits.js";
import { createTransport } from "../../shared/http/fetch.js";

/** What an engine answers at `GET /health`, without a key. */
export interface EngineHealth {
  version: string;
  /** Runs that are waiting or going on; undefined when it does not tell. */
  activeRuns: number | undefined;
  clients: number | undefined;
}

/** Asks the engine at this address; undefined when it does not answer as one. Never throws. */
export type ProbeHealth = (url: string) => Promise<EngineHealth | undefined>;

/** An engine with all cores at work answers within some 100 ms. */
const TIMEOUT_MS = 3_000;
const LIMIT_BYTES = 64 * 1024;

const healthSchema = z.object({
  status: z.string(),
  version: z.string(),
  active_runs: z.number().optional().catch(undefined),
  clients: z.number().optional().catch(undefined),
});

/** @param timeoutMs how long one answer may take */
export function createHealthProbe(timeoutMs = TIMEOUT_MS): ProbeHealth {
  const { read } = createTransport();
  return async (url) => {
    const ask = async (signal: AbortSignal) => {
      const { status, body } = await read(`${url}/health`, { method: "GET", headers: {}, signal });
      const text = await readText(body, LIMIT_BYTES);
      if (status !== 200 || text === undefined) return undefined;
      const { version, active_runs, clients } = healthSchema.parse(JSON.parse(text));
      return { version, activeRuns: active_runs, clients };
    };
    return withDeadline(systemClock, timeoutMs, ask).catch(() => undefined);
  };
}
