import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { type OutboxSabotage, runOutboxSequence } from "./faults/outbox/sequence.js";

test("whatever is lost on the way, each event is told once where there is no key, and what is not known is said", async () => {
  for (let number = 1; number <= 12; number++)
    expect((await runOutboxSequence(1, number)).violations, `sequence ${number}`).toEqual([]);
});

test("a product that tells again what may have arrived, without a key, is noticed", async () => {
  const found: string[] = [];
  for (let number = 1; number <= 20 && found.length === 0; number++) {
    const { violations } = await runOutboxSequence(1, number, {
      target: (target) => ({ ...target, isRepeatable: () => true }),
    });
    found.push(...violations.filter((one) => one.includes("twice without a key")));
  }
  expect(found.length).toBeGreaterThan(0);
});

test.each<[string, OutboxSabotage, string]>([
  [
    "writes a comment at GitHub without looking for the one that is there",
    { github: (github) => ({ ...github, findComment: async () => undefined }) },
    "to pull_request is",
  ],
  [
    "gives a comment at Linear another id each time",
    {
      linear: (client) => ({
        ...client,
        createComment: (comment, signal) => client.createComment({ ...comment, id: randomUUID() }, signal),
      }),
    },
    "to linear is",
  ],
])("a product that %s is noticed", async (_what, sabotage, where) => {
  const found: string[] = [];
  for (let number = 1; number <= 40 && found.length === 0; number++) {
    const { violations } = await runOutboxSequence(1, number, sabotage);
    found.push(...violations.filter((one) => one.includes(where)));
  }
  expect(found.length).toBeGreaterThan(0);
});
