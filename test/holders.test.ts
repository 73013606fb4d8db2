import { beforeEach, expect, it, onTestFinished } from "vitest";
import { hold, letGo, RENEW_MS } from "../src/integrations/holders.js";
import { systemClock } from "../src/shared/clock.js";
import { type Database, transaction } from "../src/store/database.js";
import { openStore } from "../src/store/open-store.js";
import { temporaryFolder } from "./support/bin.js";

// Of several processes on a database one holds the connection to a service.

let db: Database;
beforeEach(async () => {
  db = await openStore({ folder: temporaryFolder(), clock: systemClock });
  onTestFinished(() => db.destroy());
});

const SLACK = "slack 1f0e2d";
const holds = (holder: string, now: number, name = SLACK) =>
  transaction(db, (trx) => hold(trx, name, holder, now));

it("who has it keeps it for as long as they say so, and another connection is another matter", async () => {
  expect(await holds("one", 0)).toBe(true);
  for (let now = RENEW_MS; now < 10 * RENEW_MS; now += RENEW_MS)
    expect([await holds("two", now), await holds("one", now)]).toEqual([false, true]);
  expect(await holds("two", 0, "discord 1f0e2d")).toBe(true);
});

it("who was killed holds it for three times of it, then the next one has it, and who comes back has not", async () => {
  await holds("one", 0);
  expect(await holds("two", 3 * RENEW_MS - 1)).toBe(false);
  expect(await holds("two", 3 * RENEW_MS)).toBe(true);
  expect(await holds("one", 3 * RENEW_MS + 1)).toBe(false);
});

it("who ends lets go of all that they have at once", async () => {
  await holds("one", 0);
  await transaction(db, (trx) => letGo(trx, "two"));
  expect(await holds("two", 1)).toBe(false);
  await transaction(db, (trx) => letGo(trx, "one"));
  expect(await holds("two", 1)).toBe(true);
});

it("a clock that was set back keeps it for nobody", async () => {
  await holds("one", 1_000_000_000);
  expect(await holds("two", 0)).toBe(true);
});
