import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, openCluster } from "./faults/cluster/cluster.js";
import { driveClusterSequence } from "./faults/cluster/drive.js";
import { CLUSTER_SABOTAGES, makeDoublingAgent, PLAN_SABOTAGE } from "./faults/cluster/sabotage.js";
import { engineFolder } from "./support/local-engine.js";
import { findPostgres } from "./support/postgres-server.js";

const programs = await findPostgres();

describe.skipIf(!programs)("several engines on one database under seeded faults", () => {
  let cluster: Cluster;
  let folder: string;
  let remove = () => {};

  beforeAll(async () => {
    ({ folder, remove } = engineFolder());
    const agent = makeDoublingAgent(folder);
    const parts = { programs: programs as string, workers: 3, servers: 1, namespaces: false, net: 0, agent };
    cluster = await openCluster(parts);
  });
  afterAll(async () => {
    await cluster?.dispose();
    remove();
  });

  it("break no rule", async () => {
    const reports = [];
    for (const number of [1, 2])
      reports.push(await driveClusterSequence(1, number, cluster, { brief: true }));
    expect(reports.flatMap(({ violations }) => violations)).toEqual([]);
    // Or there was nothing to hold against the rules.
    for (const { runs, agents, events, faults } of reports) {
      expect(Math.min(runs, agents)).toBeGreaterThan(1);
      expect(events).toBeGreaterThan(10);
      expect(Object.keys(faults)).not.toEqual([]);
    }
  });

  it.each<[name: string, complaint: RegExp]>([
    ["forgets the keys of starts", /has made 2 runs with 2 POSTs of one key/],
    [
      "says that a start which it carries out was refused",
      /was refused with "nothing was started", and is run/,
    ],
    ["loses a message", /the message .+ was acknowledged, and run .+ completed without it/],
    ["loses an answer", /the answer .+ was acknowledged, and the question's is undefined/],
    ["loses a kill", /the kill of run .+ was acknowledged, and it is completed/],
    ["says of a kill that nothing was done", /every kill of run .+ was refused with "nothing was done"/],
    ["leaves an event out", /has not told event \d+ \(turn of run/],
    ["tells an event twice", /tells event (\d+) after \1/],
    ["tells something else at another worker", /machine-2 tells another status of run/],
    ["shows the password of the database", /has logged the database's password/],
    ["starts two agents for a run", /had 2 agents, on machine-/],
  ])("are seen to break one where one of them %s", async (name, complaint) => {
    const sabotage = CLUSTER_SABOTAGES[name];
    if (!sabotage) throw new Error(`There is no sabotage that ${name}.`);
    const { steps } = sabotage;
    if (sabotage.twice) writeFileSync(join(folder, "twice"), "");
    const options = { brief: true, steps, sabotage, patienceMs: 1_000 };
    const { violations } = await driveClusterSequence(1, 0, cluster, options);
    if (sabotage.twice) rmSync(join(folder, "twice"));
    expect(violations.filter((what) => complaint.test(what))).not.toEqual([]);
  });

  it("are seen to break each rule of plans", async () => {
    const { steps } = PLAN_SABOTAGE;
    const options = { brief: true, steps, sabotage: PLAN_SABOTAGE, patienceMs: 1_000 };
    const { violations } = await driveClusterSequence(1, 0, cluster, options);
    for (const complaint of [
      /the plan .+ was acknowledged as .+, which is not there/,
      /one call has made 2 plans/,
      /the plan .+ was refused with "nothing was started", and is there/,
      /run .+ was begun for the plan .+, which does not know it/,
      /the plan .+ has 2 runs, and wanted 1/,
      /"approve" was acknowledged for plan .+, and it was decided stop/,
      /plan .+ was stopped at its gate, and has begun run/,
    ])
      expect(violations).toContainEqual(expect.stringMatching(complaint));
  });

  it("can be broken in each of these ways", () => {
    expect(Object.keys(CLUSTER_SABOTAGES)).toHaveLength(11);
  });
});
