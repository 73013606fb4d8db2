import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Machine, MachineProcess } from "./machines.js";
import { monotonicMs } from "./monotonic.js";

/** The product as it was built last. */
const BIN = fileURLToPath(new URL("../../../dist/cli.js", import.meta.url));

/** The key of all workers. */
export const KEY = "a-key-of-the-whole-team";

/** A time in which something was so; open while it is. Both ends by the monotonic clock, in ms. */
export interface Span {
  from: number;
  to: number;
}

/** The built bin, as it serves on its machine. */
export interface ClusterProgram {
  index: number;
  machine: Machine;
  /** Its name among all that runs there. */
  name: string;
  /** Where it keeps its files. */
  home: string;
  /** Where it listens, or did last. */
  url(): string;
  state(): "up" | "frozen" | "down";
  /** Starts it on its folder. @returns whether it listens */
  start(): Promise<boolean>;
  freeze(): void;
  thaw(): void;
  /** Ends it at once; what it has started does not hear of it. */
  kill(): Promise<void>;
  /** Asks it to end, and waits for that. @returns the exit code or the signal */
  end(): Promise<number | string>;
  /** All that its processes have logged. */
  log(): string;
  /** When it was frozen, and when it was not there. */
  frozen: readonly Span[];
  down: readonly Span[];
}

/**
 * @param options.folder in which its home is made
 * @param options.args of the command, without where it listens
 * @param options.listens what it says when it listens, with its address
 */
export function createProgram(options: {
  index: number;
  machine: Machine;
  name: string;
  folder: string;
  args: readonly string[];
  listens: RegExp;
  env?: Record<string, string>;
  settings: Record<string, string>;
}): ClusterProgram {
  const { index, machine, name, settings, listens } = options;
  const home = join(options.folder, name);
  mkdirSync(home, { mode: 0o700 });
  const frozen: Span[] = [];
  const down: Span[] = [];
  let running: MachineProcess | undefined;
  let gone: Promise<number | string> = Promise.resolve(0);
  let isFrozen = false;
  let url = "";
  let log = "";

  const common = { NOTIFY: "off", API_KEY: KEY, STATE_DIR: home, LOG_LEVEL: "debug" };
  const env = {
    PATH: process.env.PATH,
    TMPDIR: process.env.TMPDIR,
    HOME: home,
    XDG_CONFIG_HOME: home,
    ...options.env,
    ...variables({ ...common, ...settings }),
  };

  async function start(): Promise<boolean> {
    if (running) return true;
    const args = [BIN, ...options.args, "--host", machine.host, "--port", "0"];
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
      const found = listens.exec(own)?.[1];
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
    ...{ index, machine, name, home, frozen, down, start, thaw },
    url: () => url,
    state: () => (isFrozen ? "frozen" : running ? "up" : "down"),
    freeze() {
      if (isFrozen || !running) return;
      isFrozen = true;
      running.signal("SIGSTOP");
      frozen.push({ from: monotonicMs(), to: Number.POSITIVE_INFINITY });
    },
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
    log: () => log,
  };
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
