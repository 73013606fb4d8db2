type Key = string | number;

/** Lists up to this long are added up anew each time: it takes less than a tenth of a millisecond. */
const SHORT = 1_000;

/**
 * Where each row of a long list begins. Of a list that only grows at its end, only what is new or has changed its height
 * is added up again, so that a hundred thousand rows cost as little as a hundred.
 */
export class RowOffsets {
  private tops = new Float64Array(64);
  private readonly heights = new Map<Key, number>();
  /** So many rows are added up rightly. */
  private known = 0;
  private count = 0;
  private firstKey: Key | undefined;
  private lastKey: Key | undefined;

  constructor(private readonly estimate: number) {}

  /** Adds up to `count` rows. */
  update(count: number, keyOf: (index: number) => Key): void {
    const grows =
      count > SHORT &&
      this.count > 0 &&
      this.count <= count &&
      keyOf(0) === this.firstKey &&
      keyOf(this.count - 1) === this.lastKey;
    if (!grows) this.known = 0;
    this.makeRoom(count + 1);
    for (let index = this.known; index < count; index += 1) {
      this.tops[index + 1] = this.top(index) + (this.heights.get(keyOf(index)) ?? this.estimate);
    }
    this.known = count;
    this.count = count;
    this.firstKey = count > 0 ? keyOf(0) : undefined;
    this.lastKey = count > 0 ? keyOf(count - 1) : undefined;
  }

  /** @returns true when the row was thought to be of another height; then `update` is due */
  measured(index: number, key: Key, height: number): boolean {
    if (Math.abs((this.heights.get(key) ?? this.estimate) - height) < 0.5) return false;
    this.heights.set(key, height);
    this.known = Math.min(this.known, index);
    return true;
  }

  /** Of the row, in CSS pixels; of the row behind the last one: how high all are. */
  top(index: number): number {
    return this.tops[index] ?? 0;
  }

  /** The row that has this height in it. */
  rowAt(at: number, count: number): number {
    let [low, high] = [0, Math.max(0, count - 1)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.top(middle) <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private makeRoom(length: number): void {
    if (this.tops.length >= length) return;
    const tops = new Float64Array(Math.max(length, this.tops.length * 2));
    tops.set(this.tops);
    this.tops = tops;
  }
}
