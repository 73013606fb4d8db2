import { expect, test } from "vitest";
import { createDatabaseCheck } from "../src/store/database-check.js";
import { createHandClock } from "./support/hand-clock.js";

const AWAY = "The PostgreSQL server cannot be reached.";

test("whether the database can be reached is asked once a second, however often whoever balances load asks", async () => {
  const clock = createHandClock();
  let asked = 0;
  let isAway = false;
  const check = createDatabaseCheck(async () => {
    asked++;
    if (isAway) throw new Error(AWAY);
  }, clock);
  expect(await Promise.all([check(), check(), check()])).toEqual([undefined, undefined, undefined]);
  isAway = true;
  clock.advance(999);
  expect(await check()).toBeUndefined();
  expect(asked).toBe(1);
  clock.advance(1);
  expect(await check()).toEqual({ reason: AWAY, brief: "The database is not available." });
  isAway = false;
  clock.advance(1_000);
  expect(await check()).toBeUndefined();
  expect(asked).toBe(3);
});

test("one that says nothing is not waited for longer than two seconds", async () => {
  const clock = createHandClock();
  const check = createDatabaseCheck(() => new Promise(() => {}), clock);
  const answer = check();
  clock.advance(2_000);
  expect(await answer).toMatchObject({
    reason: "The PostgreSQL server does not answer within 2 s.",
  });
});

test("without such a database nothing is asked", async () => {
  expect(await createDatabaseCheck(undefined, createHandClock())()).toBeUndefined();
});
