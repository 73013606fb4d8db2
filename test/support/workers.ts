import { once } from "node:events";
import { onTestFinished } from "vitest";
import { type ContractClient, createContractClient } from "../contract/upstream.js";
import { spawnBin, temporaryFolder, toVariables } from "./bin.js";
import { SCRIPTED_AGENT } from "./local-engine.js";
import { endAll, processesWith } from "./one-machine.js";
import { endOf, statusThat } from "./patient.js";

/** A key that is long enough for a network. */
export const WORKERS_KEY = "a-key-of-the-whole-team";

/** An engine in a process of its own, as a person starts it on one of several machines. */
export interface WorkerProcess extends ContractClient {
  url: string;
  /** Its home, in which all that belongs to it is. */
  home: string;
  /** Sends its process a signal; its agents do not get it. */
  signal(name: NodeJS.Signals): void;
  /** Its process has ended: the exit code, or the signal. */
  exited(): Promise<number | string>;
  /** What it has logged. */
  log(): string;
  /** Processes of its agents. */
  agents(): number[];
  /** Begins again on the same folder. @param changed settings that are others then */
  restart(changed?: Record<string, string>): Promise<WorkerProcess>;
  /** Starts a command at its machine, in a terminal with the same settings. */
  command(...words: string[]): ReturnType<typeof spawnBin>;
}

/** Its waits take as long as a busy machine needs. */
export function createPatientClient(url: string, apiKey = WORKERS_KEY): ContractClient {
  const client = createContractClient({ url, apiKey });
  return {
    ...client,
    until: (runId, fits) => statusThat(client, runId, fits),
    ended: (runId) => endOf(client, runId),
  };
}

/**
 * Starts `engine` of the built bin on a shared database, and waits until it listens.
 * @param database "" for an engine with a database of its own
 * @param settings variables without their common prefix
 * @param env other variables of its machine
 */
export async function startWorker(
  database: string,
  settings: Record<string, string> = {},
  home = temporaryFolder("automagik-worker-"),
  env: Record<string, string> = {},
): Promise<WorkerProcess> {
  const variables = {
    ...env,
    HOME: home,
    XDG_CONFIG_HOME: home,
    ...toVariables({
      API_KEY: WORKERS_KEY,
      STATE_DIR: home,
      DATABASE: database,
      CLAUDE_PATH: SCRIPTED_AGENT,
      ENGINE_SANDBOX: "off",
      ENGINE_CONCURRENCY: "2",
      ENGINE_WORKER_TIMEOUT: "3",
      ENGINE_MOVE_AFTER: "3",
      ...settings,
    }),
  };
  const bin = spawnBin(["engine", "--port", "0"], variables);
  const { child } = bin;
  const agents = () => processesWith(home).filter((pid) => pid !== child.pid);
  onTestFinished(() => {
    child.kill("SIGKILL");
    endAll(agents());
  });
  for (;;) {
    const url = /listens on (\S+?)\.\s/.exec(bin.stderr())?.[1];
    if (url) {
      return {
        ...createPatientClient(url),
        ...{ url, home, agents, exited: bin.ended, log: bin.stderr },
        signal: (name) => void child.kill(name),
        restart: (changed = {}) => startWorker(database, { ...settings, ...changed }, home, env),
        command: (...words) => spawnBin(words, variables),
      };
    }
    if (child.exitCode !== null) throw new Error(`The worker did not start: ${bin.stderr()}`);
    await Promise.race([once(child.stderr as NodeJS.ReadableStream, "data"), once(child, "exit")]);
  }
}
