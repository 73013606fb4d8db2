import { expect, test } from "vitest";
import { runOutboxSequence } from "./faults/outbox/sequence.js";

test("whatever is lost on the way, each event is told once where there is no key, and what is not known is said", async () => {
  for (let number = 1; number <= 12; number++)
    expect((await runOutboxSequence(1, number)).violations, `sequence ${number}`).toEqual([]);
});

test("a product that tells again what may have arrived, without a key, is noticed", async () => {
  const found: string[] = [];
  for (let number = 1; number <= 20 && found.length === 0; number++) {
    const { violations } = await runOutboxSequence(1, number, (target) => ({
      ...target,
      isRepeatable: () => true,
    }));
    found.push(...violations.filter((one) => one.includes("twice without a key")));
  }
  expect(found.length).toBeGreaterThan(0);
});
