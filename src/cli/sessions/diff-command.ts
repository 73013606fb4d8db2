import { describeWork, tellUncommitted } from "../../actions/describe-work.js";
import { diffAction } from "../../actions/diff.js";
import { ApiError } from "../../api/errors.js";
import type { Run } from "../../api/types.js";
import { mergeRun } from "../../runs/merge-run.js";
import { toRun } from "../../sessions/run-record.js";
import { findSession } from "./find-session.js";
import type { OpenServices } from "./open-services.js";
import { type PaintDiff, paintChanges, splitDiff } from "./render-diff.js";

/** The most that is asked for, in bytes: more than anybody reads, and still what a machine holds easily. */
const WHOLE_BYTES = 16 * 1024 * 1024;
/** Enough for a line of each file of a large change, in bytes: they come first. */
const STAT_BYTES = 1024 * 1024;
/** A large diff takes git and the way here some time, in ms. */
const WHOLE_MS = 60_000;

/**
 * Shows what a session's commits change, all of it. Nothing of the repository is taken for a terminal's commands.
 * @param options.stat only what changed in each file
 * @param options.openActing opens what can ask the engine, which is started where it is not running
 * @returns the exit code: 0, or 1 when several sessions have the name or there is nothing to show it by
 * @throws ActionError and ApiError when it cannot be had
 */
export async function diffInTerminal(
  reading: Pick<OpenServices, "services">,
  wanted: string,
  options: {
    stat: boolean;
    signal: AbortSignal;
    openActing: () => OpenServices;
    paint: PaintDiff;
    out: (text: string) => void;
    /** For what is no part of the diff. */
    note: (text: string) => void;
  },
): Promise<number> {
  const { out, note, signal } = options;
  const found = await findSession(wanted, reading.services);
  if ("message" in found) {
    note(`${found.message}\n`);
    return 1;
  }
  const { session, run: record } = found;
  const acting = options.openActing();
  try {
    await acting.discover();
    const { api, capabilities } = acting.services;
    if (!capabilities.hasEndpoint("diff")) {
      note(`This API does not show diffs. ${diffAction.instead}\n`);
      return 1;
    }
    const maxBytes = options.stat ? STAT_BYTES : WHOLE_BYTES;
    const { text, cut } = await api.readDiff(record.runId, maxBytes, { signal, timeoutMs: WHOLE_MS });
    const { stat, changes } = splitDiff(text);
    const run = await readRun();
    const loose = run ? tellUncommitted(run) : "";
    if (text.trim() === "")
      note(`Session "${session.name}" has ${loose ? "committed" : "changed"} nothing.\n`);
    else if (options.stat) out(`${stat}\n`);
    else out(`${stat}\n\n${paintChanges(changes, options.paint)}`);
    if (loose) note(`${loose}\n`);
    if (cut && (!options.stat || changes === "")) {
      const look = run && describeWork(run)?.look;
      const whole = look === undefined ? "" : ` In the repository, \`${look}\` shows the whole.`;
      note(`The diff is cut here, after ${maxBytes / 1024 / 1024} MiB.${whole}\n`);
    }
    return 0;

    /** The run as it stands; undefined where the API does not tell: its diff is there already. */
    async function readRun(): Promise<Run | undefined> {
      try {
        return mergeRun(toRun(record, session), await api.getRun(record.runId, { signal }));
      } catch (error) {
        if (error instanceof ApiError) return undefined;
        throw error;
      }
    }
  } finally {
    await acting.close();
  }
}
