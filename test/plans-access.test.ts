import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { createServices } from "../src/server/services.js";
import { readSettings } from "../src/settings/settings.js";
import { DATABASE_FILE } from "../src/shared/state-folder.js";
import { temporaryFolder, toVariables } from "./support/bin.js";
import { silentLog } from "./support/harness.js";
import { planOf } from "./support/plan-place.js";

// The plans of a server whose database is taken away or damaged under it.

async function openPlans() {
  const folder = temporaryFolder();
  const api = await serveSimulatedApi({ apiKey: "test-key", paceMs: 20 });
  const settings = readSettings(toVariables({ BASE_URL: api.url, API_KEY: "test-key" }));
  const plans = { folder, upstream: "api", findDriver: async () => {} };
  const host = createServices({ settings, log: silentLog, plans });
  onTestFinished(async () => {
    await host.close();
    await api.close();
  });
  const { plans: access } = host.services;
  const plan = planOf({ name: "one", steps: [{ id: "a", run: "implement", task: "Begin" }] });
  return {
    database: join(folder, DATABASE_FILE),
    begin: async () => (await access.open()).begin({ plan, inputs: {}, name: "one", place: {} }),
    names: async () => (await (await access.open()).list()).map(({ name }) => name),
  };
}

it("begins anew with the next call when the database was removed", async () => {
  const { database, begin, names } = await openPlans();
  await begin();
  expect(await names()).toEqual(["one"]);
  rmSync(database);
  expect(await names()).toEqual([]);
  const { state } = await begin();
  expect(state.plan.name).toBe("one");
  expect(await names()).toEqual(["one"]);
});

it("begins anew with the next call when another file was put in its place", async () => {
  const { database, begin, names } = await openPlans();
  await begin();
  rmSync(database);
  writeFileSync(database, "This is no database.", { mode: 0o600 });
  expect(await names()).toEqual([]);
  await begin();
  expect(await names()).toEqual(["one"]);
});
