import { type DrainSight, drainEngine } from "../../engine/background/index.js";
import { systemClock } from "../../shared/clock.js";
import { cleanLine } from "../../shared/text.js";

/** How many characters are shown of a session's name. */
const NAME_CHARACTERS = 60;

/**
 * Has this machine's engine begin nothing more, tells what goes on until it has ended by itself, and waits for that.
 * @param options.interruptAfterS after so many seconds what still goes on is interrupted
 * @returns the exit code: 0 when it has ended, else 1
 */
export async function askToDrain(options: {
  stateFolder: string;
  settingsKey: string | undefined;
  interruptAfterS: number | undefined;
  out: (text: string) => void;
}): Promise<number> {
  const { stateFolder, settingsKey, interruptAfterS, out } = options;
  let told: DrainSight | undefined;
  const { stopped, message } = await drainEngine(stateFolder, {
    settingsKey,
    interruptAfterMs: interruptAfterS === undefined ? undefined : interruptAfterS * 1000,
    onSight(sight) {
      const text = told ? tellChange(told, sight) : tellDrain(sight, interruptAfterS);
      told = sight;
      if (text) out(`${text}\n`);
    },
    clock: systemClock,
  });
  out(`${message}\n`);
  return stopped ? 0 : 1;
}

type Run = DrainSight["runs"][number];

function tellDrain(sight: DrainSight, interruptAfterS: number | undefined): string {
  const { pid, runs } = sight;
  const head = `The engine (process ${pid}) begins nothing more.`;
  const limit =
    interruptAfterS === undefined
      ? ""
      : ` What still goes on in ${interruptAfterS} s is interrupted, and its sessions can be continued.`;
  if (runs.length === 0) return [head, tellWaiting(sight)].filter(Boolean).join("\n");
  const count = runs.length === 1 ? "1 run goes on" : `${runs.length} runs go on`;
  return [
    `${head} ${count} there; then it ends by itself.${limit}`,
    ...runs.map((run) => `  ${nameOf(run)}${run.waiting_for ? ", waits for an answer" : ""}`),
    tellWaiting(sight),
    "Ctrl+C ends this command only.",
  ]
    .filter(Boolean)
    .join("\n");
}

function tellWaiting({ waiting, othersBegin }: DrainSight): string {
  if (waiting === 0) return "";
  const [count, begin, stay] =
    waiting === 1 ? ["1 run waits", "begins", "stays"] : [`${waiting} runs wait`, "begin", "stay"];
  return othersBegin
    ? `${count} and ${begin} at another worker.`
    : `${count} and ${stay} for the next engine.`;
}

function tellChange(before: DrainSight, { runs }: DrainSight): string {
  const ended = before.runs.filter(({ run_id }) => runs.every((run) => run.run_id !== run_id));
  return ended.map((run) => `  ended: ${nameOf(run)}`).join("\n");
}

function nameOf({ workflow_name, session_name, run_id }: Run): string {
  return `${workflow_name}, session "${cleanLine(session_name, NAME_CHARACTERS)}", run ${run_id}`;
}
