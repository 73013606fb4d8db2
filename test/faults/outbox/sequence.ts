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
import { addDelivery } from "../../../src/integrations/outbox.js";
import type { Target } from "../../../src/integrations/target.js";
import { createVendorHttp } from "../../../src/integrations/vendor-http.js";
import { targetOf } from "../../../src/notices/channel.js";
import { chooseChannels } from "../../../src/notices/choose-channels.js";
import { noticeOfEnd } from "../../../src/notices/notice.js";
import { createSecrets } from "../../../src/settings/secrets.js";
import { readSettings } from "../../../src/settings/settings.js";
import { systemClock } from "../../../src/shared/clock.js";
import { createHandClock } from "../../support/hand-clock.js";
import { silentLog } from "../../support/harness.js";
import { storedDeliveries } from "../../support/notices.js";
import { createRandom, mix, type Random } from "../random.js";

/** Where a process ends while it delivers: before anything was sent, or after it was and before that was noted. */
type Crash = "before" | "after";

export interface OutboxReport {
  number: number;
  violations: string[];
  /** What happened, counted: faults, crashes, ends. */
  counts: Record<string, number>;
}

/** A way to break the product, so that it can be seen that the harness notices. */
export type OutboxSabotage = (target: Target) => Target;

const SECRET = `whsec_${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`;
/** More than all pauses and leases of a delivery together, in steps of two seconds. */
const STEPS = 3_000;

interface Place {
  target: Target;
  service: FakeService;
  /** How often an event has arrived. */
  arrived(runId: string): number;
  /** The service knows an event by a key: what comes twice is one to it. */
  hasKey: boolean;
}

/**
 * One seeded sequence: events that are brought to five services, which lose answers, drop requests, ask to wait and fail,
 * by processes that end in the middle. What the outbox says in the end is held against what the services have.
 */
export async function runOutboxSequence(
  seed: number,
  number: number,
  sabotage: OutboxSabotage = (target) => target,
): Promise<OutboxReport> {
  const random = createRandom(mix("outbox", seed, number));
  /** How often each delivery was tried: what happens to it then is drawn for it alone. */
  const tries = new Map<string, number>();
  const folder = mkdtempSync(join(tmpdir(), "outbox-"));
  const counts: Record<string, number> = {};
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  const places = await openPlaces(folder);
  const clock = createHandClock();
  /** Requests under way, those of ended processes left out. */
  let busy = 0;
  /** Which deliveries a fault or a crash has made uncertain. */
  const doubtful = new Set<string>();
  const dead = new Set<object>();

  for (const { service, target } of places)
    for (let left = random.between(0, 4); left > 0; left--) {
      const fault = drawFault(random);
      service.faults.push(fault);
      count(`${target.name} may meet: ${fault.kind}`);
    }

  /** A process with its own carrier, which ends where it is drawn. */
  function startProcess(): { close(): void; write: ReturnType<typeof createCarrier>["write"] } {
    const self = {};
    const targets = places.map(({ target }) => sabotage(mayCrash(target, self)));
    const carrier = createCarrier({ folder, targets, clock, log: silentLog });
    carrier.look();
    return { write: carrier.write, close: () => void carrier.close() };
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
        const draw = createRandom(mix(seed, number, key, tries.get(key) ?? 0)).between(0, 9);
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
  let process = startProcess();
  let other = startProcess();
  for (const runId of events)
    process.write(async (trx, now) => {
      const notice = noticeOfEnd({ runId, sessionName: runId, status: "completed" }, now);
      for (const { target } of places) {
        const payload = target.name === "discord-questions" ? askOf(runId) : notice;
        await addDelivery(trx, { id: runId, target: target.name, kind: "finished", payload }, now);
      }
    });
  const isOver = () => {
    const rows = storedDeliveries(folder);
    return rows.length === events.length * places.length && rows.every(({ state }) => state !== "pending");
  };
  for (let step = 0; step < STEPS && !isOver(); step++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (busy > 0) continue;
    clock.advance(2_000);
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
  clock.advance(60_000);
  await Promise.all(places.map(({ service }) => service.close()));
  rmSync(folder, { recursive: true, force: true });
  return { number, violations, counts };

  function inspect(): string[] {
    const found: string[] = [];
    for (const { id, target, state } of storedDeliveries(folder)) {
      const place = places.find((one) => one.target.name === target);
      if (!place) continue;
      const arrived = place.arrived(id);
      const what = `${id} to ${target} is ${state} and has arrived ${arrived} times`;
      count(`${target}: ${state}`);
      if (state === "pending") found.push(`${what}: it has no end`);
      if (arrived > 1 && !place.hasKey) found.push(`${what}: twice without a key`);
      if (arrived > 1 && place.hasKey) count(`${target}: sent again under the same key`);
      if (state === "sent" && arrived === 0) found.push(`${what}: it was never there`);
      if (state === "failed" && arrived > 0) found.push(`${what}: it is there`);
      if (state === "unknown" && !doubtful.has(`${target} ${id}`)) found.push(`${what}: nothing was lost`);
      if (state === "unknown" && arrived > 0) count(`${target}: unknown, and there`);
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

async function openPlaces(folder: string): Promise<Place[]> {
  const slack = await startFakeSlackWebhook();
  const discord = await startFakeDiscordWebhook();
  const ntfy = await startFakeNtfy();
  const webhook = await startFakeWebhook();
  const bot = await startFakeDiscord();
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
  const targets = chooseChannels(settings, machine, secrets).channels.map(targetOf);
  const http = createVendorHttp({ service: "Discord", clock: systemClock });
  const ask = createDiscordAskTarget({
    base: `${bot.url}/api/v10`,
    http: async () => http,
    token: async () => DISCORD_TOKEN,
    channel: "222",
  });
  const times = (texts: (string | undefined)[], runId: string) =>
    texts.filter((text) => text?.replaceAll("\\", "").includes(`${runId}: finished`)).length;
  const arrivals: Pick<Place, "service" | "arrived" | "hasKey">[] = [
    {
      service: slack,
      hasKey: false,
      arrived: (id) =>
        times(
          slack.posted.map(({ text }) => text),
          id,
        ),
    },
    {
      service: discord,
      hasKey: false,
      arrived: (id) =>
        times(
          discord.posted.map(({ content }) => content),
          id,
        ),
    },
    {
      service: ntfy,
      hasKey: false,
      arrived: (id) =>
        times(
          ntfy.messages.map(({ title }) => title),
          id,
        ),
    },
    {
      service: webhook,
      hasKey: true,
      arrived: (id) =>
        times(
          webhook.got.map(({ body }) => body),
          id,
        ),
    },
  ];
  return [
    ...arrivals.map((one, at) => ({ ...one, target: targets[at] as Target })),
    {
      service: bot,
      target: ask,
      // By its nonce Discord makes one message of two: two would be a mistake.
      hasKey: false,
      arrived: (id) =>
        bot.messages.filter(({ content }) => content?.replaceAll("\\", "").includes(`**${id}**`)).length,
    },
  ];
}
