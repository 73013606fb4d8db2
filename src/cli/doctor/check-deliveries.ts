import { lookIntoOutbox } from "../../integrations/look-into-outbox.js";
import { countDeliveries } from "../../integrations/outbox.js";
import { serviceOf } from "../../integrations/service-of.js";
import { type Settings, SettingsError } from "../../settings/settings.js";
import { findSharedDatabase } from "../../settings/shared-database.js";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import { ok, type Result, skipped, warning } from "./finding.js";

/** By service as a person calls it and by state. */
type Counts = ReadonlyMap<string, ReadonlyMap<string, number>>;

/**
 * Says what was told elsewhere in the last 90 days: what is in the state folder, and what is in the database that servers
 * share where the settings name one. Never throws.
 * @param options.limitMs for all of it
 * @returns undefined where nothing was told
 */
export async function checkDeliveries(
  folder: string,
  settings: Settings | undefined,
  { clock, limitMs }: { clock: Clock; limitMs: number },
): Promise<Result | undefined> {
  try {
    const address = settings && findSharedDatabase(settings);
    const places = [{ folder }, ...(address === undefined ? [] : [{ folder, address }])];
    const counts = await withDeadline(clock, limitMs, async () =>
      sumUp((await Promise.all(places.map((place) => lookIntoOutbox(place, countDeliveries)))).flat()),
    );
    return counts ? judge(counts) : skipped("not looked at: the database did not answer in time");
  } catch (error) {
    const what = error instanceof SettingsError ? "the database's address" : "the database";
    return skipped(`not looked at: ${what} cannot be used`);
  }
}

function sumUp(found: readonly (Awaited<ReturnType<typeof countDeliveries>>[number] | undefined)[]): Counts {
  const counts = new Map<string, Map<string, number>>();
  for (const one of found) {
    if (!one) continue;
    const service = serviceOf(one.target);
    const states = counts.get(service) ?? new Map<string, number>();
    counts.set(service, states.set(one.state, (states.get(one.state) ?? 0) + one.count));
  }
  return counts;
}

function judge(counts: Counts): Result | undefined {
  if (counts.size === 0) return undefined;
  const told = [...counts]
    .flatMap(([service, states]) =>
      [...states].map(([state, count]) => `${service}: ${count} ${WORDS[state] ?? state}`),
    )
    .join(", ");
  if (![...counts.values()].some((states) => states.has("failed") || states.has("unknown"))) return ok(told);
  return warning(
    told,
    "Of what is unknown the answer was lost: look there whether it has arrived. Why something has failed is in the log and below " +
      "the dashboard's figures: of an address, token or channel that the service refuses, set another one.",
  );
}

const WORDS: Record<string, string> = { pending: "waiting", unknown: "not known" };
