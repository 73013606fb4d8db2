import { chooseChannels, type NotifyMachine } from "../../notices/choose-channels.js";
import { createSecrets } from "../../settings/secrets.js";
import type { Settings } from "../../settings/settings.js";
import { ok, type Result, skipped, warning } from "./finding.js";

/** Says how a person would be told of a run that no call follows, from where this is asked. Nobody is told anything. */
export function checkNotifications(settings: Settings | undefined, machine: NotifyMachine): Result {
  if (!settings) return skipped("not looked at: the settings cannot be used");
  const secrets = createSecrets({ settings, ...machine });
  const { channels, told, problem } = chooseChannels(settings, machine, secrets);
  if (problem) {
    const todo = "Install or set what is missing, or leave it out of AUTOMAGIK_WORKFLOWS_NOTIFY.";
    return warning(
      channels.length > 0 ? `${told}, but not all that is asked for: ${problem}` : problem,
      todo,
    );
  }
  return channels.length > 0 || settings.notify === "off" ? ok(told) : skipped(told);
}
