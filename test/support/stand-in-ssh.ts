import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What git reaches by ssh, without a network. */
export interface StandInSsh {
  /** Repositories in here are what git finds below the root of any host. */
  remotes: string;
  /** The variables with which git takes the stand-in for ssh. */
  env: Record<string, string>;
}

/** Stands in for ssh: what is to be carried out on the host is carried out here, in a folder. */
export function standInForSsh(folder: string): StandInSsh {
  const remotes = join(folder, "remotes");
  mkdirSync(remotes, { recursive: true });
  const ssh = join(folder, "ssh");
  const script = `#!/bin/sh\nfor last; do :; done\ncd '${remotes}' && eval "exec $last"\n`;
  writeFileSync(ssh, script, { mode: 0o755 });
  return { remotes, env: { GIT_SSH_COMMAND: ssh, GIT_SSH_VARIANT: "ssh" } };
}
