/** Time without what the machine has taken away: while the process stands still, it does too. */
export interface SteadyTime {
  /** In ms since some moment; of two moments the later one is always the greater. */
  now(): number;
  /** All that was taken away so far, in ms. */
  lost(): number;
  /** The longest time in which nothing could happen, in ms. */
  longestStandstill(): number;
  stop(): void;
}

/** How often is looked whether the process gets on, in ms. */
const LOOK_MS = 10;

/** What lies between two moments while the process stands still, in ms. */
const TICK_MS = 1e-6;

/** Bounds are about what the product waits for; a busy machine, or many sequences at once, must not break them. */
export function createSteadyTime(): SteadyTime {
  let lookedAt = performance.now();
  let lost = 0;
  let longest = 0;
  let told = 0;
  const overdue = () => Math.max(0, performance.now() - lookedAt - LOOK_MS);
  const timer = setInterval(() => {
    const stood = overdue();
    lost += stood;
    longest = Math.max(longest, stood);
    lookedAt = performance.now();
  }, LOOK_MS);
  timer.unref();
  return {
    now() {
      told = Math.max(told + TICK_MS, performance.now() - lost - overdue());
      return told;
    },
    lost: () => lost + overdue(),
    longestStandstill: () => longest,
    stop: () => clearInterval(timer),
  };
}
