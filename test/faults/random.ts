/** Numbers that look random and are the same for the same seed. */
export interface Random {
  /** 0…1, without 1. */
  next(): number;
  /** A whole number from `from` up to and with `to`. */
  between(from: number, to: number): number;
  /** True so often of 1. */
  chance(of: number): boolean;
  pick<T>(values: readonly T[]): T;
}

/** Mixes texts and numbers to a seed, so that what is drawn for one thing does not depend on the order of others. */
export function mix(...parts: readonly (string | number)[]): number {
  let hash = 2_166_136_261;
  for (const char of parts.join("\u0000")) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16_777_619);
  return hash >>> 0;
}

/** The generator called mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }
  const between = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
  return {
    next,
    between,
    chance: (of) => next() < of,
    pick: (values) => values[between(0, values.length - 1)] as (typeof values)[number],
  };
}
