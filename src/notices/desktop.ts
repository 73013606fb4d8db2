import { existsSync } from "node:fs";
import { join } from "node:path";
import { findOnPath } from "../shared/program-path.js";
import type { Channel } from "./channel.js";
import { runProgram } from "./run-program.js";

/** A title and a text shown on the desktop, by a program of the system. */
export interface Desktop {
  /** The program's name, to be shown. */
  program: string;
  show(title: string, body: string, signal: AbortSignal): Promise<void>;
}

interface Machine {
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
}

/** What the desktop calls the one who tells. */
const APP_NAME = "Automagik Workflows";

/**
 * How the desktop of this machine is told, or why it cannot be.
 * @param options.isAsked the person has asked for it, so only what is needed has to be there, not signs of a session
 */
export function findDesktop(machine: Machine, options: { isAsked: boolean }): Desktop | { why: string } {
  const { env, platform } = machine;
  if (!options.isAsked) {
    if (env.SSH_CONNECTION && platform !== "linux") return { why: "this is a session over ssh" };
    if (platform === "linux" && !env.DISPLAY && !env.WAYLAND_DISPLAY)
      return { why: "there is no desktop session (neither DISPLAY nor WAYLAND_DISPLAY is set)" };
  }
  if (platform === "darwin") return { program: "osascript", show: showOnMac(env) };
  if (platform === "win32") return { program: "PowerShell", show: showOnWindows(env) };
  if (platform === "linux") return findLinuxDesktop(machine);
  return { why: `no way is known on ${platform}` };
}

/** The channel of a desktop. */
export function createDesktopChannel(desktop: Desktop): Channel {
  return { name: "desktop", send: ({ title, body }, signal) => desktop.show(title, body, signal) };
}

function findLinuxDesktop({ env }: Machine): Desktop | { why: string } {
  const path = findOnPath("notify-send", env);
  if (!path) return { why: "notify-send was not found (on Debian it is in libnotify-bin)" };
  const bus = env.DBUS_SESSION_BUS_ADDRESS || findBus(env);
  if (!bus) return { why: "there is no session bus (DBUS_SESSION_BUS_ADDRESS is not set)" };
  return {
    program: "notify-send",
    show: (title, body, signal) =>
      runProgram(path, [`--app-name=${APP_NAME}`, "--", title, escapeMarkup(body)], {
        env: { ...env, DBUS_SESSION_BUS_ADDRESS: bus },
        signal,
      }),
  };
}

/** Some chat clients hand on no more than HOME and PATH; the bus of a login has a fixed place. */
function findBus(env: NodeJS.ProcessEnv): string | undefined {
  const path = join(env.XDG_RUNTIME_DIR || `/run/user/${process.getuid?.()}`, "bus");
  return existsSync(path) ? `unix:path=${path}` : undefined;
}

/** A body is markup to many desktops, and notify-send reads its backslashes as a C compiler does. */
function escapeMarkup(body: string): string {
  return body
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll("\\", "\\\\");
}

/** The texts are arguments and never part of the script. */
const MAC_SCRIPT = [
  "on run argv",
  "display notification (item 2 of argv) with title (item 1 of argv)",
  "end run",
];

function showOnMac(env: NodeJS.ProcessEnv): Desktop["show"] {
  const script = MAC_SCRIPT.flatMap((line) => ["-e", line]);
  return (title, body, signal) =>
    runProgram("/usr/bin/osascript", [...script, "--", title, body], { env, signal });
}

/** PowerShell's own name on the desktop: a toast needs one that Windows knows. */
const POWERSHELL_APP = String.raw`{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\WindowsPowerShell\v1.0\powershell.exe`;

/** The texts come by the environment and become text nodes: neither PowerShell nor the toast's XML reads them. */
const WINDOWS_SCRIPT = [
  "$ErrorActionPreference = 'Stop'",
  "$null = [Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]",
  "$xml = [Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent('ToastText02')",
  "$texts = $xml.GetElementsByTagName('text')",
  "$null = $texts.Item(0).AppendChild($xml.CreateTextNode($env:NOTICE_TITLE))",
  "$null = $texts.Item(1).AppendChild($xml.CreateTextNode($env:NOTICE_BODY))",
  "$toast = New-Object Windows.UI.Notifications.ToastNotification $xml",
  `[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier('${POWERSHELL_APP}').Show($toast)`,
].join("; ");

function showOnWindows(env: NodeJS.ProcessEnv): Desktop["show"] {
  const root = env.SystemRoot ?? env.SYSTEMROOT ?? "C:\\Windows";
  const program = `${root}\\System32\\WindowsPowerShell\\v1.0\\powershell.exe`;
  const args = ["-NoProfile", "-NonInteractive", "-Command", WINDOWS_SCRIPT];
  return (title, body, signal) =>
    runProgram(program, args, { env: { ...env, NOTICE_TITLE: title, NOTICE_BODY: body }, signal });
}
