import { fileURLToPath } from "node:url";

/** What a part of the benchmark is told. */
export interface BenchOptions {
  /** How often each thing is measured; each part has a default of its own. */
  rounds?: number;
  print(line: string): void;
}

/** Measures one thing and prints it. @returns the goals that were missed, worded for a person */
export type BenchPart = (options: BenchOptions) => Promise<string[]>;

/** The bin as it is published; the command builds it first. */
export const BIN = fileURLToPath(new URL("../dist/cli.js", import.meta.url));

/** The middle one of the values; NaN of none. */
export function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}
