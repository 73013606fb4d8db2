import { type OutboxReport, runOutboxSequence } from "./sequence.js";

/**
 * Drives seeded sequences of lost answers and ended processes between the outbox and simulated services.
 * @returns 1 when a rule was broken
 */
export async function runOutboxFaults(options: {
  seed: number;
  sequences: number;
  only: number | undefined;
}): Promise<number> {
  const { seed, sequences, only } = options;
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  const counts: Record<string, number> = {};
  const numbers = only === undefined ? Array.from({ length: sequences }, (_, index) => index + 1) : [only];
  let broken = 0;
  for (const number of numbers) {
    const report: OutboxReport = await runOutboxSequence(seed, number);
    for (const [name, count] of Object.entries(report.counts)) counts[name] = (counts[name] ?? 0) + count;
    for (const violation of report.violations) say(`${number}: ${violation}`);
    broken += report.violations.length;
    if (number % 100 === 0) say(`${number} sequences`);
  }
  say("");
  for (const [name, count] of Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)))
    say(`  ${String(count).padStart(7)}  ${name}`);
  say(`${numbers.length} sequences, ${broken} rules broken (seed ${seed})`);
  return broken > 0 ? 1 : 0;
}
