import { listTargets } from "../integrations/list-targets.js";
import type { Channel } from "../notices/channel.js";
import { chooseChannels } from "../notices/choose-channels.js";
import {
  type NoticeFacts,
  noticeOfEnd,
  noticeOfLimit,
  noticeOfQuestion,
  questionKey,
} from "../notices/notice.js";
import { createNotifier, type Notifier } from "../notices/notifier.js";
import { addNotice, settleNotices, settleQuestions } from "../notices/outbox.js";
import { createSecrets, type Secrets } from "../settings/secrets.js";
import type { Settings } from "../settings/settings.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { isToldToIssue } from "./run-issue.js";
import { costsMore } from "./runs/costs.js";
import type { EngineRun, RunQuestion } from "./runs/run.js";
import type { RunStore } from "./runs/run-store.js";
import type { WriteAlongside } from "./runs/write-changes.js";

/** What a person is told of the engine's runs while no window follows them. */
export interface RunNotices {
  /** Notes what is to be told in the transaction of what has happened. */
  write: WriteAlongside;
  /** Begins to tell, also what a former engine has left. */
  tell(runs: Pick<RunStore, "subscribe">): void;
  /** From now on the person is told in another way. */
  change(settings: NoticeSettings): void;
  close(): Promise<void>;
}

/** Those of notices and of other services. */
type NoticeSettings = Partial<Settings>;

/** Notices of the engine: it lives when no window does, and all that happens to a run goes through it. */
export function createRunNotices(options: {
  stateFolder: string;
  /** Of the PostgreSQL database in which the runs are, where engines share one. */
  shared?: { database: string } | undefined;
  settings: NoticeSettings;
  env: NodeJS.ProcessEnv;
  home: string;
  platform: NodeJS.Platform;
  /** Gets each secret of another service that is read, for the log never to show it. */
  onSecret?: ((secret: string) => void) | undefined;
  clock: Clock;
  log: Log;
}): RunNotices {
  const { clock, log } = options;
  let settings = options.settings;
  let channels = choose(settings);
  let isTelling = false;
  let notifier: Notifier | undefined;
  /** Former ones, which end what they are telling. */
  const closing = new Set<Promise<void>>();

  function secretsOf(settings: NoticeSettings): Secrets {
    return createSecrets({ ...options, settings });
  }

  function choose(settings: NoticeSettings): Channel[] {
    const chosen = chooseChannels(
      { ...settings, notify: settings.notify ?? "off" },
      options,
      secretsOf(settings),
    );
    if (chosen.problem) log.warn(`Not all notifications can be given: ${chosen.problem}.`);
    return chosen.channels;
  }

  function begin(): void {
    if (!isTelling) return;
    const secrets = secretsOf(settings);
    const targets = listTargets({ ...options, settings, secrets });
    if (channels.length + targets.length === 0) return;
    const place = { folder: options.stateFolder, address: options.shared?.database };
    notifier = createNotifier({ ...place, channels, targets, clock, log });
    notifier.look();
  }

  function end(): void {
    const ended = notifier?.close();
    notifier = undefined;
    if (ended) closing.add(ended.finally(() => closing.delete(ended)));
  }

  return {
    async write(trx, event, run) {
      if (channels.length > 0) await writeNotices(trx, event, run);
    },
    tell(runs) {
      isTelling = true;
      runs.subscribe(({ type }, run) => {
        if (TOLD.has(type) || isToldToIssue(type, run)) notifier?.look();
      });
      begin();
    },
    change(changed) {
      end();
      settings = changed;
      channels = choose(settings);
      begin();
    },
    async close() {
      end();
      await Promise.allSettled([...closing]);
    },
  };
}

/** After these there may be something to tell. */
const TOLD = new Set(["ended", "question-asked", "not-resumed", "cost", "result"]);

const writeNotices: WriteAlongside = async (trx, event, run) => {
  const { runId } = run;
  switch (event.type) {
    case "question-asked": {
      const question = event.data.question as RunQuestion;
      return addNotice(trx, runId, noticeOfQuestion(factsOf(run), question, event.at), event.at);
    }
    case "question-closed":
      return settleNotices(trx, [questionKey(runId, String(event.data.questionId))]);
    case "not-resumed": {
      const notice = noticeOfEnd(factsOf(run), event.at);
      const id = `${runId}/not-resumed`;
      return notice && addNotice(trx, runId, { ...notice, id }, event.at);
    }
    case "cost":
    case "result": {
      const notice = noticeOfLimit(factsOf(run), run.costLimitUsd, event.at);
      return notice && addNotice(trx, runId, notice, event.at);
    }
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
    costAtLeast: costsMore(run),
    error,
    result,
  };
}
