/**
 * What differs between two states of a JSON value: a place and what stands there now, or only the place when
 * nothing does any more. Places are set, never shifted, so a change that is applied twice does no harm.
 */
export type JsonChange = [path: (string | number)[], value?: unknown];

/**
 * The changes that turn `before` into `after`, both plain JSON objects (`undefined` counts as absent). An array
 * that has grown costs what was added; one that has shrunk is written whole, since the short ones do that (a queue).
 */
export function changesBetween(before: object, after: object): JsonChange[] {
  const changes: JsonChange[] = [];
  collect(before, after, [], changes);
  return changes;
}

function collect(before: unknown, after: unknown, path: (string | number)[], changes: JsonChange[]): void {
  if (before === after) return;
  if (Array.isArray(before) && Array.isArray(after) && after.length >= before.length) {
    for (const [index, value] of after.entries()) collect(before[index], value, [...path, index], changes);
  } else if (isObject(before) && isObject(after)) {
    for (const key of Object.keys(before)) {
      if (before[key] !== undefined && after[key] === undefined) changes.push([[...path, key]]);
    }
    for (const [key, value] of Object.entries(after)) {
      if (value !== undefined) collect(before[key], value, [...path, key], changes);
    }
  } else {
    changes.push([path, after]);
  }
}

/**
 * Applies changes to `target` in place. False when one of them does not fit, which means that they belong to
 * another state; those before it have been applied then.
 */
export function applyChanges(target: object, changes: readonly JsonChange[]): boolean {
  return changes.every(([path, ...value]) => {
    let place: unknown = target;
    for (const step of path.slice(0, -1)) place = has(place, step) ? place[step] : undefined;
    const last = path.at(-1);
    if (Array.isArray(place)) {
      if (typeof last !== "number" || last > place.length || value.length === 0) return false;
      place[last] = value[0];
      return true;
    }
    if (!isObject(place) || typeof last !== "string" || last === "__proto__") return false;
    if (value.length === 0) delete place[last];
    else place[last] = value[0];
    return true;
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function has(value: unknown, key: string | number): value is Record<string | number, unknown> {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key);
}
