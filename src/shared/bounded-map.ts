/**
 * Sets an entry as the newest of its map and drops the oldest ones beyond the limit: for what is only kept so that it
 * need not be found out again, or matters for a while only.
 */
export function setBounded<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, limit: number): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= limit) return;
    map.delete(oldest);
  }
}
