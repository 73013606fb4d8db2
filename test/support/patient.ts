import { spawn } from "node:child_process";
import { once } from "node:events";
import { vi } from "vitest";
import type { Body, ContractClient } from "../contract/upstream.js";

/** What a start of Node takes at most on a quiet machine, in ms. */
const QUIET_START_MS = 100;

/**
 * So many ms on a quiet machine, and on a busy one as many times longer as Node takes longer to start there now: a bound
 * for what is to be quick, to be asked for right after it.
 */
export async function asLongAs(ms: number): Promise<number> {
  const since = performance.now();
  await once(spawn(process.execPath, ["-e", "0"], { stdio: "ignore" }), "exit");
  return ms * Math.max(1, (performance.now() - since) / QUIET_START_MS);
}

/** Waits until a status of the run fits, also where git has a busy machine to share; gives it. */
export function statusThat(
  client: ContractClient,
  runId: string,
  fits: (status: Body) => boolean,
): Promise<Body> {
  return vi.waitFor(
    async () => {
      const { body } = await client.get(`/run/${runId}/status`);
      if (!fits(body)) throw new Error(`The run does not fit: ${JSON.stringify(body)}`);
      return body;
    },
    { timeout: 90_000, interval: 50 },
  );
}

/** The same for its end. */
export function endOf(client: ContractClient, runId: string): Promise<Body> {
  return statusThat(client, runId, (status) => status.completed_at !== null);
}
