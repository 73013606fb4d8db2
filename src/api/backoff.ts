/** The first pause between tries, in ms; each later one doubles, up to the cap. */
const FIRST_MS = 250;
const CAP_MS = 8_000;

/** The pause before try number `attempt` (from 1), in ms: doubling, with full jitter above its half. */
export function backoffMs(
  attempt: number,
  random: () => number,
  { firstMs = FIRST_MS, capMs = CAP_MS } = {},
): number {
  const full = Math.min(capMs, firstMs * 2 ** (attempt - 1));
  return full / 2 + (full / 2) * random();
}
