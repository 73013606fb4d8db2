import { type FakeService, startFakeService, type Taken } from "./fake-service.js";

/** A receiver of Standard Webhooks that keeps each request as it came; who holds them against the signature is the test. */
export async function startFakeWebhook(): Promise<FakeService & { got: Taken[] }> {
  const got: Taken[] = [];
  const service = await startFakeService((taken) => {
    got.push(taken);
    return { status: 204 };
  });
  return { ...service, got };
}
