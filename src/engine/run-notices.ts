import { chooseChannels } from "../notices/choose-channels.js";
import { type NoticeFacts, noticeOfEnd, noticeOfQuestion, questionKey } from "../notices/notice.js";
import { createNotifier, type Notifier } from "../notices/notifier.js";
import { addNotice, settleNotices, settleQuestions } from "../notices/outbox.js";
import type { Settings } from "../settings/settings.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import type { EngineRun, RunQuestion } from "./runs/run.js";
import type { RunStore } from "./runs/run-store.js";
import type { WriteAlongside } from "./runs/write-changes.js";

/** What a person is told of the engine's runs while no window follows them. */
export interface RunNotices {
  /** Notes what is to be told in the transaction of what has happened; undefined when nothing is told. */
  write: WriteAlongside | undefined;
  /** Begins to tell, also what a former engine has left. */
  tell(runs: Pick<RunStore, "subscribe">): void;
  close(): Promise<void>;
}

/** Notices of the engine: it lives when no window does, and all that happens to a run goes through it. */
export function createRunNotices(options: {
  stateFolder: string;
  settings: Partial<Pick<Settings, "notify" | "notifyCommand">>;
  env: NodeJS.ProcessEnv;
  home: string;
  platform: NodeJS.Platform;
  clock: Clock;
  log: Log;
}): RunNotices {
  const { settings, clock, log } = options;
  const { notify = "off", notifyCommand } = settings;
  const chosen = chooseChannels({ notify, notifyCommand }, options);
  if (chosen.problem) log.warn(`Notifications cannot be shown on the desktop: ${chosen.problem}.`);
  if (chosen.channels.length === 0) return { write: undefined, tell() {}, async close() {} };
  let notifier: Notifier | undefined;
  return {
    write: writeNotices,
    tell(runs) {
      const started = createNotifier({
        folder: options.stateFolder,
        channels: chosen.channels,
        clock,
        log,
      });
      notifier = started;
      runs.subscribe(({ type }) => {
        if (type === "ended" || type === "question-asked") started.look();
      });
      started.look();
    },
    close: async () => notifier?.close(),
  };
}

const writeNotices: WriteAlongside = async (trx, event, run) => {
  const { runId } = run;
  switch (event.type) {
    case "question-asked": {
      const question = event.data.question as RunQuestion;
      return addNotice(trx, runId, noticeOfQuestion(factsOf(run), question, event.at), event.at);
    }
    case "question-closed":
      return settleNotices(trx, [questionKey(runId, String(event.data.questionId))]);
    case "ended": {
      await settleQuestions(trx, runId);
      const notice = noticeOfEnd(factsOf(run), event.at);
      if (notice) await addNotice(trx, runId, notice, event.at);
    }
  }
};

function factsOf(run: EngineRun): NoticeFacts {
  const { runId, sessionName, request, status, turn, costUsd, error, result } = run;
  return {
    runId,
    sessionName,
    workflowName: request.workflowName,
    status,
    turns: turn,
    costUsd,
    error,
    result,
  };
}
