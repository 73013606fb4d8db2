import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { follow } from "../shared/abort.js";
import type { Clock } from "../shared/clock.js";
import { type CommittedFile, listFiles, readFiles } from "./read-commit.js";
import { openRemoteGit } from "./repository-git.js";
import type { TemplateFile } from "./template-file.js";

/** More was sent than is taken: by a host that sends all files of the commit, whatever it is asked for. */
export class TooLargeError extends Error {
  override name = "TooLargeError";
}

/** The trees of a large repository's commit have some megabytes. */
const MAX_BYTES = 64 * 1024 * 1024;
/** How often it is looked at what was sent so far, in ms. */
const LOOK_MS = 100;

/**
 * The templates of a remote repository's commit: the commit and its trees alone are fetched, then the few files. All of
 * it goes into a folder for this one look.
 * @returns with the commit at which the ref stands now
 * @throws Error when it cannot be fetched, TooLargeError when it is too much
 */
export async function fetchFiles(options: {
  address: string;
  ref: string;
  env: NodeJS.ProcessEnv;
  stop: AbortSignal;
  connectMs: number;
  clock: Clock;
  gitPath?: string;
}): Promise<{ commit: string; files: TemplateFile[] }> {
  const { address, ref, clock } = options;
  const gitDir = await mkdtemp(join(tmpdir(), "automagik-plans-"));
  const own = new AbortController();
  const stopFollowing = follow(options.stop, own);
  let isTooLarge = false;
  const stopLooking = lookAgain(clock, async () => {
    if ((await sizeOf(gitDir)) <= MAX_BYTES) return;
    isTooLarge = true;
    own.abort();
  });
  try {
    const git = await openRemoteGit({ ...options, gitDir, stop: own.signal });
    const must = async (args: readonly string[]) => {
      const told = await git(args);
      if (isTooLarge)
        throw new TooLargeError(`It sends more than ${MAX_BYTES / 1024 / 1024} MiB for one commit.`);
      if (told?.code !== 0) throw new Error("git has failed");
      return told.text;
    };
    // Without a template no hook and no setting of this machine gets into it.
    await must(["init", "--quiet", "--bare", "--template="]);
    // As a partial clone has it, by the command line alone: what is not asked for is not sent, and nothing is missed.
    const remote = [
      ...["-c", `remote.origin.url=${address}`, "-c", "remote.origin.promisor=true"],
      ...["-c", "remote.origin.partialclonefilter=blob:none", "-c", "fetch.unpackLimit=1"],
    ];
    const fetch = ["fetch", "--quiet", "--no-tags", "--no-auto-gc", "--depth=1", "--filter=blob:none"];
    await must([...remote, ...fetch, "origin", `+${ref}:refs/heads/at`]);
    const commit = (await must(["rev-parse", "--verify", "refs/heads/at^{commit}"])).trim();
    const files = await listFiles(git, commit);
    const objects = [...new Set(files.flatMap(objectOf))];
    if (objects.length > 0) {
      const alone = ["fetch", "--quiet", "--no-tags", "--no-auto-gc", "--filter=blob:none"];
      const noTalk = ["-c", "fetch.negotiationAlgorithm=noop"];
      await must([...remote, ...noTalk, ...alone, "origin", ...objects]);
    }
    return { commit, files: await readFiles(git, files) };
  } finally {
    stopLooking();
    stopFollowing();
    await rm(gitDir, { recursive: true, force: true, maxRetries: 3 }).catch(() => {});
  }
}

function objectOf(file: CommittedFile): string[] {
  return "object" in file ? [file.object] : [];
}

/** Looks every so often, never twice at once, until it is stopped. */
function lookAgain(clock: Clock, look: () => Promise<void>): () => void {
  let cancel = () => {};
  let stopped = false;
  function next(): void {
    if (stopped) return;
    cancel = clock.after(
      LOOK_MS,
      () =>
        void look()
          .catch(() => {})
          .then(next),
    );
  }
  next();
  return () => {
    stopped = true;
    cancel();
  };
}

async function sizeOf(gitDir: string): Promise<number> {
  const packs = join(gitDir, "objects", "pack");
  const names = await readdir(packs).catch(() => [] as string[]);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(packs, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
