import { onTestFinished } from "vitest";
import { chooseChannels, type NotifySettings } from "../../src/notices/choose-channels.js";
import { noticeOfEnd } from "../../src/notices/notice.js";
import { createNotifier, type Notifier } from "../../src/notices/notifier.js";
import { GRACE_MS } from "../../src/notices/outbox.js";
import { createSecrets } from "../../src/settings/secrets.js";
import { readSettings } from "../../src/settings/settings.js";
import { createLog } from "../../src/shared/log.js";
import { temporaryFolder, toVariables } from "./bin.js";
import { createHandClock, type HandClock } from "./hand-clock.js";
import { until } from "./harness.js";
import { type StoredDelivery, storedDeliveries } from "./notices.js";

/** One process that tells by what is set, on a clock that is moved by hand. */
export interface Telling {
  folder: string;
  clock: HandClock;
  /** Notes that a run has ended. */
  end(runId: string, error?: string): void;
  /** Moves the clock on until the delivery of the run's end has come to this. */
  untilState(runId: string, state: string): Promise<StoredDelivery>;
  notifier: Notifier;
  /** What the log has. */
  lines(): string;
}

/** @param variables without their prefix */
export function tellBy(variables: Record<string, string>, folder = temporaryFolder()): Telling {
  const settings: NotifySettings = readSettings(toVariables(variables));
  const clock = createHandClock();
  let lines = "";
  const hidden: string[] = [];
  const write = (text: string | Uint8Array) => {
    lines += text;
    return true;
  };
  const machine = { env: { PATH: process.env.PATH }, platform: "linux" as const, home: folder };
  const secrets = createSecrets({ settings, ...machine, onSecret: (one) => hidden.push(one) });
  const log = createLog({ level: "debug", secrets: hidden, stderr: { write } });
  const { channels } = chooseChannels(settings, machine, secrets);
  const notifier = createNotifier({ folder, channels, clock, log });
  onTestFinished(() => notifier.close());
  return {
    folder,
    clock,
    notifier,
    lines: () => lines,
    end(runId, error) {
      const facts = { runId, sessionName: runId, status: error ? "failed" : "completed", error, turns: 12 };
      const notice = noticeOfEnd(facts, clock.now());
      if (!notice) throw new Error("no notice");
      notifier.add(runId, notice, clock.now());
    },
    async untilState(runId, state) {
      const find = () =>
        storedDeliveries(folder).find((one) => one.id === `${runId}/ended` && one.state === state);
      await until(() => {
        if (find()) return true;
        clock.advance(GRACE_MS / 10);
        return false;
      }, `${runId} to be ${state}`);
      return find() as StoredDelivery;
    },
  };
}
