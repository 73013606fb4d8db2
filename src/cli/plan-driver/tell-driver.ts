import { type DriverPlace, type DriverSight, lookAtDriver } from "../../plan-driver/index.js";
import type { PlanSummary } from "../../plan-runner/plan-summary.js";
import { readOpenPlans } from "../../plan-runner/stored-plans.js";
import { systemClock } from "../../shared/clock.js";
import { cleanLine } from "../../shared/text.js";

/** The open plans of one workflows API, and the process that carries them out. */
export interface PlansOfPlace {
  sight: DriverSight;
  open: PlanSummary[];
  /** Open ones of which something goes on without a person. */
  going: number;
}

/** So many plans are named. */
const NAMED = 5;
const NAME_CHARACTERS = 60;
const WHAT_CHARACTERS = 120;

/**
 * Looks at both. Starts and changes nothing.
 * @param address of the PostgreSQL database in which the plans are, where several servers share one
 * @throws StoreError when the plans cannot be read
 */
export async function lookAtPlans(place: DriverPlace, address?: string): Promise<PlansOfPlace> {
  const [sight, open] = await Promise.all([
    lookAtDriver(place, systemClock.now()),
    readOpenPlans({ folder: place.stateFolder, address, upstream: place.upstream }),
  ]);
  return { sight, open, going: open.filter(goesOn).length };
}

const goesOn = ({ status, waitingFor }: PlanSummary) =>
  status === "running" || waitingFor.some(({ kind }) => kind === "question");

/** "2 open, carried out by process 4711 since …: "ship" (…); "review" (…)". */
export function tellPlans({ sight, open, going }: PlansOfPlace): string {
  if (open.length === 0) return "none is open";
  const who =
    sight.kind === "drives"
      ? `carried out by process ${sight.record.pid} since ${new Date(sight.record.startedAt).toISOString()}`
      : sight.kind === "elsewhere"
        ? "carried out on another machine or in another container"
        : sight.kind === "unready"
          ? `carried out by process ${sight.holder.pid}, which is starting or ending`
          : going > 0
            ? "not carried out at the moment"
            : "waiting for you; an answer goes on with them";
  return `${open.length} open, ${who}: ${namePlans(open)}`;
}

/** Each with what it waits for, or where it stands. */
export function namePlans(plans: readonly PlanSummary[]): string {
  const named = plans.slice(0, NAMED).map(({ name, status, line, waitingFor }) => {
    const [first] = waitingFor;
    const what = first
      ? `waits since ${new Date(first.since).toISOString()} at ${first.step}: ${first.what}`
      : status === "running"
        ? line
        : status;
    return `"${cleanLine(name, NAME_CHARACTERS)}" (${cleanLine(what, WHAT_CHARACTERS)})`;
  });
  const left = plans.length - named.length;
  return [...named, ...(left > 0 ? [`${left} more`] : [])].join("; ");
}
