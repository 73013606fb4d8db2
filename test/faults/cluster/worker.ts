import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Diary, readDiary } from "./diary.js";
import type { Machine, MachineProcess } from "./machines.js";
import { monotonicMs } from "./monotonic.js";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
/** As it was built last. */
const BIN = at("../../../dist/cli.js");
export const SCRIPTED_AGENT = at("../../support/scripted-agent");

/** The key of all workers. */
export const KEY = "a-key-of-the-whole-team";
/** After which time of silence a worker is gone, in s. */
export const WORKER_TIMEOUT_S = 3;

/** A time in which something was so; open while it is. Both ends by the monotonic clock, in ms. */
export interface Span {
  from: number;
  to: number;
}

/** An engine of the built bin, on its machine. */
export interface ClusterWorker {
  index: number;
  machine: Machine;
  /** Where it listens, or did last. */
  url(): string;
  state(): "up" | "frozen" | "down";
  /** Starts it on its folder. @returns whether it listens */
  start(): Promise<boolean>;
  freeze(): void;
  thaw(): void;
  /** Ends it at once; its agents do not hear of it. */
  kill(): Promise<void>;
  /** Asks it to end, and waits for that. @returns the exit code or the signal */
  end(): Promise<number | string>;
  /** By which the others know it; undefined before its first start. */
  id(): string | undefined;
  /** All that its processes have logged. */
  log(): string;
  /** When it was frozen, and when it was not there. */
  frozen: readonly Span[];
  down: readonly Span[];
  /** What its agents have written. */
  diary: Diary;
}

/** @param folder in which its home is made */
export function createClusterWorker(options: {
  index: number;
  machine: Machine;
  folder: string;
  database: string;
  agent?: string | undefined;
  settings?: Record<string, string>;
}): ClusterWorker {
  const { index, machine, database, settings = {}, agent = SCRIPTED_AGENT } = options;
  const home = join(options.folder, machine.name);
  const diaryFile = join(home, "diary.jsonl");
  mkdirSync(home, { mode: 0o700 });
  const frozen: Span[] = [];
  const down: Span[] = [];
  let running: MachineProcess | undefined;
  let gone: Promise<number | string> = Promise.resolve(0);
  let isFrozen = false;
  let url = "";
  let log = "";

  const env = {
    PATH: process.env.PATH,
    TMPDIR: process.env.TMPDIR,
    HOME: home,
    XDG_CONFIG_HOME: home,
    SCRIPTED_AGENT_DIARY: diaryFile,
    ...variables({
      NOTIFY: "off",
      API_KEY: KEY,
      STATE_DIR: home,
      DATABASE: database,
      CLAUDE_PATH: agent,
      LOG_LEVEL: "debug",
      ENGINE_SANDBOX: "off",
      ENGINE_CONCURRENCY: "2",
      ENGINE_WORKER_TIMEOUT: `${WORKER_TIMEOUT_S}`,
      ENGINE_MOVE_AFTER: "6",
      ...settings,
    }),
  };

  async function start(): Promise<boolean> {
    if (running) return true;
    const args = [BIN, "engine", "--host", machine.host, "--port", "0"];
    const started = await machine.run(process.execPath, args, env);
    const { child } = started;
    running = started;
    let own = "";
    let wake = () => {};
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        own += text;
        log += text;
        wake();
      });
    gone = once(child, "close").then(([code, signal]) => {
      if (running === started) running = undefined;
      down.push({ from: monotonicMs(), to: Number.POSITIVE_INFINITY });
      wake();
      return (code ?? signal) as number | string;
    });
    for (;;) {
      const found = /listens on (\S+?)\.\s/.exec(own)?.[1];
      if (found) {
        url = found;
        close(down);
        return true;
      }
      if (running !== started) return false;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  function thaw(): void {
    if (!isFrozen) return;
    isFrozen = false;
    running?.signal("SIGCONT");
    close(frozen);
  }

  return {
    index,
    machine,
    url: () => url,
    state: () => (isFrozen ? "frozen" : running ? "up" : "down"),
    start,
    freeze() {
      if (isFrozen || !running) return;
      isFrozen = true;
      running.signal("SIGSTOP");
      frozen.push({ from: monotonicMs(), to: Number.POSITIVE_INFINITY });
    },
    thaw,
    async kill() {
      running?.signal("SIGKILL");
      isFrozen = false;
      close(frozen);
      await gone;
    },
    async end() {
      thaw();
      running?.signal("SIGTERM");
      return gone;
    },
    id: () => readId(join(home, "engine", "worker-id")),
    log: () => log,
    frozen,
    down,
    diary: readDiary(diaryFile),
  };
}

function readId(file: string): string | undefined {
  return existsSync(file) ? /[0-9a-f-]{36}/.exec(readFileSync(file, "utf8"))?.[0] : undefined;
}

function close(spans: Span[]): void {
  const last = spans.at(-1);
  if (last?.to === Number.POSITIVE_INFINITY) last.to = monotonicMs();
}

function variables(settings: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`AUTOMAGIK_WORKFLOWS_${name}`, value]),
  );
}
