import { digestOf, newSecret } from "../../dashboard/index.js";
import {
  askForLink,
  type DriverPlace,
  DriverUnavailable,
  isTakenUp,
  lookAtDriver,
  readDashboardRecord,
  withdrawLink,
} from "../../plan-driver/index.js";
import { keepAwake } from "../../shared/background/keep-awake.js";
import { type Clock, sleep } from "../../shared/clock.js";
import { asUnwritable } from "../../shared/private-files.js";

/** So long a driver may take to serve the dashboard, in ms; a driver that ends meanwhile is replaced by another one. */
const TIMEOUT_MS = 15_000;
const LOOK_MS = 50;
/** So often it is seen to that a driver is there, in ms. */
const FIND_MS = 3_000;

/**
 * A link that opens, once, the dashboard which the driver of this place serves.
 * @param options.findDriver makes sure that there is one
 * @throws DriverUnavailable when none serves it; UnwritableError when it cannot be asked for
 */
export function makeLink(options: {
  place: DriverPlace;
  findDriver: () => Promise<void>;
  clock: Clock;
}): Promise<string> {
  return keepAwake(() => make(options));
}

async function make({ place, findDriver, clock }: Parameters<typeof makeLink>[0]): Promise<string> {
  const code = newSecret();
  const digest = digestOf(code);
  const until = clock.elapsed() + TIMEOUT_MS;
  try {
    while (clock.elapsed() < until) {
      // Asked for before the driver is looked for: one that is about to end sees it, and stays.
      await askForLink(place, digest).catch((error) => {
        throw asUnwritable(error);
      });
      await findDriver();
      if ((await lookAtDriver(place, clock.now())).kind === "elsewhere")
        throw new DriverUnavailable(
          "Plans are carried out on another machine or in another container that shares the state folder: open the dashboard there. Nothing was started.",
        );
      const again = Math.min(until, clock.elapsed() + FIND_MS);
      while (clock.elapsed() < again) {
        const url = (await isTakenUp(place, digest)) ? await findAddress(place, clock) : undefined;
        if (url !== undefined) return `${url}/dashboard/open?code=${code}`;
        await sleep(clock, LOOK_MS);
      }
    }
    throw new DriverUnavailable(
      `The process that carries plans out did not serve the dashboard within ${TIMEOUT_MS / 1000} s. \`automagik-workflows-mcp doctor\` tells where its log is.`,
    );
  } finally {
    await withdrawLink(place, digest);
  }
}

/** Where the driver serves that is there now: one that was killed has left its own address behind. */
async function findAddress(place: DriverPlace, clock: Clock): Promise<string | undefined> {
  const [sight, record] = await Promise.all([lookAtDriver(place, clock.now()), readDashboardRecord(place)]);
  return sight.kind === "drives" && record?.pid === sight.record.pid ? record.url : undefined;
}
