import type { Answer } from "../../actions/answer.js";
import type { Action } from "../../actions/define-action.js";
import { discardAction } from "../../actions/discard.js";
import { takeAction } from "../../actions/take.js";
import { ApiError } from "../../api/errors.js";
import { renderCheck } from "../../server/tools/output.js";
import { findSession } from "./find-session.js";
import type { OpenServices } from "./open-services.js";
import { splitDiff } from "./render-diff.js";
import { type Ask, createTerminalCall } from "./terminal-call.js";

export interface ActOptions {
  /** Without asking. */
  yes: boolean;
  ask: Ask;
  signal: AbortSignal;
  /** Opens what can ask the engine, which is started where it is not running. */
  openActing: () => OpenServices;
  out: (text: string) => void;
  /** For how far it is. */
  note: (text: string) => void;
}

/** The size of each file's changes is shown up to so many bytes of a diff. */
const STAT_BYTES = 64 * 1024;
/** And up to so many lines. */
const STAT_LINES = 40;

/**
 * Merges a session's commits into a branch, as `take` in a chat client does, after showing them and asking.
 * @returns the exit code: 0 merged, 1 nothing merged, 3 unknown
 * @throws ActionError and ApiError when certainly nothing was done
 */
export function takeInTerminal(
  reading: Pick<OpenServices, "services">,
  wanted: string,
  how: { into?: string | undefined; squash?: boolean; check?: string | undefined },
  options: ActOptions,
): Promise<number> {
  return act(takeAction, how, reading, wanted, options);
}

/**
 * Throws a session's worktree and branches away, as `discard` in a chat client does, after showing what goes and asking.
 * @returns the exit code: 0 thrown away, 1 nothing or not all, 3 unknown
 * @throws ActionError and ApiError when certainly nothing was done
 */
export function discardInTerminal(
  reading: Pick<OpenServices, "services">,
  wanted: string,
  options: ActOptions,
): Promise<number> {
  return act(discardAction, {}, reading, wanted, options);
}

async function act(
  action: Action,
  how: { into?: string | undefined; squash?: boolean; check?: string | undefined },
  reading: Pick<OpenServices, "services">,
  wanted: string,
  { yes, ask, signal, openActing, out, note }: ActOptions,
): Promise<number> {
  const found = await findSession(wanted, reading.services);
  if ("message" in found) {
    out(`${found.message}\n`);
    return 1;
  }
  const { runId } = found.run;
  const acting = openActing();
  const { services } = acting;
  try {
    await acting.discover();
    if (action.endpoint && !services.capabilities.hasEndpoint(action.endpoint)) {
      out(`This API cannot do that. ${action.instead}\n`);
      return 1;
    }
    out(await describeSize(runId, acting, signal));
    const call = createTerminalCall({
      signal,
      out,
      ask: yes ? undefined : ask,
      progress: (message) => note(`${message}\n`),
    });
    const answer = await action.handle(
      { run_id: runId, ...how, ...(yes ? { confirm: true } : {}) },
      call,
      services,
    );
    if (answer.outcome === "input_required" && !yes && !ask) {
      out("Nobody can be asked here. Nothing was done. --yes does it without asking.\n");
      return 1;
    }
    out(`${[answer.summary, answer.check && renderCheck(answer.check)].filter(Boolean).join("\n\n")}\n`);
    return exitCodeOf(answer);
  } finally {
    await acting.close();
  }
}

function exitCodeOf({ outcome }: Answer): number {
  if (outcome === "ok") return 0;
  return outcome === "unknown" ? 3 : 1;
}

/** What changed in each file; "" where that cannot be had, since the action says what is wrong. */
async function describeSize(
  runId: string,
  { services: { api, capabilities } }: OpenServices,
  signal: AbortSignal,
): Promise<string> {
  if (!capabilities.hasEndpoint("diff")) return "";
  try {
    const { text } = await api.readDiff(runId, STAT_BYTES, { signal });
    const lines = splitDiff(text).stat.split("\n");
    if (lines.length === 1) return lines[0] === "" ? "" : `${lines[0]}\n\n`;
    const left = lines.length - STAT_LINES;
    const shown =
      left > 0 ? [...lines.slice(0, STAT_LINES), ` and ${left} more lines; sessions diff shows all`] : lines;
    return `${shown.join("\n")}\n\n`;
  } catch (error) {
    if (error instanceof ApiError) return "";
    throw error;
  }
}
