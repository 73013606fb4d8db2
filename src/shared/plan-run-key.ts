const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const OF_PLAN = new RegExp(`^(?:db-${UUID}\\.)?${UUID}/[^/]+/\\d`);

/**
 * The name of a plan's start, under which it is found again. No other start has one of this form.
 * @param planId a UUID
 * @param number counts the starts of the step, or of one of its items
 * @param item counts from 0; of a step that is carried out for several
 */
export function planRunKey(planId: string, stepId: string, number: number, item?: number): string {
  return `${planId}/${stepId}/${number}${item === undefined ? "" : `/${item + 1}`}`;
}

/** True when an `Idempotency-Key` is that of a plan's start: the plan goes on with what is interrupted. */
export function isPlanRunKey(key: string | undefined): boolean {
  return key !== undefined && OF_PLAN.test(key);
}
