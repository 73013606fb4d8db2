import { execFile } from "node:child_process";
import { listEntries, PREFIX } from "./entries.js";
import { readSecretFile } from "./secret-file.js";
import { type Settings, SettingsError } from "./settings.js";

/** The settings that are secrets with a file or a command in their place. */
export type SecretName = {
  [Name in keyof Settings]-?: `${Name}Command` extends keyof Settings ? Name : never;
}[keyof Settings];

/** Secrets of other services, each read when it is first needed. */
export interface Secrets {
  /** Whether it is set, in one of the three ways. Nothing is read. */
  has(name: SecretName): boolean;
  /**
   * The secret.
   * @throws SettingsError, which does not quote it, when it is not set or cannot be had
   */
  read(name: SecretName): Promise<string>;
  /** It was refused: the next `read` asks the file or the command again. */
  forget(name: SecretName): void;
}

/** The command may ask for a fingerprint. In ms. */
const COMMAND_MS = 30_000;
/** More than any secret has, in bytes. */
const MAX_BYTES = 16 * 1024;

/**
 * @param options.settings those that were set; of a name with two ways none can be read
 * @param options.env for commands: without this product's own variables
 * @param options.home where commands are run
 * @param options.onSecret gets each secret that was read, for the log never to show it. Must not throw
 */
export function createSecrets(options: {
  settings: Partial<Settings>;
  env: NodeJS.ProcessEnv;
  home: string;
  onSecret?: ((secret: string) => void) | undefined;
}): Secrets {
  const { settings, onSecret = () => {} } = options;
  const known = new Map<SecretName, Promise<string>>();

  const wayOf = (name: SecretName, way: "" | "File" | "Command") =>
    settings[`${name}${way}` as keyof Settings] as string | undefined;

  async function readNow(name: SecretName): Promise<string> {
    const [value, file, command] = [wayOf(name, ""), wayOf(name, "File"), wayOf(name, "Command")];
    const variable = variableOf(name);
    const given = [value, file, command].filter((one) => one !== undefined);
    if (given.length === 0) throw new SettingsError(`${variable} is not set`);
    if (given.length > 1)
      throw new SettingsError(`${variable} is set in ${given.length} ways: only one of them can count`);
    if (value !== undefined) return check(variable, value);
    if (file !== undefined)
      return check(`${variable}_FILE`, firstLine(readSecretFile(`${variable}_FILE`, file)));
    return check(`${variable}_COMMAND`, await ask(`${variable}_COMMAND`, command ?? "", options));
  }

  return {
    has: (name) => (["", "File", "Command"] as const).some((way) => wayOf(name, way) !== undefined),
    read(name) {
      const secret = known.get(name) ?? readNow(name);
      known.set(name, secret);
      secret.then(onSecret, () => known.delete(name));
      return secret;
    },
    forget(name) {
      if (wayOf(name, "") === undefined) known.delete(name);
    },
  };
}

function variableOf(name: SecretName): string {
  return PREFIX + (listEntries().find(({ property }) => property === name)?.variable ?? name);
}

function check(variable: string, secret: string): string {
  if (/^[\x21-\x7e]+$/.test(secret)) return secret;
  throw new SettingsError(
    `${variable}: what it gives is ${secret === "" ? "empty" : "no secret of printable characters without spaces"}`,
  );
}

function firstLine(text: string): string {
  return (text.split("\n", 1)[0] ?? "").trim();
}

function ask(
  variable: string,
  command: string,
  { env, home }: { env: NodeJS.ProcessEnv; home: string },
): Promise<string> {
  const [shell, args] =
    process.platform === "win32" ? ["cmd", ["/d", "/s", "/c", command]] : ["sh", ["-c", command]];
  const limits = { timeout: COMMAND_MS, killSignal: "SIGKILL" as const, maxBuffer: MAX_BYTES };
  return new Promise((resolve, reject) => {
    // What it writes to stderr may quote a secret.
    const child = execFile(shell, args, { env, cwd: home, ...limits, windowsHide: true }, (error, stdout) => {
      if (!error) resolve(firstLine(stdout));
      else {
        const { code } = error;
        const how = error.killed
          ? `took longer than ${COMMAND_MS / 1000} s`
          : `ended with ${code ?? "a signal"}`;
        reject(new SettingsError(`${variable}: the command ${how}`));
      }
    });
    child.stdin?.end();
  });
}
