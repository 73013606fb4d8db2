/** Runs one piece of work at a time for each key, in the order in which it was given. Other keys do not wait. */
export interface KeyedMutex {
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Resolves when all work given so far has ended, well or badly. */
  idle(): Promise<void>;
}

/** A mutex without any work; it remembers a key only while there is work for it. */
export function createKeyedMutex(): KeyedMutex {
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
