import { countDeliveries } from "../../integrations/outbox.js";
import { lookIntoDatabase } from "../../store/database.js";
import { ok, type Result, skipped, warning } from "./finding.js";

/**
 * Says what was told elsewhere in the last 90 days, as the state folder knows it.
 * @returns undefined where nothing was
 */
export async function checkDeliveries(folder: string): Promise<Result | undefined> {
  const counts = await lookIntoDatabase(folder, "deliveries", [], countDeliveries).catch(() => undefined);
  if (!counts) return skipped("not looked at: the database cannot be read");
  if (counts.length === 0) return undefined;
  const told = counts
    .map(({ target, state, count }) => `${target}: ${count} ${WORDS[state] ?? state}`)
    .join(", ");
  if (!counts.some(({ state }) => state === "failed" || state === "unknown")) return ok(told);
  return warning(
    told,
    "Of what is unknown the answer was lost: look there whether it has arrived. Why something has failed is in the log: of an " +
      "address, token or channel that the service refuses, set another one.",
  );
}

const WORDS: Record<string, string> = { pending: "waiting", unknown: "not known" };
