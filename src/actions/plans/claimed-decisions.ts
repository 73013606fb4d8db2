/** Decisions about plans that a call of this server is asking the person for: no other call asks the same. */
export interface ClaimedDecisions {
  /** False when it is asked already. */
  claim(decision: string): boolean;
  release(decision: string): void;
}

/** Keeps them as long as they are asked. */
export function createClaimedDecisions(): ClaimedDecisions {
  const claimed = new Set<string>();
  return {
    claim(decision) {
      if (claimed.has(decision)) return false;
      claimed.add(decision);
      return true;
    },
    release: (decision) => void claimed.delete(decision),
  };
}
