import { describe, expect, it, onTestFinished } from "vitest";
import { startFakeDiscordWebhook } from "../mocks/integrations/discord-webhook.js";
import type { FakeService } from "../mocks/integrations/fake-service.js";
import { startFakeNtfy } from "../mocks/integrations/ntfy.js";
import { startFakeSlackWebhook } from "../mocks/integrations/slack-webhook.js";
import { startFakeWebhook } from "../mocks/integrations/webhook.js";
import { readCommandLine } from "../src/cli/command-line.js";
import { checkDeliveries } from "../src/cli/doctor/check-deliveries.js";
import { readNotify } from "../src/settings/notify.js";
import { readSettings } from "../src/settings/settings.js";
import { systemClock } from "../src/shared/clock.js";
import { toVariables } from "./support/bin.js";
import { storedDeliveries } from "./support/notices.js";
import { tellBy } from "./support/telling.js";

async function begin<Service extends FakeService>(starting: Promise<Service>): Promise<Service> {
  const service = await starting;
  onTestFinished(() => service.close());
  return service;
}

const SECRET = `whsec_${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`;
const HOSTILE = "<!channel> <@U1> *b* _i_ `c` @everyone [x](https://evil.example) & <https://evil.example|x>";

describe("a notification by a service", () => {
  it("is one message with what to do next and the link, whichever service it is", async () => {
    const slack = await begin(startFakeSlackWebhook());
    const discord = await begin(startFakeDiscordWebhook());
    const ntfy = await begin(startFakeNtfy());
    const webhook = await begin(startFakeWebhook());
    const telling = tellBy({
      NOTIFY: "slack, discord ntfy,webhook",
      SLACK_WEBHOOK: slack.webhook,
      DISCORD_WEBHOOK_COMMAND: `echo ${discord.webhook}`,
      NTFY_TOPIC: `${ntfy.url}/my-topic`,
      WEBHOOK_URL: `${webhook.url}/hook`,
      WEBHOOK_SECRET: SECRET,
      DASHBOARD_URL: "https://mcp.example.org/dashboard/",
    });
    telling.end("jwt-login");
    await telling.untilState("jwt-login", "sent");
    await telling.notifier.close();
    const body = "12 turns. To see the result, ask for the status of jwt-login in a chat window.";
    const link = "https://mcp.example.org/dashboard/#/runs/jwt-login";
    expect(slack.posted).toEqual([
      {
        text: `*jwt-login: finished*\n${body}\n<${link}|Open the dashboard>`,
        unfurl_links: false,
        unfurl_media: false,
      },
    ]);
    expect(discord.posted.map(({ content }) => content)).toEqual([
      `**jwt\\-login\\: finished**\n${body.replace("jwt-", "jwt\\-")}\n<${link}>`,
    ]);
    expect(ntfy.messages).toEqual([
      expect.objectContaining({
        topic: "my-topic",
        title: "jwt-login: finished",
        message: body,
        click: link,
      }),
    ]);
    expect(webhook.got.map(({ body }) => JSON.parse(body))).toEqual([
      {
        type: "automagik_workflows.finished",
        timestamp: "2026-11-25T12:00:00.000Z",
        data: expect.objectContaining({ id: "jwt-login/ended", link }),
      },
    ]);
    expect(
      storedDeliveries(telling.folder)
        .map(({ target, state }) => `${target} ${state}`)
        .sort(),
    ).toEqual(["discord sent", "ntfy sent", "slack sent", "webhook sent"]);
    // Neither what is stored nor what is logged has anything of an address or a key.
    const kept = JSON.stringify(storedDeliveries(telling.folder)) + telling.lines();
    expect(kept).not.toMatch(/secret|127\.0\.0\.1|whsec/);
  });

  it("has nothing in it that the service would take for a mention, a link or markup of its own", async () => {
    const slack = await begin(startFakeSlackWebhook());
    const discord = await begin(startFakeDiscordWebhook());
    const telling = tellBy({ NOTIFY: `slack+${slack.webhook},discord+${discord.webhook}` });
    telling.end("r", HOSTILE);
    await telling.untilState("r", "sent");
    await telling.notifier.close();
    expect(slack.posted[0]?.text).toContain("&lt;!channel&gt; &lt;@U1&gt;");
    expect(slack.posted[0]?.text).not.toMatch(/<[!@#h]/);
    expect(discord.posted[0]?.content).toContain("\\<\\!channel\\>".replace("\\!", "!"));
    expect(discord.posted[0]?.content).not.toMatch(/(?<!\\)[*`[<](?!\*)(?!\/)[!@b`x]/);
    expect(discord.posted[0]?.allowed_mentions).toEqual({ parse: [] });
  });

  it("waits as long as the service asks, and is told once then", async () => {
    const discord = await begin(startFakeDiscordWebhook());
    discord.faults.push({ kind: "limited", afterS: 40 }, { kind: "failed", status: 503 });
    const telling = tellBy({ NOTIFY: "discord", DISCORD_WEBHOOK: discord.webhook });
    const begun = telling.clock.now();
    telling.end("jwt-login");
    expect(await telling.untilState("jwt-login", "sent")).toMatchObject({ tries: 3 });
    expect(telling.clock.now() - begun).toBeGreaterThanOrEqual(50_000);
    expect(discord.posted).toHaveLength(1);
  });

  const WITHOUT_KEY: [string, () => Promise<FakeService & { webhook: string; posted: unknown[] }>][] = [
    ["slack", startFakeSlackWebhook],
    ["discord", startFakeDiscordWebhook],
  ];
  it.each(WITHOUT_KEY)(
    "whose answer was lost is unknown with %s, which has no key, and not told twice",
    async (kind, start) => {
      const service = await begin(start());
      service.faults.push({ kind: "lost-answer" });
      const telling = tellBy({ NOTIFY: `${kind}+${service.webhook}` });
      telling.end("jwt-login");
      const { note } = await telling.untilState("jwt-login", "unknown");
      expect(note).toMatch(/gave no answer$/);
      telling.clock.advance(3_600_000);
      expect(service.posted).toHaveLength(1);
      expect(telling.lines()).toContain(
        'Whether the notification "jwt-login: finished" was told is not known',
      );
    },
  );

  it("whose answer was lost is sent again as a Standard Webhook with the same id", async () => {
    const webhook = await begin(startFakeWebhook());
    webhook.faults.push({ kind: "lost-answer" }, { kind: "failed", status: 500 });
    const telling = tellBy({ NOTIFY: "webhook", WEBHOOK_URL: `${webhook.url}/hook`, WEBHOOK_SECRET: SECRET });
    telling.end("jwt-login");
    await telling.untilState("jwt-login", "sent");
    expect(webhook.requests).toHaveLength(3);
    expect(new Set(webhook.requests.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  });

  it("is given up where the service says no, and a webhook that says that it is gone gets nothing more", async () => {
    const webhook = await begin(startFakeWebhook());
    webhook.faults.push({ kind: "refused", status: 410 });
    const telling = tellBy({ NOTIFY: `webhook+${webhook.url}/hook`, WEBHOOK_SECRET: SECRET });
    telling.end("first");
    expect(await telling.untilState("first", "failed")).toMatchObject({
      note: "the webhook refused it (HTTP 410)",
      tries: 1,
    });
    telling.end("second");
    expect((await telling.untilState("second", "failed")).note).toContain("is gone");
    expect(webhook.requests).toHaveLength(1);
  });

  it("by ntfy carries the token, and stays below the size of a message", async () => {
    const ntfy = await begin(startFakeNtfy("tk_secret"));
    const telling = tellBy({ NOTIFY: `ntfy+${ntfy.url}/alerts`, NTFY_TOKEN: "tk_secret" });
    telling.end("jwt-login", `wörds ${"ü".repeat(5_000)}`);
    await telling.untilState("jwt-login", "sent");
    expect(Buffer.byteLength(ntfy.messages[0]?.message ?? "")).toBeLessThanOrEqual(4_096);
    expect(ntfy.messages[0]).toMatchObject({ topic: "alerts", priority: 4 });
  });
});

it("doctor counts what was told, and says what to do about what is not known", async () => {
  const slack = await begin(startFakeSlackWebhook());
  slack.faults.push({ kind: "lost-answer" });
  const telling = tellBy({ NOTIFY: "slack", SLACK_WEBHOOK: slack.webhook });
  const look = () => checkDeliveries(telling.folder, undefined, { clock: systemClock, limitMs: 60_000 });
  expect(await look()).toBeUndefined();
  telling.end("first");
  await telling.untilState("first", "unknown");
  telling.end("second");
  await telling.untilState("second", "sent");
  expect(await look()).toEqual({
    status: "warning",
    message: "Slack: 1 sent, Slack: 1 not known",
    todo: expect.stringContaining("look there whether it has arrived"),
  });
});

describe("NOTIFY", () => {
  it("is a list of ways and addresses", () => {
    expect(readNotify("off")).toEqual([]);
    expect(readNotify("desktop, slack")).toEqual([{ kind: "desktop" }, { kind: "slack" }]);
    const addresses =
      "https://hooks.slack.com/services/T/B/x https://discord.com/api/webhooks/1/x https://ntfy.sh/t webhook+http://10.0.0.1/x";
    expect(readNotify(addresses)?.map(({ kind }) => kind)).toEqual(["slack", "discord", "ntfy", "webhook"]);
    for (const wrong of [
      "on",
      "slack, off",
      "https://example.org/x",
      "slack+ftp://x",
      "mail+https://x",
      "slack+",
    ])
      expect(readNotify(wrong), wrong).toBeUndefined();
  });

  it("with an address is a secret: not quoted, and not taken as a flag", () => {
    const wrong = () => readSettings(toVariables({ NOTIFY: "smtp+https://hidden.example/x" }));
    expect(wrong).toThrow(/NOTIFY: the value has a part that is no way to be told; allowed: /);
    expect(wrong).not.toThrow("hidden");
    expect(() => readSettings(toVariables({ NOTIFY: "loudly" }))).toThrow('the value "loudly"');
    expect(() => readCommandLine(["--notify", "https://ntfy.sh/hidden"])).toThrow(
      /^--notify: an address is a secret, .* set it in AUTOMAGIK_WORKFLOWS_NOTIFY$/,
    );
    expect(readCommandLine(["--notify", "slack"]).flags).toEqual({ notify: "slack" });
  });
});
