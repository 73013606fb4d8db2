import { vi } from "vitest";
import type { Body, ContractClient } from "../contract/upstream.js";

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
