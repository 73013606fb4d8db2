import * as z from "zod";
import { clientSettings } from "./client-settings.js";
import { engineSettings } from "./engine-settings.js";
import { githubSettings } from "./github-settings.js";
import { httpSettings } from "./http-settings.js";
import { integrationSettings } from "./integration-settings.js";
import { linearSettings } from "./linear-settings.js";
import { monitoringSettings } from "./monitoring-settings.js";
import { noticeSettings } from "./notice-settings.js";
import { planSettings } from "./plan-settings.js";
import type { SettingMeta } from "./setting.js";

/** Every variable begins with this. */
export const PREFIX = "AUTOMAGIK_WORKFLOWS_";
/** The names of the product's earlier generation, still accepted. */
export const OLD_PREFIX = "AUTOMAGIK_WORKFLOWS_V2_";

/** The one schema of all settings: bounds, defaults, and the words of the table in docs/settings.md. */
export const settingsSchema = z.object({
  ...clientSettings,
  ...noticeSettings,
  ...integrationSettings,
  ...githubSettings,
  ...linearSettings,
  ...monitoringSettings,
  ...planSettings,
  ...httpSettings,
  ...engineSettings,
});

/** Settings as the rest of the house sees them. Times in seconds. */
export type Settings = z.output<typeof settingsSchema>;

/** Texts by the name of a variable, or of a flag without its dashes. */
export type Texts = Readonly<Record<string, string | undefined>>;

/** A setting with the names by which it can be given. */
export interface Entry extends SettingMeta {
  property: keyof Settings;
  flag: string;
  readonly defaultValue: unknown;
}

const entries: readonly Entry[] = Object.entries(settingsSchema.shape).map(([property, schema]) => {
  const meta = schema.meta() as unknown as SettingMeta;
  return {
    ...meta,
    property: property as keyof Settings,
    flag: meta.variable.toLowerCase().replaceAll("_", "-"),
    // Not for all of them at each start: only the table in the documents tells it.
    get defaultValue() {
      return schema.safeParse(undefined).data;
    },
  };
});

/** The settings by which people and other services are told of runs and plans. */
export const tellingSettings = Object.keys({
  ...noticeSettings,
  ...integrationSettings,
  ...linearSettings,
}) as (keyof Settings)[];

/** All settings, in the order in which they are told. */
export function listEntries(): readonly Entry[] {
  return entries;
}

/** The flags that override variables, by their name without dashes: for a command line parser. */
export function listSettingFlags(): string[] {
  return listEntries().flatMap((entry) => (entry.noFlag ? [] : entry.flag));
}

/** The texts that are set, by property, and what each was read from. See {@link readSettings} for what wins. */
export function readRaw(
  env: Texts,
  flags: Texts,
): { raw: Record<string, string>; sources: Record<string, string> } {
  const raw: Record<string, string> = {};
  const sources: Record<string, string> = {};
  for (const entry of listEntries()) {
    const candidates: [string, string | undefined][] = [
      [`--${entry.flag}`, flags[entry.flag]],
      [PREFIX + entry.variable, env[PREFIX + entry.variable]],
      [
        OLD_PREFIX + (entry.oldVariable ?? entry.variable),
        env[OLD_PREFIX + (entry.oldVariable ?? entry.variable)],
      ],
    ];
    const found = candidates.find(([, value]) => value !== undefined && value.trim() !== "");
    if (!found?.[1]) continue;
    raw[entry.property] = found[1].trim();
    sources[entry.property] = found[0];
  }
  return { raw, sources };
}
