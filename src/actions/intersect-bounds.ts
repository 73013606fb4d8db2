import type { Bounds } from "../api/description.js";

/**
 * Our bounds of a number and the API's together. Theirs are ignored where nothing would fit both: then
 * they are a mistake, or mean something else, another unit for instance.
 */
export function intersectBounds(ours: Required<Bounds>, theirs: Bounds | undefined): Required<Bounds> {
  const min = Math.max(ours.min, theirs?.min ?? ours.min);
  const max = Math.min(ours.max, theirs?.max ?? ours.max);
  return min > max ? ours : { min, max };
}
