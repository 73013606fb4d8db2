import { createProbe } from "../../api/probe.js";
import { settingsSchema, type Texts } from "../../settings/entries.js";
import type { Settings } from "../../settings/settings.js";
import type { Clock } from "../../shared/clock.js";
import type { Place } from "../install/clients.js";
import { findEntries } from "../install/find-entries.js";
import { findPlugin } from "../install/find-plugin.js";
import { describeEntry, type JudgedEntry, judgeEntry, judgeUnread, saysWhere } from "./check-clients.js";
import { failure, ok, type Result } from "./finding.js";

/** What the chat clients of this machine have of this server. */
export interface ClientsOfMachine {
  results: Result[];
  /**
   * The settings that the checks go by, and whose they are: those of this shell where they say where runs are carried
   * out, else those that a client gives the server. Undefined where nothing says it.
   */
  basis: { settings: Settings; key?: JudgedEntry["key"]; whose: string | undefined } | undefined;
  /** A file of the project has this server. */
  inProject: boolean;
  /** Some client has runs carried out on this machine. */
  local: boolean;
  /** Texts that must not be shown. */
  secrets: string[];
}

/** Addresses beside that of the basis are tried, so many. */
const MAX_ADDRESSES = 5;

/**
 * Looks at what `install` has written, and at the plugin for Claude Code. Changes nothing.
 * @param options.settings those of this shell
 * @param options.variables this product's own variables in it
 * @param options.limitMs how long one address may take
 */
export async function lookAtClients(options: {
  place: Place;
  settings: Settings;
  variables: Texts;
  flags: Texts;
  env: NodeJS.ProcessEnv;
  shorten: (text: string) => string;
  limitMs: number;
  clock: Clock;
}): Promise<ClientsOfMachine> {
  const { place, settings, variables, flags, env, shorten, limitMs, clock } = options;
  const [{ entries, unread }, plugin] = await Promise.all([findEntries(place), findPlugin(place)]);
  const judged = entries.map((entry) => judgeEntry(entry, { env, variables, shorten }));
  const isLocal = (one: JudgedEntry) => one.settings?.engine === "local";
  // A project's file may be a stranger's: the program and the address that it names are not tried.
  const own = judged.filter(({ entry }) => !entry.ofProject);
  const best = own.find(isLocal) ?? own.find((one) => one.settings !== undefined);
  const pluginText = plugin && `the plugin automagik-workflows of Claude Code (${shorten(plugin.path)})`;

  function chooseBasis(): ClientsOfMachine["basis"] {
    if (saysWhere(variables, flags)) return { settings, whose: undefined };
    if (best?.settings)
      return { settings: best.settings, key: best.key, whose: describeEntry(best.entry, shorten) };
    if (plugin?.engine === "local") return { settings: { ...settings, engine: "local" }, whose: pluginText };
    if (!plugin) return undefined;
    // Claude Code keeps the key of the form apart.
    return { settings: withAddress(settings, plugin.baseUrl), key: "client", whose: pluginText };
  }
  const basis = chooseBasis();

  async function tryAddress(one: JudgedEntry, index: number): Promise<Result> {
    const { settings: given, result, entry } = one;
    const isChecked =
      given === undefined ||
      entry.ofProject ||
      given.engine === "local" ||
      given.baseUrl === basis?.settings.baseUrl;
    if (isChecked || result.status === "failure" || index >= MAX_ADDRESSES) return result;
    const { baseUrl } = given;
    const probe = createProbe({ baseUrl, apiKey: undefined, env, requestTimeoutMs: limitMs, clock });
    const reached = await probe.reach();
    if (reached.ok) return result;
    const what = `${describeEntry(entry, shorten)}: nothing can be reached at ${baseUrl} (${reached.code})`;
    return failure(what, reached.todo ?? "Start that API, or correct the address in that file.");
  }

  return {
    results: [
      ...(await Promise.all(judged.map(tryAddress))),
      ...unread.map((one) => judgeUnread(one, shorten)),
      ...(plugin
        ? [
            ok(
              plugin.engine === "local"
                ? `${pluginText}: runs are carried out on this machine`
                : `${pluginText}: runs are carried out by the API at ${withAddress(settings, plugin.baseUrl).baseUrl}`,
            ),
          ]
        : []),
    ],
    basis,
    inProject: own.length < judged.length,
    local: own.some(isLocal) || plugin?.engine === "local",
    secrets: judged.flatMap((one) => (one.key === "file" && one.settings?.apiKey) || []),
  };
}

/** The settings with the address of a form, unless that is empty or no address. */
function withAddress(settings: Settings, address: string): Settings {
  const { success, data } = settingsSchema.shape.baseUrl.safeParse(address.trim());
  return success && address.trim() !== "" ? { ...settings, baseUrl: data } : settings;
}
