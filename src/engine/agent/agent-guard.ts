import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";

/** Ends agents whose engine was killed: what they would do, nobody would read, and it would be paid for all the same. */
export interface AgentGuard {
  /** From now on this agent, with its group, ends when this process does. @param pid 0 when it did not start */
  watch(pid: number): void;
  /** The agent has ended. */
  forget(pid: number): void;
  /** Nothing is started any more; what is still there ends. */
  close(): void;
}

/**
 * Reads which groups there are, until its input ends: with the engine. SIGTERM, then 3 s for an agent to write its
 * conversation down. A shell does this in 1 MB.
 */
const SCRIPT = /* sh */ `
trap '' INT TERM HUP
groups=
while read -r what group; do
  case $what in
    watch) groups="$groups $group" ;;
    forget)
      rest=
      for one in $groups; do [ "$one" = "$group" ] || rest="$rest $one"; done
      groups=$rest ;;
  esac
done
[ -n "$groups" ] || exit 0
for one in $groups; do kill -s TERM -- "-$one"; done 2>/dev/null
sleep 3
for one in $groups; do kill -s KILL -- "-$one"; done 2>/dev/null
`;

/**
 * A small process beside the engine, started with the first agent. On Windows there is none: there the engine ends what is
 * left when it is started again, as it does everywhere.
 */
export function createAgentGuard(platform: NodeJS.Platform = process.platform): AgentGuard {
  const watched = new Set<number>();
  let guard: ChildProcess | undefined;

  function start(): ChildProcess {
    const child = spawn("/bin/sh", ["-c", SCRIPT], {
      // A group of its own, and a folder that nobody removes; none of this process's variables.
      ...{ detached: true, cwd: "/", env: {}, stdio: ["pipe", "ignore", "ignore"] },
    });
    child.on("error", () => {});
    child.stdin?.on("error", () => {});
    child.once("exit", (_code, signal) => {
      if (guard !== child) return;
      // Somebody has killed it; one that ends by itself could do so again.
      guard = signal && watched.size > 0 ? start() : undefined;
    });
    child.unref();
    (child.stdin as Socket | null)?.unref();
    for (const pid of watched) tell(child, "watch", pid);
    return child;
  }

  /** A line that the script reads. */
  function tell(to: ChildProcess | undefined, what: "watch" | "forget", pid: number): void {
    to?.stdin?.write(/* sh */ `${what} ${pid}\n`);
  }

  return {
    watch(pid) {
      if (pid <= 1 || platform === "win32") return;
      watched.add(pid);
      if (guard) tell(guard, "watch", pid);
      else guard = start();
    },
    forget(pid) {
      if (watched.delete(pid)) tell(guard, "forget", pid);
    },
    close() {
      guard?.stdin?.end();
      watched.clear();
    },
  };
}
