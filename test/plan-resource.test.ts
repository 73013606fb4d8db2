import { readdirSync } from "node:fs";
import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { expect, test } from "vitest";
import { temporaryFolder } from "./support/bin.js";
import { serveBranchingApi } from "./support/branching-api.js";
import { type DrivenPlans, decide, isAtGate, openDrivenPlans, scriptOf } from "./support/driven-plans.js";
import { connectInMemory, until } from "./support/harness.js";
import { FEATURE } from "./support/plan-place.js";

/** A window onto plans that another process carries out, and that process. */
async function openWindow(): Promise<{ client: Client; plans: DrivenPlans; connect: () => Promise<Client> }> {
  const api = await serveBranchingApi({ script: scriptOf });
  const folder = temporaryFolder();
  const plans = await openDrivenPlans(api, folder);
  plans.runner.start();
  const { client, connect } = await connectInMemory({
    settings: { BASE_URL: api.url },
    plans: { folder, upstream: "the API", findDriver: async () => {} },
  });
  return { client, plans, connect: async () => (await connect()).client };
}

async function read(client: Client, uri: string): Promise<{ json: Record<string, unknown>; words: string }> {
  const { contents } = await client.readResource({ uri });
  const [json, words] = contents.map((one) => ("text" in one ? String(one.text) : ""));
  return { json: JSON.parse(json ?? ""), words: words ?? "" };
}

function updatesOf(client: Client): string[] {
  const uris: string[] = [];
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    uris.push(params.uri);
  });
  return uris;
}

test("rule 9: a plan's resource tells where it stands and what needs the person, as JSON and in words", async () => {
  const { client, plans } = await openWindow();
  const planId = await plans.begin({ ...FEATURE, name: "a feature, 50% done" });
  await plans.until(planId, isAtGate);
  for (const uri of [`plan://${planId}`, `plan://${encodeURIComponent("a feature, 50% done")}`]) {
    const { json, words } = await read(client, uri);
    expect(json).toMatchObject({
      plan_id: planId,
      name: "a feature, 50% done",
      status: "waiting",
      waiting_for: [{ step: "ok", kind: "gate", what: "Build this?" }],
      steps: [
        { id: "design", status: "succeeded", attempt: 1 },
        { id: "ok", kind: "gate", status: "waiting" },
        { id: "build", status: "pending" },
        { id: "join", status: "pending" },
        { id: "review", status: "pending" },
      ],
      runs: { started: 1, limit: 20 },
      cost_usd: 0.5,
    });
    expect(words).toMatch(/^Needs a decision since .*, gate ok: Build this\?/);
    expect(words).toContain("design (run): succeeded");
  }
});

test("whoever subscribes to a plan is told when it changes, and not any more when they leave", async () => {
  const { client, plans, connect } = await openWindow();
  const other = await connect();
  const [updates, others] = [updatesOf(client), updatesOf(other)];
  const planId = await plans.begin(FEATURE);
  const uri = `plan://${planId}`;
  const state = await plans.until(planId, isAtGate);
  await client.subscribeResource({ uri });
  await other.subscribeResource({ uri });
  await until(() => updates.includes(uri) && others.includes(uri), "the first look");
  await client.unsubscribeResource({ uri });
  const [before, othersBefore] = [updates.length, others.length];
  await plans.runner.tell(planId, decide(state, "stop"));
  await until(() => others.length > othersBefore, "the decision");
  expect((await read(client, uri)).json.status).toBe("killed");
  expect(updates).toHaveLength(before);
});

test("a plan that is not there yet is seen to begin", async () => {
  const { client, plans } = await openWindow();
  const updates = updatesOf(client);
  await client.subscribeResource({ uri: "plan://later" });
  await plans.begin({ ...FEATURE, name: "later" });
  await until(() => updates.includes("plan://later"), "the plan to begin", 20_000);
});

test("names and ids of plans are completed, names first", async () => {
  const { client, plans } = await openWindow();
  const ids = [
    await plans.begin({ ...FEATURE, name: "login" }),
    await plans.begin({ ...FEATURE, name: "billing" }),
  ];
  const complete = async (value: string) => {
    const ref = { type: "ref/resource" as const, uri: "plan://{plan_id}" };
    return (await client.complete({ ref, argument: { name: "plan_id", value } })).completion.values;
  };
  const all = await complete("");
  expect(all.slice(0, 2).sort()).toEqual(["billing", "login"]);
  expect(all.slice(2).sort()).toEqual([...ids].sort());
  expect(await complete("log")).toEqual(["login"]);
});

test("a plan that is not there is said not to be there, and no database is made for the question", async () => {
  const folder = temporaryFolder();
  const { client } = await connectInMemory({ plans: { folder, upstream: "the API" } });
  for (const name of ["login", "a%2Fb", "a/b"]) {
    const error = await client.readResource({ uri: `plan://${name}` }).catch((thrown: Error) => thrown);
    expect(String(error)).toMatch(/no (plan|resource)/i);
  }
  expect(readdirSync(folder)).toEqual([]);
});
