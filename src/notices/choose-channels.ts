import { setForAnswers } from "../integrations/set-for-answers.js";
import { type NotifyService, type NotifyWay, readNotify } from "../settings/notify.js";
import type { Secrets } from "../settings/secrets.js";
import type { Settings } from "../settings/settings.js";
import type { Channel } from "./channel.js";
import { createCommandChannel } from "./command.js";
import { createDesktopChannel, findDesktop } from "./desktop.js";
import { createServiceChannel, SERVICES } from "./service-channels.js";

/** The person's settings of notifications. */
export type NotifySettings = Partial<Settings> & {
  /** As NOTIFY has it. */
  notify: string;
};

/** The machine on which a person is told. */
export interface NotifyMachine {
  /** Gets no variables of this product's own. */
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
  /** Where commands are run. */
  home: string;
}

export interface ChosenChannels {
  channels: Channel[];
  /** Which ways are used, or why none is; one line for a person. */
  told: string;
  /** A way that was asked for cannot be had. */
  problem?: string;
}

type ServiceWay = Extract<NotifyWay, { kind: NotifyService }>;

/**
 * By which ways the person is told: `off`: none; `auto`: the command where there is one, else the desktop where the
 * machine has one; `desktop`: both; services that are named, and the command beside them.
 * @param secrets of the services; left out, none of them is set
 */
export function chooseChannels(
  settings: NotifySettings,
  machine: NotifyMachine,
  secrets?: Secrets,
): ChosenChannels {
  const ways = readNotify(settings.notify) ?? [];
  if (ways.length === 0) return { channels: [], told: "off" };
  const chosen: ChosenChannels[] = [
    chooseCommand(settings, machine),
    chooseDesktop(ways, settings, machine),
    ...ways.filter(isService).map((way) => chooseService(way, settings, machine, secrets)),
  ];
  const channels = chosen.flatMap((one) => one.channels);
  const used = chosen.flatMap((one) => (one.channels.length > 0 ? one.told : []));
  const problems = chosen.flatMap(({ problem }) => problem ?? []);
  const why = chosen.map(({ told }) => told).find(Boolean) ?? "no way is set";
  return {
    channels,
    told: used.length > 0 ? joinWays(used) : why,
    ...(problems.length > 0 ? { problem: problems.join("; ") } : {}),
  };
}

const isService = (way: NotifyWay): way is ServiceWay => way.kind !== "auto" && way.kind !== "desktop";

function chooseCommand({ notifyCommand }: NotifySettings, machine: NotifyMachine): ChosenChannels {
  if (!notifyCommand) return { channels: [], told: "" };
  return {
    channels: [createCommandChannel({ command: notifyCommand, ...machine })],
    told: "by your command",
  };
}

function chooseDesktop(
  ways: readonly NotifyWay[],
  { notifyCommand }: NotifySettings,
  machine: NotifyMachine,
): ChosenChannels {
  const isAsked = ways.some(({ kind }) => kind === "desktop");
  const isWanted = isAsked || (ways.some(({ kind }) => kind === "auto") && !notifyCommand);
  if (!isWanted) return { channels: [], told: "" };
  const desktop = findDesktop(machine, { isAsked });
  if ("why" in desktop)
    return { channels: [], told: `none: ${desktop.why}`, ...(isAsked ? { problem: desktop.why } : {}) };
  return { channels: [createDesktopChannel(desktop)], told: `on the desktop, by ${desktop.program}` };
}

function chooseService(
  way: ServiceWay,
  settings: NotifySettings,
  { env }: NotifyMachine,
  secrets: Secrets | undefined,
): ChosenChannels {
  const { name, setting } = SERVICES[way.kind];
  const lacks = (what: string) => ({ channels: [], told: "", problem: `${name}: ${what} is not set` });
  if (!secrets || (way.address === undefined && !secrets.has(setting))) return lacks(nameOf(setting));
  if (way.kind === "webhook" && !secrets.has("webhookSecret")) return lacks("WEBHOOK_SECRET");
  const asks = way.kind !== "webhook" && setForAnswers(settings, secrets)[way.kind];
  const channel = createServiceChannel(way, { secrets, env, asks, dashboardUrl: settings.dashboardUrl });
  return { channels: [channel], told: `by ${name}` };
}

function nameOf(setting: string): string {
  return setting.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

function joinWays(ways: readonly string[]): string {
  const last = ways.at(-1) ?? "";
  return ways.length > 1 ? `${ways.slice(0, -1).join(", ")} and ${last}` : last;
}
