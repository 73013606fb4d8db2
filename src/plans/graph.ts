/** Which step needs which, for any number of steps: built in a time that grows with the number of needs. */
export interface PlanGraph {
  /** Ids so that each comes after all that it needs. */
  readonly order: readonly string[];
  /** Steps that need each other, each circle with its first step again at the end. */
  readonly circles: readonly (readonly string[])[];
  /** Whether `step` needs `other`, directly or through others. Of unknown ids false. */
  isUpstream(other: string, step: string): boolean;
  /** The steps that need it directly. */
  dependentsOf(id: string): readonly string[];
  /** All that need it, directly or through others, in order. */
  downstreamOf(id: string): readonly string[];
  /** 0 for a step that needs none, else one more than the deepest that it needs. */
  depthOf(id: string): number;
}

/** Needs that name no step, or close a circle, count as not there. Of two steps with one id the first counts. */
export function buildGraph(steps: readonly { id: string; needs: readonly string[] }[]): PlanGraph {
  const index = new Map<string, number>();
  const ids: string[] = [];
  for (const { id } of steps) {
    if (index.has(id)) continue;
    index.set(id, ids.length);
    ids.push(id);
  }
  const needs: number[][] = ids.map(() => []);
  for (const step of steps) {
    const own = index.get(step.id) as number;
    if (needs[own]?.length) continue;
    const known: number[] = [];
    for (const need of step.needs) {
      const at = index.get(need);
      if (at !== undefined && !known.includes(at)) known.push(at);
    }
    needs[own] = known;
  }
  const { order, circles } = sort(needs);

  // One bit for each step that comes before a step, by places in the order: what comes before is in the words up to its own.
  const words = Math.ceil(ids.length / 32);
  const upstream = new Uint32Array(ids.length * words);
  const placeOf = new Int32Array(ids.length);
  for (const [place, at] of order.entries()) placeOf[at] = place;
  const dependents: string[][] = ids.map(() => []);
  const depth = new Int32Array(ids.length);
  for (const at of order) {
    const own = (placeOf[at] as number) * words;
    for (const need of needs[at] as number[]) {
      const place = placeOf[need] as number;
      const theirs = place * words;
      for (let word = 0; word <= place >> 5; word++)
        upstream[own + word] = (upstream[own + word] as number) | (upstream[theirs + word] as number);
      const word = own + (place >> 5);
      upstream[word] = (upstream[word] as number) | (1 << (place & 31));
      dependents[need]?.push(ids[at] as string);
      depth[at] = Math.max(depth[at] as number, (depth[need] as number) + 1);
    }
  }

  function isUpstream(other: string, step: string): boolean {
    const [from, to] = [index.get(other), index.get(step)];
    if (from === undefined || to === undefined) return false;
    const place = placeOf[from] as number;
    const word = upstream[(placeOf[to] as number) * words + (place >> 5)] as number;
    return (word & (1 << (place & 31))) !== 0;
  }
  const ordered = order.map((at) => ids[at] as string);
  return {
    order: ordered,
    circles: circles.map((circle) => circle.map((at) => ids[at] as string)),
    isUpstream,
    dependentsOf: (id) => dependents[index.get(id) ?? -1] ?? [],
    downstreamOf: (id) => ordered.filter((step) => isUpstream(id, step)),
    depthOf: (id) => depth[index.get(id) ?? -1] ?? 0,
  };
}

/** Depth first, without recursion. Needs that close a circle are taken out of `needs`. */
function sort(needs: number[][]): { order: number[]; circles: number[][] } {
  const order: number[] = [];
  const circles: number[][] = [];
  /** 1 while a step is on the way, 2 when it is done. */
  const state = new Uint8Array(needs.length);
  for (let start = 0; start < needs.length; start++) {
    if (state[start] !== 0) continue;
    const way: { at: number; next: number }[] = [{ at: start, next: 0 }];
    state[start] = 1;
    while (way.length > 0) {
      const top = way[way.length - 1] as { at: number; next: number };
      const own = needs[top.at] as number[];
      const need = own[top.next];
      if (need === undefined) {
        state[top.at] = 2;
        order.push(top.at);
        way.pop();
      } else if (state[need] === 1) {
        const since = way.findIndex(({ at }) => at === need);
        circles.push([...way.slice(since).map(({ at }) => at), need]);
        own.splice(top.next, 1);
      } else {
        top.next++;
        if (state[need] === 0) {
          state[need] = 1;
          way.push({ at: need, next: 0 });
        }
      }
    }
  }
  return { order, circles };
}
