/**
 * Holds a release's tag against what is to be published: one version everywhere, and the repository whose workflow
 * publishes it, without which npm refuses the provenance.
 *
 *     tsx scripts/check-release.ts v1.2.3 owner/repository
 */
import { readFileSync } from "node:fs";
import { VERSION } from "../src/shared/version.js";

const [tag = "", repository = ""] = process.argv.slice(2);
const read = (path: string) => JSON.parse(readFileSync(new URL(`../${path}`, import.meta.url), "utf8"));
const about = read("package.json");
const server = read("server.json");
const plugin = read("plugin/.claude-plugin/plugin.json");

const failures: string[] = [];
function expectEqual(what: string, found: unknown, wanted: string): void {
  if (found !== wanted) failures.push(`${what} is ${String(found)}, and should be ${wanted}.`);
}
expectEqual("The tag", tag, `v${about.version}`);
expectEqual("server.json's version", server.version, about.version);
expectEqual("The version of server.json's package", server.packages[0]?.version, about.version);
expectEqual("The version of the Claude Code plugin", plugin.version, about.version);
expectEqual("src/shared/version.ts", VERSION, about.version);
expectEqual(
  "package.json's repository.url",
  about.repository?.url,
  `git+https://github.com/${repository}.git`,
);

for (const failure of failures) process.stderr.write(`${failure}\n`);
process.exitCode = failures.length > 0 ? 1 : 0;
