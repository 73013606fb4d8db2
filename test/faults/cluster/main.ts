import { mayMakeNamespaces } from "./machines.js";
import { runClusterSequences } from "./run-cluster.js";

const say = (line: string) => void process.stderr.write(`${line}\n`);

/**
 * `npm run faults -- cluster`: drives the sequences, and prints what came of them.
 * @returns the exit code: 1 when a rule was broken
 */
export async function runClusterFaults(options: {
  seed: number;
  sequences: number;
  only: number | undefined;
  atOnce: number;
}): Promise<number> {
  const { seed, sequences, only, atOnce } = options;
  const namespaces = await mayMakeNamespaces();
  say(
    namespaces
      ? "Three machines out of namespaces of this one, with servers on two, each with a cable to the database that is cut at times."
      : "Three processes on loopback: without root's rights there are no machines out of namespaces, and no cut links.",
  );
  const summary = await runClusterSequences({
    ...{ seed, namespaces, atOnce, brief: false },
    numbers: only === undefined ? Array.from({ length: sequences }, (_, index) => index + 1) : [only],
    ...(only === undefined ? {} : { trace: say }),
    onSequence({ number, violations, steps, tookMs }, done) {
      for (const what of violations) say(`${number}: ${what.slice(0, 500)}`);
      if (violations.length > 0 && only === undefined) for (const step of steps) say(`    ${step}`);
      if (done % 10 === 0) say(`${done} sequences (the last took ${Math.round(tookMs / 1000)} s)`);
    },
  });
  const list = (counts: Record<string, number>) =>
    Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(([name, times]) => `  ${String(times).padStart(7)}  ${name}`)
      .join("\n");
  say(`\nFaults:\n${list(summary.faults)}`);
  say(`Outcomes:\n${list(summary.outcomes)}`);
  say(`What is allowed, and should be known:\n${list(summary.named) || "        nothing"}`);
  say(
    `${summary.sequences} sequences of seed ${seed}: ${summary.runs} runs of clients, ${summary.plans} plans, ${summary.agents} agents, ${summary.events} events, ` +
      `${Math.round(summary.tookMs / 1000)} s, the slowest ${Math.round(summary.slowest.tookMs / 1000)} s (${summary.slowest.number})`,
  );
  say(`${summary.violations.length} violations`);
  for (const { number, what } of summary.violations.slice(0, 200)) {
    say(`- ${number}: ${what}`);
    say(`  again: npm run faults -- cluster --seed ${seed} --only ${number}`);
  }
  return summary.violations.length > 0 ? 1 : 0;
}
