import { randomUUID } from "node:crypto";

/** A prefix for the keys of starts, for a new database. Nobody else makes keys that begin like this. */
export function newKeyPrefix(): string {
  return `db-${randomUUID()}.`;
}

/** True when the key begins with a prefix of some database. */
export function isPrefixed(key: string): boolean {
  return /^db-[0-9a-f-]{36}\./.test(key);
}
