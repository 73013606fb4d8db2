import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { SLACK_APP_TOKEN, SLACK_BOT_TOKEN, startFakeSlack } from "../mocks/integrations/slack.js";
import { serveSimulatedApi } from "../mocks/serve.js";
import { until } from "./support/harness.js";
import { type ServeBin, startServeBin } from "./support/http.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";

// Processes of the published bin that are set for Slack; nobody is told anything there (NOTIFY is off for all of them).

/** Slack, and what starts a `serve` that asks there. */
async function openSlack() {
  const [slack, api] = [
    await startFakeSlack(),
    await serveSimulatedApi({ apiKey: "test-key", describe: true }),
  ];
  onTestFinished(async () => {
    await Promise.all([slack.close(), api.close()]);
  });
  const set = { SLACK_APP_TOKEN, SLACK_BOT_TOKEN, SLACK_URL: slack.url, SLACK_CHANNEL: "C0123" };
  const common = { ...set, SLACK_ANSWERERS: "U0ANN", BASE_URL: api.url, LOG_LEVEL: "debug" };
  return {
    slack,
    start: (more: Record<string, string> = {}) => startServeBin({ settings: { ...common, ...more } }),
  };
}

const hasIt = (server: ServeBin | undefined) => server?.stderr().includes("Answers are taken from Slack.");

it("a server asks in Slack, also where nobody is told of runs and no database is shared", async () => {
  const { slack, start } = await openSlack();
  const server = await start();
  await until(() => slack.connections() === 1 && hasIt(server) === true, "the connection");
});

const programs = await findPostgres();

describe.skipIf(!programs)("of servers that share a database", () => {
  let postgres: PostgresServer;
  beforeAll(async () => {
    postgres = await startPostgres(programs as string);
  }, 60_000);
  afterAll(() => postgres.dispose());

  it("one has the connection, and when it is killed the next one", async () => {
    const { slack, start } = await openSlack();
    const address = await postgres.createDatabase();
    const begin = () => start({ DATABASE: address });
    const servers = await Promise.all([begin(), begin()]);
    await until(() => slack.connections() === 1 && servers.some(hasIt), "the connection");
    const holder = servers.find(hasIt);
    holder?.child.kill("SIGKILL");
    await holder?.ended();
    expect([slack.accepted(), servers.filter(hasIt)]).toEqual([1, [holder]]);
    // As if the time had passed after which who says nothing is gone.
    await postgres.query("update holders set held_until = 0", new URL(address).pathname.slice(1));
    const others = [...servers.filter((one) => one !== holder), await begin()];
    await until(() => slack.connections() === 1 && others.some(hasIt), "the next connection");
    expect([slack.accepted(), others.filter(hasIt)]).toEqual([2, [expect.anything()]]);
  });
});
