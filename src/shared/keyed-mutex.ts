/** Runs work one after the other for each key, in the order in which it was given; other keys do not wait. */
export interface InTurn {
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Resolves when all work given so far has ended, well or badly. */
  idle(): Promise<void>;
}

/** Creates an empty set of queues; a queue exists only while it has work. */
export function createInTurn(): InTurn {
  const tails = new Map<string, Promise<void>>();
  return {
    run: (key, work) => {
      const result = (tails.get(key) ?? Promise.resolve()).then(work);
      const tail = result.then(forget, forget);
      function forget(): void {
        if (tails.get(key) === tail) tails.delete(key);
      }
      tails.set(key, tail);
      return result;
    },
    idle: async () => {
      await Promise.all(tails.values());
    },
  };
}
