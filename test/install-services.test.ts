import { readFileSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import { startFakeDiscordWebhook } from "../mocks/integrations/discord-webhook.js";
import { serveFakeLinear } from "../mocks/integrations/linear.js";
import { startFakeNtfy } from "../mocks/integrations/ntfy.js";
import { SLACK_BOT_TOKEN, startFakeSlack } from "../mocks/integrations/slack.js";
import { renderGuide, SERVICE_NAMES } from "../src/cli/install/services.js";
import { SLACK_MANIFEST } from "../src/cli/install/slack-manifest.js";
import { listEntries } from "../src/settings/entries.js";
import { runBin, toVariables } from "./support/bin.js";

const KEY = "lin_api_of_the_test";

async function openServices() {
  const linear = await serveFakeLinear({ key: KEY });
  const discord = await startFakeDiscordWebhook();
  onTestFinished(async () => {
    await linear.close();
    await discord.close();
  });
  return { linear, discord };
}

describe("`install` of a service", () => {
  it.each(SERVICE_NAMES)("says what to make for %s, and names settings that there are", (service) => {
    const text = renderGuide(service);
    const named = [...text.matchAll(/AUTOMAGIK_WORKFLOWS_([A-Z_]+)/g)].map(([, name]) => name);
    const settings = listEntries().map(({ variable }) => variable);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !settings.includes(name ?? ""))).toEqual([]);
  });

  it("has the manifest of the Slack app, with no more scopes than are used and no address of ours", async () => {
    const { code, stdout } = await runBin(["install", "slack"]);
    expect(code).toBe(0);
    const manifest = stdout.slice(stdout.indexOf("{"), stdout.lastIndexOf("}") + 1);
    expect(JSON.parse(manifest)).toEqual(SLACK_MANIFEST);
    expect(SLACK_MANIFEST.oauth_config.scopes).toEqual({ bot: ["chat:write"] });
    expect(manifest).not.toContain("http");
    const document = readFileSync(new URL("../docs/integrations.md", import.meta.url), "utf8");
    expect(document).toContain(`\n\`\`\`json\n${manifest}\n\`\`\`\n`);
  });

  it("asks the service once with what is set, and shows no secret", async () => {
    const { linear } = await openServices();
    const set = (key: string) => toVariables({ LINEAR_API_KEY: key, LINEAR_URL: linear.url, GITHUB: "off" });
    const good = await runBin(["install", "linear"], set(KEY));
    expect([good.code, good.stdout]).toEqual([
      0,
      expect.stringContaining("Works: Linear answers, as ann in Acme"),
    ]);
    expect(linear.operations).toEqual(["Viewer"]);
    const bad = await runBin(["install", "linear"], set("lin_api_that_was_revoked"));
    expect([bad.code, bad.stdout]).toEqual([1, expect.stringContaining("You need to authenticate")]);
    for (const { stdout, stderr } of [good, bad]) {
      expect(stdout + stderr).not.toContain(KEY);
      expect(stdout + stderr).not.toContain("lin_api_that_was_revoked");
    }
    expect(bad.stdout).toMatch(/operation\. Correct AUTOMAGIK_WORKFLOWS_LINEAR_API_KEY/);
    const unset = await runBin(["install", "linear"], toVariables({ GITHUB: "off" }));
    expect([unset.code, unset.stdout]).toEqual([
      0,
      expect.stringContaining("Nothing is set for it here yet."),
    ]);
  });
});

it("a setting that cannot be used is named; one of something else keeps nothing from being looked at", async () => {
  const { linear } = await openServices();
  const set = { LINEAR_API_KEY: KEY, LINEAR_URL: linear.url, GITHUB: "off" };
  const other = await runBin(
    ["install", "linear"],
    toVariables({ ...set, MAX_TURNS: "many", SLACK_CHANNEL: "#x" }),
  );
  expect([other.code, other.stdout]).toEqual([0, expect.stringContaining("Works: Linear answers")]);
  expect(other.stdout).toContain('Of something else: AUTOMAGIK_WORKFLOWS_MAX_TURNS: the value "many" ');
  expect(other.stdout).toContain("Of something else: AUTOMAGIK_WORKFLOWS_SLACK_CHANNEL: the value ");
  const own = await runBin(["install", "slack"], toVariables({ SLACK_CHANNEL: "#x", GITHUB: "off" }));
  expect(own.code).toBe(1);
  expect(own.stdout).toMatch(
    /To set up Slack:.*As it is set here: AUTOMAGIK_WORKFLOWS_SLACK_CHANNEL: the value /s,
  );
  expect(own.stdout).not.toContain("Nothing is set for it");
});

it("names what is missing for being asked, also where the service itself answers", async () => {
  const slack = await startFakeSlack();
  onTestFinished(() => slack.close());
  const set = { SLACK_BOT_TOKEN, SLACK_URL: slack.url, SLACK_CHANNEL: "C0123", GITHUB: "off" };
  const { code, stdout } = await runBin(["install", "slack"], toVariables(set));
  expect([code, stdout]).toEqual([1, expect.stringContaining("Works: Slack's bot answers")]);
  expect(stdout).toMatch(
    /nobody is asked there.*set AUTOMAGIK_WORKFLOWS_SLACK_APP_TOKEN, AUTOMAGIK_WORKFLOWS_SLACK_ANSWERERS;/,
  );
});

it("names the token where ntfy refuses the topic to who asks without one", async () => {
  const ntfy = await startFakeNtfy("tk_wanted");
  onTestFinished(() => ntfy.close());
  const set = { NTFY_TOPIC: `${ntfy.url}/wf-0a1b`, GITHUB: "off" };
  const refused = await runBin(["install", "ntfy"], toVariables(set));
  expect(refused.stdout).toContain("(HTTP 403). Set or correct AUTOMAGIK_WORKFLOWS_NTFY_TOKEN ");
  const taken = await runBin(["install", "ntfy"], toVariables({ ...set, NTFY_TOKEN: "tk_wanted" }));
  expect([taken.code, taken.stdout]).toEqual([0, expect.stringContaining("Works: ntfy's topic answers")]);
});

it("`doctor` proves each service that is set by one read, says where none is possible, and sends nobody anything", async () => {
  const { linear, discord } = await openServices();
  const { stdout } = await runBin(
    ["doctor", "--json"],
    toVariables({
      LINEAR_API_KEY: KEY,
      LINEAR_URL: linear.url,
      DISCORD_WEBHOOK: `${discord.url}/api/webhooks/1/wrong-token`,
      SLACK_WEBHOOK: "https://hooks.slack.com/services/T0/B0/secret-part",
      WEBHOOK_URL: "https://hooks.example/secret-path",
      GITHUB: "off",
    }),
  );
  const found = (
    JSON.parse(stdout) as { check: string; status: string; message: string; todo?: string }[]
  ).filter(({ check }) => ["linear", "discord", "slack", "webhook", "github"].includes(check));
  expect(found).toMatchObject([
    { check: "linear", status: "ok", message: "Linear answers, as ann in Acme" },
    { check: "slack", status: "skipped" },
    { check: "discord", status: "warning", todo: expect.stringContaining("install discord") },
    { check: "webhook", status: "skipped" },
  ]);
  expect(linear.operations).toEqual(["Viewer"]);
  expect(discord.posted).toEqual([]);
  for (const secret of [KEY, "wrong-token", "secret-part", "secret-path"])
    expect(stdout).not.toContain(secret);
});
