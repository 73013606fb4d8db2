/**
 * Runs the official MCP conformance suite against the server over HTTP:
 *
 *     npm run conformance [-- --own-node] [-- --verbose] [-- --revision 2026-07-28]
 *
 * Twice: against the product (the built bin before a simulated API), and against the suite's fixtures mounted on the
 * product's parts (test/conformance/). What may fail stands in test/conformance/expected-failures.yaml with its
 * reason; any other failure, and a listed scenario that passes, ends with exit code 1. Suites that need Node 22 are
 * run by one from npm when this Node is older, unless `--own-node` says not to. The suites are fetched rather than
 * depended on: each brings some hundred packages, and two of the three do not run on the oldest Node we support.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { createLog } from "../src/shared/log.js";
import { readExpectedFailures, type Target } from "../test/conformance/expected-failures.js";
import { ROOMY, serveFixtures } from "../test/conformance/serve-fixtures.js";
import { binOf, findNode, installScratch, isAtLeast } from "./scratch-packages.js";
import { serveProduct } from "./serve-product.js";

interface Suite {
  version: string;
  /** The oldest Node that it runs on; found by trying, not all of them say it. */
  node: string;
  /** From this Node on a newer one takes its place. */
  until?: string;
  /** Revisions of the protocol, one run for each; as many as the suite has when left out. */
  revisions?: readonly string[];
}

/** The newest stable suite and the newest one for each Node; only that of 0.2 knows revision 2026-07-28. */
const SUITES: readonly Suite[] = [
  { version: "0.1.13", node: "20.20", until: "22.0" },
  { version: "0.1.16", node: "22.0" },
  { version: "0.2.0-alpha.12", node: "22.0", revisions: ["2025-06-18", "2025-11-25", "2026-07-28"] },
];

const { values } = parseArgs({
  options: { "own-node": { type: "boolean" }, verbose: { type: "boolean" }, revision: { type: "string" } },
});
const expected = readExpectedFailures(
  fileURLToPath(new URL("../test/conformance/expected-failures.yaml", import.meta.url)),
);
const log = createLog({ level: values.verbose ? "warn" : "silent", stderr: process.stderr });

/** One origin to test. Sessions are many: the suite leaves those open in which something has failed. */
const targets: Record<Target, () => Promise<{ url: string; close(): Promise<void> }>> = {
  product: () => serveProduct({ ERA: "auto", HTTP_MAX_SESSIONS: `${ROOMY}`, HTTP_RATE: "6000" }),
  fixtures: () => serveFixtures(log),
};

/** What the suite has written down, in words: it keeps a folder for each scenario, with its checks. */
function tellChecks(folder: string): string {
  const scenarios = readdirSync(folder).map((scenario) => {
    const checks = JSON.parse(readFileSync(join(folder, scenario, "checks.json"), "utf8")) as {
      status: string;
    }[];
    return checks.map(({ status }) => status);
  });
  const isBad = (status: string) => status === "FAILURE" || status === "WARNING";
  const good = scenarios.filter((statuses) => !statuses.some(isBad)).length;
  const count = (wanted: string) => scenarios.flat().filter((status) => status === wanted).length;
  return (
    `${good} of ${scenarios.length} scenarios passed, ${scenarios.length - good} not; ` +
    `${count("SUCCESS")} checks passed, ${count("FAILURE")} failed, ${count("WARNING")} warned`
  );
}

/** Runs a suite once. @returns whether all was as expected */
async function run(
  suite: Suite,
  node: string,
  target: Target,
  revision: string | undefined,
): Promise<boolean> {
  const script = binOf(installScratch("@modelcontextprotocol/conformance", suite.version), "conformance");
  const era = revision === "2026-07-28" ? "modern" : "legacy";
  const listed = expected.filter(
    (entry) => entry.server === target && suite.version.startsWith(entry.suite) && (entry.era ?? era) === era,
  );
  const folder = mkdtempSync(join(tmpdir(), "conformance-"));
  const { url, close } = await targets[target]();
  try {
    const baseline = join(folder, "baseline.yaml");
    writeFileSync(baseline, stringify({ server: listed.map(({ scenario }) => scenario) }));
    const results = join(folder, "results");
    // As people write it; the suite sends the same name as Host and Origin.
    const address = `${url.replace("127.0.0.1", "localhost")}/mcp`;
    const args = [
      "server",
      "--url",
      address,
      "--suite",
      "all",
      "-o",
      results,
      "--expected-failures",
      baseline,
    ];
    const child = spawn(node, [script, ...args, ...(revision ? ["--spec-version", revision] : [])]);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
    }
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject).once("close", resolve);
    });
    if (code !== 0 || values.verbose) process.stdout.write(output);
    const which = `suite ${suite.version}${revision ? `, revision ${revision}` : ""}, ${target}`;
    const isGood = code === 0;
    process.stdout.write(`${isGood ? "ok  " : "FAIL"} ${which}: ${tellChecks(results)}\n`);
    return isGood;
  } finally {
    await close();
    rmSync(folder, { recursive: true, force: true });
  }
}

let isGood = true;
let runs = 0;
for (const suite of SUITES) {
  const revisions: readonly (string | undefined)[] = suite.revisions ?? [undefined];
  if (values.revision !== undefined && !revisions.includes(values.revision)) continue;
  const runsHere = isAtLeast(process.versions.node, suite.node);
  if (suite.until && isAtLeast(process.versions.node, suite.until)) continue;
  if (!runsHere && values["own-node"]) {
    process.stdout.write(`left out: suite ${suite.version} needs Node ${suite.node}\n`);
    continue;
  }
  let node: string;
  try {
    node = findNode(suite.node);
  } catch (error) {
    process.stdout.write(`left out: suite ${suite.version}. ${(error as Error).message}\n`);
    continue;
  }
  for (const revision of revisions) {
    if (values.revision !== undefined && revision !== values.revision) continue;
    for (const target of ["product", "fixtures"] as const) {
      runs++;
      isGood = (await run(suite, node, target, revision)) && isGood;
    }
  }
}
process.exit(isGood && runs > 0 ? 0 : 1);
