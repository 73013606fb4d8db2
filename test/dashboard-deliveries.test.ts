import { describe, expect, onTestFinished, test } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { readDeliveries } from "../src/dashboard/deliveries.js";
import type { DeliveriesView } from "../src/dashboard/views/deliveries.js";
import { createOutboxReader } from "../src/integrations/outbox-reader.js";
import { temporaryFolder } from "./support/bin.js";
import { findChromium, keepScreenshot } from "./support/browser.js";
import { inviteByToken, openDashboard } from "./support/dashboard.js";
import { startServeBin } from "./support/http.js";
import { ENGINE_KEY } from "./support/local-engine.js";
import { type NotedDelivery, noteDeliveries } from "./support/noted-deliveries.js";
import { findPostgres, startPostgres } from "./support/postgres-server.js";
import { openStandIn } from "./support/stand-in-page.js";
import { useBrowser } from "./support/use-browser.js";

// What the dashboard shows of what was told elsewhere.

const programs = await findPostgres();
const chromium = await findChromium();
const NOON = Date.parse("2026-11-25T12:00:00Z");
const run = { run_id: "run-1" };
const NOTED: NotedDelivery[] = [
  { target: "slack-0a1b2c3d", state: "sent", payload: { title: "login: finished", run } },
  {
    target: "slack-questions",
    state: "unknown",
    note: "Slack gave no answer",
    kind: "question",
    payload: { title: "May it go on?", code: "a-code-of-use-once" },
  },
  {
    target: "linear",
    state: "failed",
    note: "Linear refused it (HTTP 401)",
    kind: "comment",
    payload: { kind: "comment", issue: { identifier: "ENG-123", id: "x" }, body: "words of it" },
  },
  {
    target: "pull_request/worker-4711",
    state: "failed",
    kind: "pull_request",
    payload: { runId: "run-2" },
    note: "unable to push to 'https://me:secret-token@git.example/x.git'",
  },
  { target: "desktop", state: "pending", payload: { title: "waits" } },
  { target: "desktop", state: "dropped", payload: { title: "is no news" } },
];
/** The events came one after the other. */
const inOrder = (noted: NotedDelivery[]) => noted.map((one, index) => ({ ...one, at: NOON + index * 1_000 }));

describe("what was told elsewhere", () => {
  const lookAt = async (noted: NotedDelivery[]): Promise<DeliveriesView> => {
    const folder = temporaryFolder();
    await noteDeliveries({ folder }, inOrder(noted));
    return readDeliveries(createOutboxReader({ folder }));
  };

  test("is counted by service, and what has not arrived or may not have is listed with why, the newest first", async () => {
    const told = await lookAt(NOTED);
    const none = { sent: 0, unknown: 0, failed: 0, waiting: 0 };
    expect(told).toEqual({
      services: [
        { ...none, service: "desktop", waiting: 1 },
        { ...none, service: "Linear", failed: 1 },
        { ...none, service: "pull requests", failed: 1 },
        { ...none, service: "Slack", sent: 1, unknown: 1 },
      ],
      rows: [
        {
          ...{
            service: "pull requests",
            state: "failed",
            what: "A pull request",
            at: NOON + 3_000,
            runId: "run-2",
          },
          why: "unable to push to '<address>'",
        },
        {
          ...{ service: "Linear", state: "failed", what: "The comment at ENG-123", at: NOON + 2_000 },
          why: "Linear refused it (HTTP 401)",
        },
        {
          ...{ service: "Slack", state: "unknown", what: "May it go on?", at: NOON + 1_000 },
          why: "Slack gave no answer",
        },
      ],
      left: 0,
    });
    expect(JSON.stringify(told)).not.toMatch(/secret-token|4711|0a1b2c3d|of-use-once|words of it|event-/);
  });

  test("is bounded, and others' words in it are cleaned", async () => {
    const long = { title: `\u001b[31mtold\u202e\n${"x".repeat(5_000)}` };
    const noted = Array.from(
      { length: 60 },
      (): NotedDelivery => ({
        ...{ target: "ntfy", state: "failed", payload: long, note: "y".repeat(5_000) },
      }),
    );
    const { rows, left } = await lookAt([...noted, { target: "later", state: "unknown", payload: "?" }]);
    expect([rows.length, left]).toEqual([50, 11]);
    expect(rows[0]).toEqual({
      service: "later",
      state: "unknown",
      what: "Something",
      why: "no answer came",
      at: NOON + 60_000,
    });
    expect(rows[1]?.what).toMatch(/^told x{100,195}…$/);
    expect(rows[1]?.why?.length).toBe(300);
  });

  test("is nothing where nothing was ever told, and makes no database", async () => {
    const none = { services: [], rows: [], left: 0 };
    expect(await readDeliveries(createOutboxReader({ folder: temporaryFolder() }))).toEqual(none);
    expect(await readDeliveries(undefined)).toEqual(none);
  });
});

describe.skipIf(!programs)("the dashboard of servers that share a database", () => {
  const TOKENS = { TOKENS: "anna=anna-0123456789abcdef,ben=ben-0123456789abcdef" };

  async function openWith(settings: Record<string, string>): Promise<DeliveriesView> {
    const postgres = await startPostgres(programs as string);
    onTestFinished(() => postgres.dispose());
    const address = await postgres.createDatabase();
    const api = await serveSimulatedApi();
    onTestFinished(() => api.close());
    await noteDeliveries({ folder: temporaryFolder(), address }, inOrder(NOTED));
    const served = await startServeBin({
      settings: { API_KEY: ENGINE_KEY, BASE_URL: api.url, DATABASE: address, ...TOKENS, ...settings },
    });
    onTestFinished(() => void served.child.kill("SIGKILL"));
    const header = { authorization: "Bearer ben-0123456789abcdef" };
    return (await openDashboard(await inviteByToken(served.url, header))).get("deliveries");
  }

  test("shows what they have told", async () => {
    const { services, rows } = await openWith({});
    expect(services).toContainEqual({ service: "Slack", sent: 1, unknown: 1, failed: 0, waiting: 0 });
    expect(rows.map(({ what }) => what)).toEqual([
      "A pull request",
      "The comment at ENG-123",
      "May it go on?",
    ]);
  }, 60_000);

  test("shows nothing of it to callers that are kept apart", async () => {
    expect(await openWith({ HTTP_CALLERS: "apart" })).toEqual({ services: [], rows: [], left: 0 });
  }, 60_000);
});

describe.skipIf(!chromium)("the page of figures, in a browser", () => {
  const browser = useBrowser(chromium);

  test("ends with what was told elsewhere, and leads to the run", async () => {
    const markup = "<img src=x onerror=alert(1)>";
    const { page } = await openStandIn(
      browser.get(),
      (told) => {
        told.deliveries = {
          services: [{ service: "Slack", sent: 12, unknown: 1, failed: 1, waiting: 0 }],
          rows: [
            {
              service: "Slack",
              state: "unknown",
              what: "csv-export: finished",
              why: "Slack gave no answer",
              at: Date.now(),
              runId: "run-ended",
            },
            {
              service: "Slack",
              state: "failed",
              what: markup,
              why: "Slack refused it (HTTP 404)",
              at: Date.now() - 60_000,
            },
          ],
          left: 3,
        };
      },
      {},
      "#/figures",
    );
    const section = page.getByRole("region", { name: "Told elsewhere" });
    await section.getByText("12 sent, 1 unknown, 1 failed").waitFor();
    const rows = section.getByRole("list", { name: "Unknown and failed" }).getByRole("listitem");
    expect(await rows.nth(0).innerText()).toMatch(/unknown.*csv-export: finished.*Slack gave no answer/s);
    expect(await rows.nth(1).innerText()).toContain(markup);
    await section.getByText("3 older ones not shown.").waitFor();
    await section.getByText("3 older").scrollIntoViewIfNeeded();
    await keepScreenshot(page, "deliveries");
    await section.getByRole("link", { name: "csv-export: finished" }).click();
    await page.getByRole("heading", { level: 1 }).waitFor();
    expect(page.url()).toContain("#/runs/run-ended");
  });

  test("has no such part where nothing was told", async () => {
    const { page } = await openStandIn(browser.get(), undefined, {}, "#/figures");
    await page.getByRole("heading", { name: "All figures" }).waitFor();
    const isAnswered = `performance.getEntriesByType("resource").some(
      ({ name, responseEnd }) => name.endsWith("api/deliveries") && responseEnd > 0)`;
    await page.waitForFunction(isAnswered);
    expect(await page.getByText("Told elsewhere").count()).toBe(0);
  });
});
