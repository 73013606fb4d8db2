import { driverFiles } from "../../plan-driver/index.js";
import { readSettings } from "../../settings/settings.js";
import { findSharedDatabase } from "../../settings/shared-database.js";
import { openBackgroundLog } from "../../shared/background/log-file.js";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import type { Invocation } from "../command-line.js";
import { describeServer, driverPlaceOf } from "../describe-server.js";
import { drivePlans } from "../plan-driver/drive-plans.js";
import { readHandedOver } from "../plan-driver/handed-over.js";
import { foreignEnvironment, onStopSignal, openLog } from "../process.js";

/** `plan-driver`: carries plans out in the background. Chat windows and commands start it; people have no use for it. */
export async function planDriver({ script }: Invocation): Promise<number> {
  process.stderr.on("error", () => {});
  const { began, partial, secrets: flags } = await readHandedOver(process.stdin);
  const settings = readSettings(process.env, flags);
  const secrets: (string | undefined)[] = [...Object.values(flags), findSharedDatabase(settings)];
  // Its folder is known with what it serves, and that needs the log.
  let write = (text: string) => process.stderr.write(text);
  const log = openLog({
    level: settings.logLevel,
    secrets,
    what: "the driver of plans",
    write: (text) => write(text),
  });
  const described = describeServer({
    settings,
    flags,
    script,
    log,
    secrets,
    partial,
    began,
    drivesPlans: true,
  });
  const { plans } = described;
  if (!plans) throw new Error("Plans need a place of their own, and there is none. Nothing was done.");
  const place = driverPlaceOf(plans.folder, settings);
  const files = driverFiles(place);
  await ensurePrivateFolder(files.folder);
  write = openBackgroundLog(files, "The driver's log").write;
  return drivePlans({
    settings,
    described: { ...described, plans },
    place,
    env: foreignEnvironment(),
    secrets,
    log,
    onSignal: onStopSignal,
  });
}
