import type { RunClaude } from "./claude-cli.js";
import type { ConfigFiles } from "./config-files.js";
import type { Launch } from "./launch.js";

/** What the command `install` is asked to do, and what it does it with. */
export interface InstallOptions {
  /** One of {@link CLIENT_NAMES}. */
  client: string;
  /** Does not ask. */
  yes?: boolean;
  /** Only shows what would be changed. */
  print?: boolean;
  /** The project in `cwd` instead of all of the person's. */
  project?: boolean;
  /** Writes the key itself, for a client that cannot get it from elsewhere. */
  withKey?: boolean;
  /** What the server is called in the client; {@link SERVER_NAME} unless told. */
  name?: string;
  launch: Launch;
  /** The settings to be written, by their variables' whole names. Never a secret. */
  variables: Readonly<Record<string, string>>;
  /** Variables that are set too but not written, because they may hold secrets; the key's own is not among them. */
  omitted?: readonly string[];
  /** The key, if one is set. It is written only as `withKey` says, and never shown. */
  apiKey?: string;
  env: Readonly<Record<string, string | undefined>>;
  home: string;
  platform: NodeJS.Platform;
  cwd: string;
  files: ConfigFiles;
  /** The `claude` program, where there is one. */
  runClaude?: RunClaude;
  /** Epoch ms, for the name of the backup. */
  now(): number;
  out(text: string): void;
  /** Asks the person; left out when nobody is there to answer. */
  ask?(question: string): Promise<boolean>;
}

/** The same, with the defaults filled in. */
export type Task = InstallOptions & { name: string; project: boolean };
