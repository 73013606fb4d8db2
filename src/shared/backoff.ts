/** Pauses between tries, in ms: each is twice as long as the one before, up to the longest. */
export interface Pauses {
  firstMs: number;
  longestMs: number;
}

/**
 * The pause after the try of this number, from 1, in ms.
 * @param random 0…1; given, the pause is between half and the whole, so that those that failed together do not come back
 * together
 */
export function pauseAfter(tries: number, { firstMs, longestMs }: Pauses, random = () => 1): number {
  const full = Math.min(longestMs, firstMs * 2 ** (tries - 1));
  return full / 2 + (full / 2) * random();
}
