import { chooseChannels, type NotifyMachine, type NotifySettings } from "../../notices/choose-channels.js";
import { ok, type Result, skipped, warning } from "./finding.js";

/** Says how a person would be told of a run that no call follows, from where this is asked. Nobody is told anything. */
export function checkNotifications(settings: NotifySettings | undefined, machine: NotifyMachine): Result {
  if (!settings) return skipped("not looked at: the settings cannot be used");
  const { channels, told, problem } = chooseChannels(settings, machine);
  if (problem) {
    const todo = "Install what is missing, or set AUTOMAGIK_WORKFLOWS_NOTIFY to auto or off.";
    return warning(channels.length > 0 ? `${told}, but not on the desktop: ${problem}` : told, todo);
  }
  return channels.length > 0 || settings.notify === "off" ? ok(told) : skipped(told);
}
