import { expect, it } from "vitest";
import { startFakeService } from "../mocks/integrations/fake-service.js";
import { listConnections } from "../src/answers/connections.js";
import { choicesFor, toAsk } from "../src/answers/to-ask.js";
import type { NeedView } from "../src/dashboard/views/needs.js";
import { listAskTargets } from "../src/integrations/list-ask-targets.js";
import type { Delivery } from "../src/integrations/target.js";
import { createSecrets } from "../src/settings/secrets.js";
import { systemClock } from "../src/shared/clock.js";
import { silentLog, testSettings } from "./support/harness.js";

// What a service cannot show in full is not allowed from there: held against what it is really sent.

const ALLOW = [
  { value: "allow_once", title: "Allow once", weighty: true as const },
  { value: "allow_run", title: "Allow this repository's scripts in this run", weighty: true as const },
  { value: "allow_repository", title: "Always allow this repository's scripts", weighty: true as const },
];
const DENY = { value: "deny", title: "Deny" };

function permission(
  title: string,
  detail: string,
  choices: NeedView["choices"] = [...ALLOW, DENY],
): NeedView {
  const call = { action: "answer" as const, arguments: { run_id: "r", question_id: "q" } };
  const about = { session: "s".repeat(120), workflow: "w".repeat(120), runId: "r".repeat(60) };
  return { id: "r q", kind: "permission", title, detail, choices, call, ...about };
}

/** Slack, Discord and ntfy as they are set, and what each is sent for a question. */
async function openServices() {
  const service = await startFakeService(({ path }) => ({
    body: path.startsWith("/api/chat") ? { ok: true, ts: "1", channel: "C0123" } : { id: "1" },
  }));
  const settings = testSettings({
    ...{
      SLACK_APP_TOKEN: "xapp-1",
      SLACK_BOT_TOKEN: "xoxb-1",
      SLACK_CHANNEL: "C0123",
      SLACK_ANSWERERS: "U0ANN",
    },
    ...{ DISCORD_BOT_TOKEN: "token", DISCORD_CHANNEL: "1", DISCORD_ANSWERERS: "1", DISCORD_URL: service.url },
    ...{ NTFY_TOPIC: `${service.url}/asked`, NTFY_ANSWERS: `${service.url}/answers`, NTFY_ANSWERERS: "Ann" },
    ...{ SLACK_URL: service.url, ANSWER_PERMISSIONS: "on" },
  });
  const secrets = createSecrets({ settings, env: {}, home: "/" });
  const parts = { settings, secrets, env: {}, clock: systemClock, log: silentLog };
  const targets = listAskTargets(parts);
  return listConnections(parts).map((connection) => ({
    connection,
    async show(need: NeedView): Promise<string> {
      const payload = toAsk(need, "c".repeat(24), connection, "https://mcp.example.org/dashboard");
      const delivery: Delivery = { id: "ask/c", kind: "question", payload, tries: 1, mayHaveBeenSent: false };
      const target = targets.find(({ name }) => name === connection.target);
      await target?.deliver(delivery, new AbortController().signal);
      return textsOf(JSON.parse(service.requests.at(-1)?.body ?? "")).join("\n");
    },
    close: service.close,
  }));
}

/** All texts of what was sent, without Discord's escapes and the marks that nobody sees. */
function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value, value.replace(/\u200b/g, ""), value.replace(/\\(.)/g, "$1")];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

const LENGTHS = [0, 100, 249, 250, 251, 299, 301, 599, 601, 1_000, 1_201, 1_801, 1_999, 2_901, 3_001];

it("a permission that a service would cut has no button there that allows it, and all others are seen whole", async () => {
  const services = await openServices();
  const counts = { whole: 0, refused: 0 };
  for (const { connection, show } of services)
    for (const letter of ["x", "*", "`", "\u00e9"])
      for (const titleLength of LENGTHS.filter((length) => length <= 1_000))
        for (const detailLength of LENGTHS) {
          // The end of each is what must not be lost.
          const title = `T${letter.repeat(titleLength)}-t-end`;
          const detail = `D${letter.repeat(detailLength)}-d-end`;
          const need = permission(title, detail);
          const { choices } = toAsk(need, "c".repeat(24), connection);
          if (choices.length === 0) {
            counts.refused++;
            continue;
          }
          counts.whole++;
          const shown = await show(need);
          const where = `${connection.title} ${letter} ${titleLength} ${detailLength}`;
          expect([where, shown.includes(title), shown.includes(detail)]).toEqual([where, true, true]);
        }
  // Nothing of it would be shown if all were refused.
  expect(counts.whole).toBeGreaterThan(300);
  expect(counts.refused).toBeGreaterThan(300);
  await services[0]?.close();
});

it("no has a button in any case, and what is allowed has one only where all of it is read there", async () => {
  const services = await openServices();
  for (const { connection } of services) {
    const titles = choicesFor(permission("Title", "npm test"), connection).map(({ title }) => title);
    expect(titles.slice(0, 2)).toEqual(["Allow once", "Allow this repository's scripts in this run"]);
    expect(titles.at(-1)).toBe("Deny");
    expect(titles).toHaveLength(connection.buttons === 3 ? 3 : 4);
    const wide = {
      value: "allow_run",
      title: `Allow for this run: ${"a".repeat(60)}`,
      weighty: true as const,
    };
    const few = choicesFor(permission("Title", "npm test", [wide, DENY]), connection);
    expect(few.map(({ title }) => title)).toEqual(["Deny"]);
  }
  await services[0]?.close();
});

it("a text of others ends no code block in Discord, and takes no room of what came of it", async () => {
  const discord = (await openServices()).find(({ connection }) => connection.service === "discord");
  const asked = discord && (await discord.show(permission("Title", "a```b `````` **c**", [DENY])));
  // Two fences, around it.
  expect(asked?.split("\n", 4).join("\n").match(/```/g)).toHaveLength(2);
  await discord?.close();
});

it("what is asked is brought to a service also after an outage of hours", async () => {
  const settings = testSettings({
    ...{ DISCORD_BOT_TOKEN: "token", DISCORD_CHANNEL: "1", DISCORD_ANSWERERS: "1" },
    ...{
      SLACK_APP_TOKEN: "xapp-1",
      SLACK_BOT_TOKEN: "xoxb-1",
      SLACK_CHANNEL: "C0123",
      SLACK_ANSWERERS: "U0ANN",
    },
    ...{ NTFY_TOPIC: "https://ntfy.sh/a", NTFY_ANSWERS: "https://ntfy.sh/b", NTFY_ANSWERERS: "Ann" },
  });
  const secrets = createSecrets({ settings, env: {}, home: "/" });
  const targets = listAskTargets({ settings, secrets, env: {}, clock: systemClock, log: silentLog });
  const hours = targets.map(({ pausesMs = [] }) => pausesMs.reduce((sum, ms) => sum + ms, 0) / 3_600_000);
  expect(hours).toHaveLength(3);
  expect(Math.min(...hours)).toBeGreaterThan(10);
});
