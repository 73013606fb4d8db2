import { keepAwake } from "../../shared/background/keep-awake.js";
import { waitUntilEnded } from "../../shared/background/process-life.js";
import type { Clock } from "../../shared/clock.js";
import { askWorkers, findKey, type WorkersAnswer } from "./ask-workers.js";
import { writeDrainRequest } from "./drain-request.js";
import { createHealthProbe } from "./engine-health.js";
import { lookAtEngine } from "./look-at-engine.js";
import { ELSEWHERE, type StopOutcome } from "./stop-engine.js";

/** The pause between two looks at what goes on, in ms. */
const LOOK_MS = 500;

/** What goes on at an engine that begins nothing more. */
export interface DrainSight {
  pid: number;
  /** What has begun there and not ended. */
  runs: WorkersAnswer["workers"][number]["runs"];
  /** Runs that have not begun, at whatever engine. */
  waiting: number;
  /** Another engine is there that begins them. */
  othersBegin: boolean;
}

/**
 * Has this machine's engine begin nothing more, and waits until it has ended by itself. Whoever stops waiting changes
 * nothing of that.
 * @param options.interruptAfterMs after this time what still goes on is interrupted; left out, never
 * @param options.onSight called with each look once it begins nothing more
 * @throws what the file system throws when it cannot be asked
 */
export function drainEngine(
  stateFolder: string,
  options: {
    settingsKey: string | undefined;
    interruptAfterMs?: number | undefined;
    onSight: (sight: DrainSight) => void;
    clock: Clock;
  },
): Promise<StopOutcome> {
  return keepAwake(() => drain(stateFolder, options));
}

async function drain(
  stateFolder: string,
  { settingsKey, interruptAfterMs, onSight, clock }: Parameters<typeof drainEngine>[1],
): Promise<StopOutcome> {
  const sight = await lookAtEngine(stateFolder, { probe: createHealthProbe(), now: clock.now() });
  if (sight.kind === "none") return { stopped: true, message: "No engine is running." };
  if (sight.kind === "elsewhere") return { stopped: false, message: ELSEWHERE };
  const { holder } = sight;
  const engine = `The engine (process ${holder.pid})`;
  const refuse = (why: string) => ({ stopped: false, message: `${engine} ${why} Nothing was done.` });
  if (sight.kind === "unready") return refuse("is starting or ending just now: look again in a moment.");
  if (sight.kind === "silent")
    return refuse("does not answer. `automagik-workflows-mcp engine stop` ends one that hangs.");
  const { record } = sight;
  if ((await findKey(stateFolder, record.keyDigest, settingsKey)) === undefined)
    return refuse(
      "was started with another key than the one that is known here, without which it does not tell what goes on there. " +
        "Give its AUTOMAGIK_WORKFLOWS_API_KEY here, too.",
    );
  const ask = () => askWorkers(stateFolder, record, settingsKey);
  if (!(await ask()))
    return refuse(
      `is of version ${record.version}, which cannot be told to end by itself. ` +
        "`automagik-workflows-mcp engine stop` ends it at once, after naming its runs and asking.",
    );
  writeDrainRequest(
    stateFolder,
    holder,
    interruptAfterMs === undefined ? undefined : clock.now() + interruptAfterMs,
  );
  do {
    const found = await ask();
    const own = found?.workers.find(({ answers }) => answers);
    if (found && own?.state === "draining") onSight(toSight(holder.pid, found, own));
  } while (!(await waitUntilEnded(holder, LOOK_MS)));
  return { stopped: true, message: `${engine} has ended.` };
}

function toSight(
  pid: number,
  { workers, waiting }: WorkersAnswer,
  { runs }: WorkersAnswer["workers"][number],
): DrainSight {
  const othersBegin = workers.some(({ answers, state }) => !answers && state === "ready");
  return { pid, runs, waiting, othersBegin };
}
