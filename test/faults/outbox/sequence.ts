import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DISCORD_TOKEN, startFakeDiscord } from "../../../mocks/integrations/discord.js";
import { startFakeDiscordWebhook } from "../../../mocks/integrations/discord-webhook.js";
import type { FakeService, ServiceFault } from "../../../mocks/integrations/fake-service.js";
import { startFakeNtfy } from "../../../mocks/integrations/ntfy.js";
import { startFakeSlackWebhook } from "../../../mocks/integrations/slack-webhook.js";
import { startFakeWebhook } from "../../../mocks/integrations/webhook.js";
import { createCarrier } from "../../../src/integrations/carrier.js";
import { createDiscordAskTarget } from "../../../src/integrations/discord/ask-target.js";
import type { Github } from "../../../src/integrations/github/github.js";
import type { LinearClient } from "../../../src/integrations/linear/client.js";
import { addDelivery } from "../../../src/integrations/outbox.js";
import type { Target } from "../../../src/integrations/target.js";
import { createVendorHttp } from "../../../src/integrations/vendor-http.js";
import { targetOf } from "../../../src/notices/channel.js";
import { chooseChannels } from "../../../src/notices/choose-channels.js";
import { noticeOfEnd } from "../../../src/notices/notice.js";
import { createSecrets } from "../../../src/settings/secrets.js";
import { readSettings } from "../../../src/settings/settings.js";
import { type Clock, systemClock } from "../../../src/shared/clock.js";
import { createHandClock } from "../../support/hand-clock.js";
import { silentLog } from "../../support/harness.js";
import { storedDeliveries } from "../../support/notices.js";
import { createRandom, mix, type Random } from "../random.js";
import { openGithubPlace } from "./github-place.js";
import { openLinearPlace } from "./linear-place.js";
import type { Place } from "./place.js";

/** Where a process ends while it delivers: before anything was sent, or after it was and before that was noted. */
type Crash = "before" | "after";

export interface OutboxReport {
  number: number;
  violations: string[];
  /** What happened, counted: faults, crashes, ends. */
  counts: Record<string, number>;
}

/** Ways to break the product, so that it can be seen that the harness notices. */
export interface OutboxSabotage {
  target?(target: Target): Target;
  github?(github: Github): Github;
  linear?(client: LinearClient): LinearClient;
}

const SECRET = `whsec_${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`;
const STEP_MS = 2_000;
/** More than a sequence takes. */
const STEPS = 5_000;

/**
 * One seeded sequence: events that are brought to seven services, which lose answers, drop requests, ask to wait and fail,
 * by processes that end in the middle. What the outbox says in the end is held against what the services have.
 */
export async function runOutboxSequence(
  seed: number,
  number: number,
  sabotage: OutboxSabotage = {},
): Promise<OutboxReport> {
  const random = createRandom(mix("outbox", seed, number));
  /** How often each delivery was tried: what happens to it then is drawn for it alone. */
  const tries = new Map<string, number>();
  const folder = mkdtempSync(join(tmpdir(), "outbox-"));
  const counts: Record<string, number> = {};
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  const clock = createHandClock();
  const places = await openPlaces(folder, clock, sabotage);
  const { target: broken = (target: Target) => target } = sabotage;
  /** Requests under way, those of ended processes left out. */
  let busy = 0;
  /** Which deliveries a fault or a crash has made uncertain. */
  const doubtful = new Set<string>();
  const dead = new Set<object>();

  for (const { target, arm } of places)
    for (let left = random.between(0, 4); left > 0; left--) count(`${target.name} may meet: ${arm(random)}`);

  /** A process with its own carrier, which ends where it is drawn. */
  function startProcess(): { close(): void; look(): void } {
    const self = {};
    const targets = places.map(({ target }) => broken(mayCrash(target, self)));
    const carrier = createCarrier({ folder, targets, clock, log: silentLog });
    carrier.look();
    return { look: carrier.look, close: () => void carrier.close() };
  }

  function mayCrash(target: Target, self: object): Target {
    return {
      ...target,
      async deliver(delivery, signal) {
        const key = `${target.name} ${delivery.id}`;
        if (dead.has(self)) {
          // What it had taken on beside it.
          doubtful.add(key);
          count("a process ends before it has sent");
          return new Promise(() => {});
        }
        tries.set(key, (tries.get(key) ?? 0) + 1);
        const draw = createRandom(mix(seed, number, key, tries.get(key) ?? 0)).between(0, 19);
        const crash: Crash | undefined = draw === 0 ? "before" : draw === 1 ? "after" : undefined;
        if (crash) {
          doubtful.add(key);
          count(`a process ends ${crash} it has sent`);
        }
        busy++;
        try {
          if (crash !== "before") return await target.deliver(delivery, signal);
        } catch (error) {
          if ((error as Error).name === "Unknown") doubtful.add(key);
          if (crash !== "after") throw error;
        } finally {
          busy--;
          if (crash) dead.add(self);
        }
        return new Promise(() => {});
      },
    };
  }

  const events = Array.from({ length: 2 + random.between(0, 3) }, (_, index) => `run-${index}`);
  const all = events.length * places.reduce((sum, { deliveries }) => sum + deliveries, 0);
  /** Writes in the transactions of events, which no process loses. */
  const writer = createCarrier({ folder, targets: [], clock, log: silentLog });
  const write = (tell: (place: Place) => Place["goOn"]) =>
    new Promise<void>((resolve, reject) => {
      for (const event of events)
        writer.write(
          async (trx, now) => {
            for (const place of places) await tell(place)?.(trx, event, now);
          },
          { onFailure: () => reject(new Error("The events could not be written")) },
        );
      // One after the other.
      writer.write(async () => resolve());
    });
  await write(({ write: begin }) => begin);
  let process = startProcess();
  let other = startProcess();
  let known = 0;
  /** So many steps later what has begun goes on. */
  let stepsToGoOn = random.between(1, 40);
  for (let step = 0; step < STEPS; ) {
    await new Promise((resolve) => setImmediate(resolve));
    if (busy > 0) continue;
    step++;
    // Where the database is in use, it waits by the clock, too.
    if (stepsToGoOn-- === 0) write(({ goOn }) => goOn).catch(() => {});
    const rows = storedDeliveries(folder);
    const pending = rows.filter(({ state }) => state === "pending");
    if (rows.length === all && pending.length === 0) break;
    if (rows.length !== known) {
      known = rows.length;
      process.look();
      other.look();
    }
    // Where nothing can happen for long, that time is left out.
    const waitMs = Math.min(...pending.map(({ next_at }) => next_at)) - clock.now();
    const isIdle = known === all && pending.every(({ lease_until }) => lease_until === null);
    clock.advance(isIdle ? Math.max(STEP_MS, waitMs - STEP_MS) : STEP_MS);
    if (dead.size === 0) continue;
    // Whoever has ended is followed by another one.
    process.close();
    other.close();
    dead.clear();
    process = startProcess();
    other = startProcess();
  }
  const violations = inspect();
  process.close();
  other.close();
  void writer.close();
  clock.advance(60_000);
  await Promise.all(places.map((place) => place.close()));
  rmSync(folder, { recursive: true, force: true });
  return { number, violations, counts };

  function inspect(): string[] {
    const found: string[] = known === all ? [] : [`${known} of ${all} deliveries were written`];
    for (const { id, target, state } of storedDeliveries(folder)) {
      const place = places.find((one) => one.target.name === target);
      if (!place) continue;
      const arrived = place.copies(id);
      const isThere = place.isThere?.(id) ?? arrived > 0;
      const what = `${id} to ${target} is ${state} and has arrived ${arrived} times`;
      count(`${target}: ${state}`);
      const twice = place.twice?.(id);
      if (twice) count(`${target}: ${twice}`);
      if (state === "pending") found.push(`${what}: it has no end`);
      if (arrived > 1 && !place.hasKey) found.push(`${what}: twice without a key`);
      if (arrived > 1 && place.hasKey) count(`${target}: sent again under the same key`);
      if (state === "sent" && !isThere) found.push(`${what}: it is not there`);
      if (state === "failed" && isThere) found.push(`${what}: it is there`);
      if (state === "unknown" && !doubtful.has(`${target} ${id}`)) found.push(`${what}: nothing was lost`);
      if (state === "unknown" && isThere) count(`${target}: unknown, and there`);
    }
    return found;
  }
}

function drawFault(random: Random): ServiceFault {
  const kinds: ServiceFault[] = [
    { kind: "lost-answer" },
    { kind: "lost-answer" },
    { kind: "dropped" },
    { kind: "limited", afterS: 1 + random.between(0, 39) },
    { kind: "failed", status: 503 },
    { kind: "failed", status: 500 },
    { kind: "refused", status: 403 },
  ];
  return random.pick(kinds);
}

function askOf(code: string) {
  return { code: `${code}-${"x".repeat(20)}`, title: code, about: "a run", detail: "", choices: [] };
}

/** A notification of an event's end, to a service that meets faults one after the other. */
function openNoticePlace(
  service: FakeService,
  target: Target,
  { hasKey = false, texts }: { hasKey?: boolean; texts: () => (string | undefined)[] },
): Place {
  return {
    ...{ target, hasKey, deliveries: 1, close: service.close },
    arm: armNext(service),
    async write(trx, event, now) {
      const payload = noticeOfEnd({ runId: event, sessionName: event, status: "completed" }, now);
      await addDelivery(trx, { id: event, target: target.name, kind: "finished", payload }, now);
    },
    copies: (id) => texts().filter((text) => text?.replaceAll("\\", "").includes(`${id}: finished`)).length,
  };
}

function armNext(service: FakeService): Place["arm"] {
  return (random) => {
    const fault = drawFault(random);
    service.faults.push(fault);
    return fault.kind;
  };
}

/** Questions to a bot of Discord, which makes one message of two by its nonce: two would be a mistake. */
async function openBotPlace(): Promise<Place> {
  const bot = await startFakeDiscord();
  const http = createVendorHttp({ service: "Discord", clock: systemClock });
  const target = createDiscordAskTarget({
    base: `${bot.url}/api/v10`,
    http: async () => http,
    token: async () => DISCORD_TOKEN,
    channel: "222",
  });
  return {
    ...{ target, hasKey: false, deliveries: 1, close: bot.close },
    arm: armNext(bot),
    write: (trx, event, now) =>
      addDelivery(trx, { id: event, target: target.name, kind: "finished", payload: askOf(event) }, now),
    copies: (id) =>
      bot.messages.filter(({ content }) => content?.replaceAll("\\", "").includes(`**${id}**`)).length,
  };
}

async function openPlaces(folder: string, clock: Clock, sabotage: OutboxSabotage): Promise<Place[]> {
  const slack = await startFakeSlackWebhook();
  const discord = await startFakeDiscordWebhook();
  const ntfy = await startFakeNtfy();
  const webhook = await startFakeWebhook();
  const settings = readSettings({
    AUTOMAGIK_WORKFLOWS_NOTIFY: "slack, discord, ntfy, webhook",
    AUTOMAGIK_WORKFLOWS_SLACK_WEBHOOK: slack.webhook,
    AUTOMAGIK_WORKFLOWS_DISCORD_WEBHOOK: discord.webhook,
    AUTOMAGIK_WORKFLOWS_NTFY_TOPIC: `${ntfy.url}/topic`,
    AUTOMAGIK_WORKFLOWS_WEBHOOK_URL: `${webhook.url}/hook`,
    AUTOMAGIK_WORKFLOWS_WEBHOOK_SECRET: SECRET,
  });
  const machine = { env: {}, platform: "linux" as const, home: folder };
  const secrets = createSecrets({ settings, ...machine });
  const [toSlack, toDiscord, toNtfy, toWebhook] = chooseChannels(settings, machine, secrets).channels.map(
    targetOf,
  ) as [Target, Target, Target, Target];
  return [
    openNoticePlace(slack, toSlack, { texts: () => slack.posted.map(({ text }) => text) }),
    openNoticePlace(discord, toDiscord, { texts: () => discord.posted.map(({ content }) => content) }),
    openNoticePlace(ntfy, toNtfy, { texts: () => ntfy.messages.map(({ title }) => title) }),
    openNoticePlace(webhook, toWebhook, { hasKey: true, texts: () => webhook.got.map(({ body }) => body) }),
    await openBotPlace(),
    await openGithubPlace(sabotage.github ?? ((github) => github)),
    await openLinearPlace(() => clock.now(), sabotage.linear ?? ((client) => client)),
  ];
}
