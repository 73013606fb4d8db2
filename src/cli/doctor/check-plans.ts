import { type DriverPlace, driverFiles } from "../../plan-driver/index.js";
import { DBOS, versionOfDbos } from "../../plan-runner/dbos/load-dbos.js";
import { lookAtPlans, tellPlans } from "../plan-driver/tell-driver.js";
import { ok, type Result, warning } from "./finding.js";

/**
 * Looks at the open plans and at the process that carries them out, without starting it.
 * @param options.shorten writes the home by its short name
 * @param options.address of the PostgreSQL database in which the plans are, where several servers share one
 * @throws StoreError when the plans cannot be read
 */
export async function checkPlans(
  place: DriverPlace,
  { shorten, address }: { shorten: (path: string) => string; address?: string | undefined },
): Promise<Result> {
  const result = judge(await lookAtPlans(place, address), place, shorten);
  return address === undefined ? result : withDbos(result);
}

function judge(
  found: Awaited<ReturnType<typeof lookAtPlans>>,
  place: DriverPlace,
  shorten: (path: string) => string,
): Result {
  const { sight, open, going } = found;
  const told = tellPlans(found);
  if (open.length === 0) return ok(told);
  if (sight.kind === "drives" && sight.record.keyRefused)
    return warning(
      `${told}; the API refuses the key that this process has`,
      "Open a chat window with a key that holds: it takes over. Nothing is started meanwhile.",
    );
  if (sight.kind === "none" && going > 0)
    return warning(
      told,
      "Open a chat window, or use `automagik-workflows-mcp plan show NAME`: they go on then. Why it has ended stands in " +
        `${shorten(driverFiles(place).log)}.`,
    );
  return ok(told);
}

/** What brings plans of a shared database to those who carry them out. */
function withDbos(result: Result): Result {
  const version = versionOfDbos();
  if (version !== undefined)
    return { ...result, message: `${result.message}; DBOS ${version} brings them to who does so` };
  return warning(
    `${result.message}; the npm package "${DBOS}" is not installed`,
    `Where plans are begun or carried out, install it beside this one: npm install ${DBOS} (with -g where this one was installed so). The command \`engine\` does without it.`,
  );
}
