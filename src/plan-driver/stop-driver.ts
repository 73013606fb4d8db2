import { keepAwake } from "../shared/background/keep-awake.js";
import { signalProcess, waitUntilEnded } from "../shared/background/process-life.js";
import type { Clock } from "../shared/clock.js";
import type { DriverPlace } from "./driver-files.js";
import { lookAtDriver } from "./look-at-driver.js";

/** Longer than an orderly end takes, in ms. */
const LIMIT_MS = 20_000;

/**
 * Ends the driver of these plans and waits until it is gone. Open plans stay open, and their runs go on.
 * Throws only what the system throws when the signal cannot be sent.
 * @returns false when it is still there
 */
export function stopDriver(
  place: DriverPlace,
  { clock, force = false }: { clock: Clock; force?: boolean },
): Promise<boolean> {
  return keepAwake(async () => {
    const sight = await lookAtDriver(place, clock.now());
    if (sight.kind === "none" || sight.kind === "elsewhere") return true;
    await signalProcess(sight.holder, "SIGTERM");
    if (await waitUntilEnded(sight.holder, LIMIT_MS)) return true;
    if (!force) return false;
    await signalProcess(sight.holder, "SIGKILL");
    return waitUntilEnded(sight.holder, LIMIT_MS);
  });
}
