import { homedir } from "node:os";
import { resolve } from "node:path";
import { createRepositoryPermissions } from "../../engine/requirements.js";
import { systemClock } from "../../shared/clock.js";
import { runAllow } from "../allow/run-allow.js";
import type { Invocation } from "../command-line.js";
import { expandHome, foreignEnvironment } from "../process.js";

/** `allow [FOLDER]`: allows agents of this machine's engine to work on copies of a repository. */
export async function allow({ folder, list, remove }: Invocation): Promise<number> {
  const permissions = createRepositoryPermissions({
    env: foreignEnvironment(),
    platform: process.platform,
    home: homedir(),
    clock: systemClock,
  });
  return runAllow({
    permissions,
    folder: resolve(expandHome(folder ?? ".")),
    what: list ? "list" : remove ? "remove" : "allow",
    out: (text) => process.stdout.write(text),
  });
}
