import type { Channel } from "./channel.js";
import { createCommandChannel } from "./command.js";
import { createDesktopChannel, findDesktop } from "./desktop.js";

/** The person's settings: what is set by NOTIFY and NOTIFY_COMMAND. */
export interface NotifySettings {
  notify: "auto" | "desktop" | "off";
  notifyCommand?: string | undefined;
}

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

/**
 * By which ways the person is told: `off`: none; `auto`: the command where there is one, else the desktop where the
 * machine has one; `desktop`: both.
 */
export function chooseChannels(
  { notify, notifyCommand }: NotifySettings,
  machine: NotifyMachine,
): ChosenChannels {
  if (notify === "off") return { channels: [], told: "off" };
  const channels: Channel[] = [];
  const ways: string[] = [];
  if (notifyCommand) {
    channels.push(createCommandChannel({ command: notifyCommand, ...machine }));
    ways.push("by your command");
    if (notify === "auto") return { channels, told: ways.join() };
  }
  const desktop = findDesktop(machine, { isAsked: notify === "desktop" });
  if ("why" in desktop) {
    const told = ways[0] ?? `none: ${desktop.why}`;
    return { channels, told, ...(notify === "desktop" ? { problem: desktop.why } : {}) };
  }
  channels.push(createDesktopChannel(desktop));
  ways.push(`on the desktop, by ${desktop.program}`);
  return { channels, told: ways.join(" and ") };
}
