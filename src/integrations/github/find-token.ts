import { execFile } from "node:child_process";
import type { Clock } from "../../shared/clock.js";
import { findOnPath } from "../../shared/program-path.js";
import type { TokenSource } from "./call-github.js";

/** `gh` looks into a keyring, which may ask the person. In ms. */
const GH_MS = 5_000;
/** What `gh` has said stays so for a while, in ms: each form would start it else. */
const KNOWN_MS = 5 * 60_000;
const TOKEN = /^[\x21-\x7e]{10,500}$/;

/**
 * The person's token: the one of the settings, else the one that `gh` is logged in with.
 * @param options.own the setting; undefined where it is not set
 * @param options.webHost whose token `gh` is asked for: `github.com`
 * @param options.onProblem gets a sentence when the setting cannot be read
 * @param options.onSecret gets the token of `gh`, for the log never to show it
 */
export function createTokenSource(options: {
  own: { read(): Promise<string>; forget(): void } | undefined;
  webHost: string;
  env: NodeJS.ProcessEnv;
  clock: Pick<Clock, "elapsed">;
  onProblem: (problem: string) => void;
  onSecret: (secret: string) => void;
}): TokenSource {
  const { own, webHost, env, clock, onProblem, onSecret } = options;
  let known: { token: Promise<string | undefined>; at: number } | undefined;

  async function ask(): Promise<string | undefined> {
    const token = await askGh(webHost, env);
    if (token) onSecret(token);
    return token;
  }

  if (own)
    return {
      read: () =>
        own.read().catch((error: Error) => {
          onProblem(error.message);
          return undefined;
        }),
      forget: own.forget,
    };
  return {
    read() {
      if (!known || clock.elapsed() - known.at > KNOWN_MS) known = { token: ask(), at: clock.elapsed() };
      return known.token;
    },
    forget() {
      known = undefined;
    },
  };
}

/** Undefined where there is no `gh`, or it is not logged in. */
function askGh(webHost: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const program = findOnPath(process.platform === "win32" ? "gh.exe" : "gh", env);
  if (program === undefined) return Promise.resolve(undefined);
  const args = ["auth", "token", "--hostname", webHost];
  const limits = { timeout: GH_MS, killSignal: "SIGKILL" as const, maxBuffer: 16 * 1024, windowsHide: true };
  return new Promise((resolve) => {
    const child = execFile(program, args, { env, ...limits }, (error, stdout) => {
      const token = stdout.split("\n", 1)[0]?.trim() ?? "";
      resolve(!error && TOKEN.test(token) ? token : undefined);
    });
    child.stdin?.end();
  });
}
