/**
 * True when `version` comes before `other`, by their numbers; what stands behind a hyphen does not count. Text that is
 * no version is older than nothing: what cannot be told is left alone.
 */
export function isOlder(version: string, other: string): boolean {
  const [a, b] = [numbers(version), numbers(other)];
  if (!a || !b) return false;
  const place = a.findIndex((number, index) => number !== b[index]);
  return place >= 0 && (a[place] as number) < (b[place] as number);
}

function numbers(version: string): number[] | undefined {
  const found = /^(\d+)\.(\d+)\.(\d+)(-|\+|$)/.exec(version);
  return found ? found.slice(1, 4).map(Number) : undefined;
}
