import { createHash } from "node:crypto";

/** Behind the prefix of the API's database, where it has one, and before the caller whose key it is. */
const NAME_OF_PLAN = /^(?:db-[0-9a-f-]{36}\.)?plan-[0-9a-f]{40}(?:~|$)/;

/**
 * The name of a plan's start, under which the plan finds it again.
 * @param planId a UUID
 * @param number counts the starts of the step, or of one of its items
 * @param item counts from 0; of a step that is carried out for several
 */
export function planRunKey(planId: string, stepId: string, number: number, item?: number): string {
  return `${planId}/${stepId}/${number}${item === undefined ? "" : `/${item + 1}`}`;
}

/**
 * What stands for that name in an `Idempotency-Key`: the same in every process, of characters that a header takes. No other
 * start has a key of this form.
 */
export function planRunKeyName(key: string): string {
  return `plan-${createHash("sha256").update(key).digest("hex").slice(0, 40)}`;
}

/** True when an `Idempotency-Key` is that of a plan's start: the plan goes on with what is interrupted. */
export function isPlanRunKey(key: string | undefined): boolean {
  return key !== undefined && NAME_OF_PLAN.test(key);
}
