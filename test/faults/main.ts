import { parseArgs } from "node:util";
import useMemoryFolder from "../support/memory-folder.js";
import { runClusterFaults } from "./cluster/main.js";
import { runOutboxFaults } from "./outbox/main.js";
import { runSequences, type Summary } from "./run-sequences.js";

/** How much the heap may grow between the first tenth of the sequences and the end, in MB. */
const GROWTH_MB = 25;

const { values, positionals } = parseArgs({
  // "cluster": several engines with one database, in place of the server with a failing API; "outbox": what is told elsewhere.
  allowPositionals: true,
  options: {
    seed: { type: "string", default: "1" },
    sequences: { type: "string" },
    only: { type: "string" },
    /** "modern": the client speaks protocol 2026-07-28. */
    era: { type: "string", default: "earlier" },
    "at-once": { type: "string" },
  },
});
const seed = Number(values.seed);
const say = (line: string) => void process.stderr.write(`${line}\n`);

const removeFolder = useMemoryFolder();
if (positionals[0] === "cluster") {
  const code = await runClusterFaults({
    seed,
    sequences: Number(values.sequences ?? 200),
    only: values.only === undefined ? undefined : Number(values.only),
    atOnce: Number(values["at-once"] ?? 2),
  });
  removeFolder?.();
  process.exit(code);
}
if (positionals[0] === "outbox") {
  const code = await runOutboxFaults({
    seed,
    sequences: Number(values.sequences ?? 500),
    only: values.only === undefined ? undefined : Number(values.only),
  });
  removeFolder?.();
  process.exit(code);
}
const summary = await runSequences({
  seed,
  sequences: Number(values.sequences ?? 1_000),
  era: values.era === "modern" ? "modern" : "earlier",
  atOnce: Number(values["at-once"] ?? 24),
  ...(values.only ? { only: [Number(values.only)], trace: say } : {}),
  onSequence(report, done) {
    if (report.violations.length > 0) say(`${report.number}: ${report.violations[0]?.slice(0, 300)}`);
    if (done % 100 === 0) say(`${done} sequences`);
  },
});
const problems = [
  ...summary.violations.map(({ number, what }) => `${number}: ${what}`),
  ...growth(summary),
  ...timers(summary),
];
print(summary);
removeFolder?.();
// Whatever is left open has been told.
process.exit(problems.length > 0 ? 1 : 0);

function growth({ memory }: Summary): string[] {
  const [first] = memory;
  const last = memory.at(-1);
  if (!globalThis.gc || memory.length < 5 || !first || !last) return [];
  const grown = last.heapMb - first.heapMb;
  return grown > GROWTH_MB ? [`0: the heap has grown by ${Math.round(grown)} MB`] : [];
}

/** Nothing but this program is at work here, so that no timer may be left. */
function timers({ handles }: Summary): string[] {
  return handles.includes("Timeout") ? ["0: a timer is left at the end"] : [];
}

function print(sum: Summary): void {
  const era = values.era === "modern" ? " --era modern" : "";
  const list = (counts: Record<string, number>) =>
    Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(([name, count]) => `  ${String(count).padStart(7)}  ${name}`)
      .join("\n");
  say("");
  say(`Faults:\n${list(sum.faults)}`);
  say(`Outcomes:\n${list(sum.outcomes)}`);
  if (values.era === "modern") say(`What the client did besides:\n${list(sum.deeds)}`);
  say(`Most bytes read of one answer:\n${list(sum.taken)}`);
  say(`Memory after a collection (${globalThis.gc ? "forced" : "not forced: node --expose-gc"}):`);
  for (const { after, heapMb, residentMb } of sum.memory) {
    say(`  after ${String(after).padStart(5)} sequences  heap ${heapMb} MB, resident ${residentMb} MB`);
  }
  say(`Open at the end: ${sum.handles.join(", ") || "nothing"}`);
  say(
    `${sum.sequences} sequences of seed ${seed}${era}: ${sum.calls} calls, ${sum.posts} POSTs, ${sum.runs} runs, ` +
      `${Math.round(sum.tookMs / 1000)} s, the slowest ${Math.round(sum.slowest.tookMs)} ms`,
  );
  say(`The process stood still for ${Math.round(sum.standstillMs)} ms at most`);
  say(`${problems.length} violations`);
  for (const problem of problems.slice(0, 200)) {
    say(`- ${problem}`);
    say(`  again: npm run faults -- --seed ${seed}${era} --only ${problem.split(":")[0]}`);
  }
}
