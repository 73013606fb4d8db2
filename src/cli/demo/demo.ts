import { existsSync } from "node:fs";
import { createAsk } from "../install/ask.js";
import { chooseApproval, createAutomaticAnswerer, createKeyboardAnswerer } from "./answer-form.js";
import { createScreen } from "./screen.js";
import { playSimulated } from "./simulated.js";
import { chooseUnattended, playWithEngine } from "./with-engine.js";

export interface DemoOptions {
  /** With `output` a terminal too, the form is answered here. */
  input: NodeJS.ReadStream;
  /** May be stdout: the demo serves nobody, so it is free. */
  output: NodeJS.WriteStream;
  /** Where it is said that the demo failed. */
  errors: NodeJS.WritableStream;
  env: NodeJS.ProcessEnv;
  /** Calls the listener at each of these signals, until the function is called that it gives. */
  onSignal: (listener: (signal: keyof typeof SIGNALS) => void) => () => void;
  /** How long a turn of the simulated run takes, in ms. Default 1000. */
  paceMs?: number;
  /** The built server's script. */
  serverScript: string;
  /** With it the run is a real one, of Claude Code on this machine. */
  engine?: {
    claudePath?: string | undefined;
    /** The person has agreed beforehand that it costs something. */
    yes: boolean;
  };
}

/** Exit codes of an ended program by convention: 128 and the signal's number. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
/** What is shown of the server's own log after a failure, in characters. */
const LOG_LIMIT = 2_000;

/**
 * Shows the main job from end to end: a chat client, the built server as its child, and a simulated API or a real
 * agent, all on this machine. Leaves nothing behind, however it ends. Never throws: a failure is told in plain words.
 * @returns the exit code: not 0 after a failure or a signal, nor for a real agent that is not there or that nobody has
 *   agreed to
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { input, output, errors, env } = options;
  const stopping = new AbortController();
  let exitCode = 0;
  const stop = (code: number) => {
    exitCode ||= code;
    stopping.abort(new Error("The demo was stopped."));
  };
  const offSignal = options.onSignal((signal) => stop(SIGNALS[signal]));
  // The reader has closed the pipe, as `| head` does: there is nobody to show anything to.
  const onOutputError = () => stop(1);
  output.on("error", onOutputError);

  const screen = createScreen(output, env);
  const keyboard = Boolean(input.isTTY && output.isTTY);
  const serverLog: string[] = [];
  try {
    if (!existsSync(options.serverScript)) throw new Error("The server is not built yet: npm run build");
    const { engine } = options;
    const play = {
      screen,
      answerer: keyboard
        ? createKeyboardAnswerer({ input, output, screen, interrupt: () => stop(SIGNALS.SIGINT) })
        : createAutomaticAnswerer(screen, engine ? chooseUnattended : chooseApproval),
      serverScript: options.serverScript,
      signal: stopping.signal,
      onServerLog: (text: string) => void serverLog.push(text),
    };
    if (engine) {
      const ask = keyboard ? createAsk(input, output) : undefined;
      const agree = engine.yes ? async () => true : ask;
      if (!(await playWithEngine(play, { ...engine, env, agree }))) exitCode ||= 1;
    } else await playSimulated(play, options.paceMs ?? 1000);
  } catch (error) {
    screen.endBar();
    if (!stopping.signal.aborted) {
      exitCode = 1;
      errors.write(`The demo failed: ${(error as Error).message}\n`);
      const log = serverLog.join("").trim();
      if (log) errors.write(`The server's log:\n${log.slice(-LOG_LIMIT)}\n`);
    } else if (exitCode !== 1) errors.write("The demo was stopped.\n");
  } finally {
    offSignal();
    if (exitCode === 0) output.off("error", onOutputError);
  }
  return exitCode;
}
