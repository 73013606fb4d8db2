import { runAction } from "../../actions/run.js";
import { tellWhatHappened, withInterruption } from "../../actions/start/tell-interruption.js";
import { isOver } from "../../sessions/sessions.js";
import { findSession } from "./find-session.js";
import type { OpenServices } from "./open-services.js";
import { type Ask, createTerminalCall } from "./terminal-call.js";

/**
 * Goes on with a session by one new run, after the person agreed. Nothing is started to find out what is there.
 * @param options.message what the agent is told; left out, what has happened
 * @param options.openActing opens what can start a run, once the person has agreed
 * @returns the exit code: 0 when a run was started, 1 when none was, 3 when that is unknown
 * @throws ActionError and ApiError when it was certainly not started
 */
export async function resumeInTerminal(
  reading: Pick<OpenServices, "services">,
  wanted: string,
  options: {
    message: string | undefined;
    yes: boolean;
    ask: Ask;
    signal: AbortSignal;
    openActing: () => OpenServices;
    out: (text: string) => void;
  },
): Promise<number> {
  const { out, ask, yes } = options;
  const found = await findSession(wanted, reading.services);
  const refuse = (text: string) => {
    out(`${text}\n`);
    return 1;
  };
  if ("message" in found) return refuse(found.message);
  const { session } = found;
  const last = session.runs.at(-1);
  if (!last || !session.sessionId)
    return refuse(
      `Session "${session.name}" has no conversation that can be continued. Nothing was started.`,
    );
  if (!isOver(last))
    return refuse(
      `Session "${session.name}" has a run going on (${last.workflowName}, ${last.status}). Nothing was started.`,
    );
  const happened = tellWhatHappened(last);
  const given = options.message?.trim();
  const isInterrupted = last.errorCode === "interrupted" && happened !== undefined;
  const message = given && isInterrupted ? withInterruption(given, happened) : given || happened;
  if (!message)
    return refuse(
      `The last run of "${session.name}" has ended as it should. Say what is to be done now: ` +
        'sessions resume NAME "MESSAGE". Nothing was started.',
    );
  out(
    `This starts one paid run: ${last.workflowName} goes on with session "${session.name}".\nMessage: ${message}\n`,
  );
  if (!yes && !ask)
    return refuse("Nobody can be asked here. Nothing was started. --yes starts without asking.");
  if (!yes && !(await ask?.("Start it?"))) return refuse("Nothing was started, and nothing was paid.");
  const acting = options.openActing();
  try {
    await acting.discover();
    const args = {
      workflow_name: last.workflowName,
      session_id: session.sessionId,
      message,
      wait_seconds: 0,
    };
    // Without forms: whoever is in the terminal has been asked.
    const answer = await runAction.handle(
      args,
      createTerminalCall({ signal: options.signal }),
      acting.services,
    );
    out(`${answer.summary}\n`);
    if (answer.outcome !== "started") return answer.outcome === "unknown" ? 3 : 1;
    out(`\`automagik-workflows-mcp sessions show ${answer.run?.run_id} --follow\` shows what it does.\n`);
    return 0;
  } finally {
    await acting.close();
  }
}
