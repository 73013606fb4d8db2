import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { SimulatedGithub } from "../../mocks/integrations/github.js";
import type { SimulatedRepository } from "../../mocks/integrations/github-world.js";
import type { LocalEngine } from "../../src/engine/create-local-engine.js";
import { type Clock, systemClock } from "../../src/shared/clock.js";
import { type ContractClient, createContractClient } from "../contract/upstream.js";
import { copyRepository, runGit } from "./git-place.js";
import { GITHUB_TOKEN, openGithubForTest } from "./github.js";
import { ENGINE_KEY, engineFolder, startLocalEngine, withScript } from "./local-engine.js";
import { statusThat } from "./patient.js";
import { standInForSsh } from "./stand-in-ssh.js";

/** A machine with an engine, a simulated GitHub, and `acme/shop` there as a bare repository that git reaches by ssh. */
export interface PullRequestPlace {
  folder: string;
  github: SimulatedGithub;
  shop: SimulatedRepository;
  /** The bare repository behind `acme/shop`. */
  bare: string;
  /** Its address, as git takes it. */
  address: string;
  /** What git needs to reach it. */
  env: Record<string, string>;
  git(at: string, ...args: string[]): string;
  /** The branches of the bare repository. */
  branches(): string[];
  engine: LocalEngine;
  direct: ContractClient;
  /** Ends the engine and opens the next one on the same folder. */
  restart(settings?: Parameters<typeof startLocalEngine>[1]): Promise<void>;
  /** A run that commits a file, to its end; `pull_request` is asked for unless the fields say otherwise. */
  run(fields?: Record<string, unknown>, file?: string): Promise<string>;
  /** Waits for a run's end, and allows what its agent asks. */
  toEnd(runId: string): Promise<void>;
  /** The run's pull request once it is no longer being opened. */
  pullRequestOf(runId: string): Promise<Record<string, unknown>>;
}

/** The message with which a scripted agent commits a file of its own. */
export function committing(file: string): string {
  const command = `git add . && git -c user.name=A -c user.email=a@b commit -qm 'Add ${file}'`;
  return withScript(`Add ${file}`, {
    steps: [
      { tools: [{ name: "Write", input: { file_path: file, content: `${file}\n` } }] },
      { tools: [{ name: "Bash", input: { command }, run: true }] },
      { text: `Added ${file}; closes #7, says @alice.` },
    ],
  });
}

/** Everything ends with the test. @param agent what agents do whose task has no script of its own */
export async function openPullRequestPlace(
  settings: Parameters<typeof startLocalEngine>[1] = {},
  agent: object[] | undefined = undefined,
  clock: Clock = systemClock,
): Promise<PullRequestPlace> {
  const remote = "acme/shop.git";
  const github = await openGithubForTest();
  const made = engineFolder();
  const { folder } = made;
  const { remotes, env: ssh } = standInForSsh(folder);
  const bare = join(remotes, remote);
  const plain = {
    PATH: process.env.PATH ?? "",
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
  };
  const git = (at: string, ...args: string[]) => runGit(plain, at, ...args);
  const source = join(folder, "seed");
  copyRepository(source);
  mkdirSync(join(bare, ".."), { recursive: true });
  execFileSync("git", ["clone", "--quiet", "--bare", source, bare], { env: plain, stdio: "ignore" });
  execFileSync("git", ["-C", bare, "config", "receive.advertisePushOptions", "true"], { env: plain });
  const scripted = agent ? { SCRIPTED_AGENT: JSON.stringify(agent) } : {};
  const env = { ...plain, ...ssh, ...scripted };
  const host = new URL(github.url).hostname;
  const shop = github.addRepository("acme/shop", { bare });
  const own = {
    githubUrl: github.url,
    githubToken: GITHUB_TOKEN,
    engineAllowedFolders: [folder],
    ...settings,
  };
  let engine = await startLocalEngine(folder, own, env, { clock });
  let direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
  onTestFinished(async () => {
    await engine.close();
    made.remove();
  });

  async function toEnd(runId: string): Promise<void> {
    for (;;) {
      const status = await statusThat(
        direct,
        runId,
        (found) => found.waiting_for === "question" || found.completed_at !== null,
      );
      if (status.completed_at !== null) return;
      for (const { question_id } of status.questions)
        await direct.post(`/run/${runId}/questions/${question_id}/answer`, { answer: "allow_once" });
    }
  }

  const address = `git@${host}:${remote}`;
  return {
    ...{ folder, github, shop, bare, address, env, git },
    toEnd,
    branches: () => git(bare, "for-each-ref", "--format=%(refname:short)", "refs/heads").split("\n"),
    get engine() {
      return engine;
    },
    get direct() {
      return direct;
    },
    async restart(changed = {}) {
      await engine.close();
      engine = await startLocalEngine(folder, { ...own, ...changed }, env, { clock });
      direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    },
    async run(fields = {}, file = "login.txt") {
      const asked = { session_name: "login", repository_url: address, pull_request: true, ...fields };
      const { run_id } = await direct.start({ message: committing(file), ...asked }, "implement");
      await toEnd(run_id);
      return run_id;
    },
    async pullRequestOf(runId) {
      const status = await statusThat(
        direct,
        runId,
        ({ pull_request: found }) => found !== null && found.state !== "pending",
      );
      return status.pull_request as Record<string, unknown>;
    },
  };
}

/** A folder of the person's own with the repository in it, whose remote is the bare one. */
export function cloneForPerson({ folder, bare, address, git }: PullRequestPlace): string {
  const own = join(folder, "own");
  cpSync(join(folder, "seed"), own, { recursive: true });
  git(own, "remote", "add", "origin", address);
  git(own, "fetch", "--quiet", bare);
  return own;
}
