import type { EngineRun, RunRequest } from "../../src/engine/runs/run.js";
import { EngineRefusal } from "../../src/engine/types.js";
import type { WalkedEngine, WorldOptions } from "../support/engine-world.js";
import { type Told, until } from "./told.js";

/** An engine that tells what it has acknowledged. */
export interface Stage extends WalkedEngine {
  tell(told: Told): void;
  start(message: string, request?: Partial<RunRequest>, key?: string): Promise<string>;
  message(runId: string, content: string): Promise<void>;
  answer(runId: string, questionId: string, answer: string): Promise<void>;
  kill(runId: string): Promise<void>;
  /** Waits for its end. */
  ended(runId: string): Promise<EngineRun>;
  /** Its agent has begun to work. */
  atWork(runId: string): Promise<void>;
}

/** What happens to runs in one engine's life. */
export interface Life {
  /** @param folder for what is kept outside of the engine */
  options?: (folder: string) => WorldOptions;
  /** It costs much: `npm test` meets one of so many of its points. */
  share?: number;
  play(stage: Stage, folder: string): Promise<void>;
}

const DAY_MS = 86_400_000;
const PUBLISHED = { pullRequest: true, autoMerge: false } as const;

/** Asked is refused, and that is right. */
async function refused(asked: Promise<unknown>): Promise<void> {
  const error = await asked.then(
    () => undefined,
    (problem) => problem,
  );
  if (!(error instanceof EngineRefusal)) throw new Error(`It was not refused: ${error}`);
}

/** A run whose pull request is open, and told. */
async function publish({ engine, start, ended, tell }: Stage): Promise<string> {
  const runId = await start("Find it", PUBLISHED, "published");
  await ended(runId);
  await until(() => engine.get(runId).pullRequest?.state === "open");
  tell({ did: "pull-request", runId, number: engine.get(runId).pullRequest?.number ?? 0 });
  return runId;
}

/** By their names. */
export const LIVES: Readonly<Record<string, Life>> = {
  plain: {
    async play({ engine, start, message, ended, tell }) {
      const runId = await start("Find it [tells]", {}, "key");
      await message(runId, "one");
      await ended(runId);
      await engine.cleanup(runId, true);
      tell({ did: "cleaned", runId });
    },
  },
  asks: {
    // Whoever asks gives up the slot after a minute.
    options: () => ({ speed: 1_000, questionTimeoutMs: DAY_MS }),
    async play({ engine, start, message, answer, ended }) {
      const runId = await start("[ask] [permit]");
      await until(() => engine.get(runId).slotGivenUp === true);
      await message(runId, "one");
      await answer(runId, "which", "This one");
      await refused(engine.answer(runId, "which", "Another one"));
      await until(() => engine.get(runId).questions.length === 2);
      await refused(engine.answer(runId, "may", "allow_run"));
      await answer(runId, "may", "deny");
      await ended(runId);
    },
  },
  ends: {
    async play({ engine, start, kill, atWork, tell, close }) {
      const hanging = await start("[hang]");
      await atWork(hanging);
      await kill(hanging);
      const deaf = await start("[deaf]");
      await atWork(deaf);
      await refused(engine.addMessage(deaf, "user", "one"));
      await engine.cleanup(deaf, true);
      tell({ did: "cleaned", runId: deaf });
      const last = await start("[hang]");
      await atWork(last);
      await close();
      tell({ did: "ended", runId: last, status: "interrupted" });
    },
  },
  resumes: {
    options: () => ({ limits: { resumeOnce: true } }),
    async play({ engine, start, atWork, ended, tell }) {
      const first = await start("[hang]");
      const other = await start("[hang]");
      // Its session has gone on before it could be resumed.
      const next = await start("Find it", { sessionId: engine.get(other).sessionId });
      for (const runId of [first, other]) await atWork(runId);
      await engine.interruptAll("The database was away", true);
      await until(() => engine.get(first).resumedBy !== undefined && engine.get(other).toResume !== true);
      const { resumedBy: by = "" } = engine.get(first);
      tell({ did: "resumed", runId: first, by });
      for (const runId of [first, other, by, next]) await ended(runId);
    },
  },
  queue: {
    options: () => ({ limits: { concurrency: 1 } }),
    async play({ start, kill, atWork, ended }) {
      const first = await start("[hang]", {}, "first");
      const second = await start("Find it", {}, "second");
      const third = await start("Find it", {}, "third");
      await atWork(first);
      await kill(third);
      await kill(first);
      await ended(second);
    },
  },
  unanswered: {
    options: () => ({ questionTimeoutMs: 2_000 }),
    async play({ start, ended }) {
      await ended(await start("[ask]"));
    },
  },
  continues: {
    options: (notes) => ({ notes }),
    async play({ engine, start, ended }) {
      const first = await start("Find it");
      const { sessionId } = await ended(first);
      await ended(await start("Go on", { sessionId }));
      await ended(await start("Go on", { sessionId, agent: "codex" }));
      await ended(await start("Go on", { sessionId, agent: "claude" }, "last"));
      await engine.diff(first, 1_000);
    },
  },
  codex: {
    async play({ engine, start, message, answer, atWork, ended, kill }) {
      const asking = await start("[ask] [tells]", { agent: "codex" }, "codex");
      await until(() => engine.get(asking).status === "waiting");
      await message(asking, "one");
      await answer(asking, "which", "This one");
      const { sessionId } = await ended(asking);
      const hanging = await start("[hang]", { agent: "codex", sessionId });
      await atWork(hanging);
      await kill(hanging);
    },
  },
  reviews: {
    options: () => ({ hasWork: true }),
    async play({ engine, start, ended, tell }) {
      const runId = await start("Find it");
      await ended(runId);
      const { into, commit } = await engine.take(runId, { squash: true });
      tell({ did: "taken", runId, into, commit });
      await engine.discard(runId);
      tell({ did: "discarded", runId });
    },
  },
  publishes: {
    options: (folder) => ({ hasWork: true, github: { file: `${folder}/github.json` } }),
    async play(stage) {
      const { engine, start, ended, close } = stage;
      const runId = await publish(stage);
      await engine.openPullRequest(runId, { title: "Found" });
      const { sessionId } = engine.get(runId);
      const next = await start("Go on", { ...PUBLISHED, sessionId });
      await ended(next);
      const isOpen = (one: string) => engine.get(one).pullRequest?.state === "open";
      await until(() => isOpen(runId) && isOpen(next));
      await close();
    },
  },
  watched: {
    options: (folder) => ({ hasWork: true, github: { file: `${folder}/github.json`, isWatching: true } }),
    async play(stage) {
      const { engine, ended, close } = stage;
      await publish(stage);
      const sentBack = () => engine.list({}).find(({ request }) => request.pullRequestRound !== undefined);
      await until(() => sentBack() !== undefined);
      const { runId = "" } = sentBack() ?? {};
      await ended(runId);
      await until(() => engine.get(runId).pullRequest?.state === "open");
      await close();
    },
  },
  commits: {
    share: 20,
    // What a killed run has done is looked at for ten seconds.
    options: (folder) => ({ hasGit: true, notes: folder, speed: 5 }),
    async play({ engine, start, ended, kill, atWork, tell }, folder) {
      const repositoryUrl = `${folder}/source`;
      const first = await start("[commit]", { repositoryUrl });
      const { sessionId } = await ended(first);
      // Nothing is merged of one that was killed.
      const second = await start("[commit] [hang]", { sessionId, persistent: true });
      await atWork(second);
      await kill(second);
      const { into, commit } = await engine.take(second, {});
      tell({ did: "taken", runId: second, into, commit });
      await engine.cleanup(second, true);
      tell({ did: "cleaned", runId: second });
    },
  },
};

/** Lives that engines can have which share a database. What waits for a minute is not among them: their time is real. */
export const SHARED_LIVES = ["plain", "ends", "resumes", "queue", "continues", "codex", "reviews"] as const;

/**
 * How the engine of a life is to be.
 * @param shared the address of the database where it is one of several
 */
export function optionsOf(name: string, folder: string, shared: string | undefined): WorldOptions {
  const life = LIVES[name];
  if (!life) throw new Error(`There is no life "${name}"`);
  const options = life.options?.(folder) ?? {};
  if (shared === undefined) return options;
  return { ...options, shared, speed: 1, limits: { ...options.limits, lingerMs: 20, resumeOnce: true } };
}
