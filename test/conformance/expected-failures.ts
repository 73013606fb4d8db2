import { readFileSync } from "node:fs";
import { parse } from "yaml";
import * as z from "zod";

const entries = z.array(
  z.strictObject({
    /** What is tested: the product itself, or the suite's fixtures on the product's parts. */
    server: z.enum(["product", "fixtures"]),
    /** A scenario, or one check of it: "scenario:check". */
    scenario: z.string().min(1),
    /** Revision 2026-07-28 is "modern", all others are "legacy"; both when left out. */
    era: z.enum(["legacy", "modern"]).optional(),
    /** How the versions of the suite begin for which this holds; all when left out. */
    suite: z.string().default(""),
    reason: z.string().min(10),
  }),
);

export type ExpectedFailure = z.output<typeof entries>[number];
export type Target = ExpectedFailure["server"];

/** Reads the list of what may fail. @throws when an entry has no reason or is there twice */
export function readExpectedFailures(path: string): ExpectedFailure[] {
  const list = entries.parse(parse(readFileSync(path, "utf8")));
  const names = list.map(({ server, scenario, suite, era }) => [server, scenario, suite, era].join(" "));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice) throw new Error(`${path} has twice: ${twice}`);
  return list;
}
