import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { readBegan } from "../../src/engine/agent/process-list.js";
import { optionsOf } from "../engine-workers/lives.js";
import { bringToRest, type NotedAgent, type Told } from "../engine-workers/told.js";
import { readGithub } from "./engine-world/github.js";
import { gitEnv } from "./engine-world/workspaces.js";
import { createEngineWorld, REQUEST, type WalkedEngine } from "./engine-world.js";

const LATER_MS = 2 * 3_600_000;

/**
 * Opens the next engine on what killed ones have left: nothing that they have acknowledged is lost, nothing was or is
 * started twice, and no agent is left. Of engines that share a database another one takes over first, and then the killed
 * one comes back.
 * @param folder in which the life was played
 * @param place where they were killed
 */
export async function expectKept(
  folder: string,
  name: string,
  told: Told[],
  place: string,
  shared?: string,
): Promise<void> {
  const options = optionsOf(name, folder, shared);
  const world = createEngineWorld({ base: folder, hasProcesses: true });
  const opened: WalkedEngine[] = [];
  for (const own of shared ? ["other", "engine"] : ["engine"]) {
    const walked = await world.open({ ...options, folder: join(folder, own), laterMs: LATER_MS });
    opened.push(walked);
    for (const line of told) if (line.did === "accepted") await expectNoSecondStart(walked, line, place);
    await bringToRest(walked, options.limits?.resumeOnce === true);
    for (const line of told) expectTold(walked, line, told, place);
  }
  if (options.hasGit) await expectGoesOn(opened[0] as WalkedEngine, place);
  const runs = opened[0]?.engine.list({}) ?? [];
  for (const { status, runId } of runs)
    expect(["completed", "killed", "interrupted"], `${place}: ${runId}`).toContain(status);
  for (const walked of opened) await walked.close();

  expectOnce(
    runs.map(({ resumes }) => resumes),
    `${place}: resumed`,
  );
  expectOnce(
    runs.map(
      ({ sessionId, request }) => request.pullRequestRound && `${sessionId} ${request.pullRequestRound}`,
    ),
    `${place}: sent back`,
  );
  const agents: NotedAgent[] = [...readNotes<NotedAgent>(folder, "agents"), ...world.agents];
  expectOnce(
    agents.map(({ runId }) => runId),
    `${place}: agents`,
  );
  expectOnce(
    readNotes(folder, "messages").map((message) => JSON.stringify(message)),
    `${place}: messages`,
  );
  const orphans = agents.filter(({ pid, began }) => pid !== 0 && readBegan(pid) === began);
  expect(orphans, `${place}: agents that are left`).toEqual([]);
  if (options.hasGit) expectCommitted(folder, told, place);
  expectGithubOnce(options.github?.file, told, place);
  expect(world.violations, place).toEqual([]);
}

/** Asked for again under its key it is the same run. */
async function expectNoSecondStart(
  { engine }: WalkedEngine,
  { runId, request, key }: Told & { did: "accepted" },
  place: string,
): Promise<void> {
  expect(engine.get(runId).runId, place).toBe(runId);
  if (key) expect((await engine.start(request, key)).runId, place).toBe(runId);
}

function expectTold({ engine }: WalkedEngine, line: Told, all: Told[], place: string): void {
  if (line.did === "everything") return;
  const run = engine.get(line.runId);
  switch (line.did) {
    case "accepted":
      break;
    case "message": {
      const told = all.filter(
        ({ did, ...one }) => did === "message" && "runId" in one && one.runId === run.runId,
      );
      expect(run.queue.added, place).toBeGreaterThanOrEqual(told.length);
      break;
    }
    case "answered": {
      const { answer, questionId } = line;
      const asked = run.questions.find((one) => one.questionId === questionId);
      expect(asked, place).toMatchObject({ answer, answeredBy: "person" });
      break;
    }
    case "ended":
      expect(run.status, place).toBe(line.status);
      break;
    case "cleaned":
      expect(run.workspaceRemoved, place).toBe(true);
      break;
    case "taken":
      // Discarded since, or never told.
      if (run.work) expect(run.work.mergedInto, place).toBe(line.into);
      break;
    case "discarded":
      expect(run.workGone, place).toBe(true);
      break;
    case "resumed":
      expect(run.resumedBy, place).toBe(line.by);
      break;
    case "pull-request":
      expect(run.pullRequest, place).toMatchObject({ state: "open", number: line.number });
      break;
  }
}

/** The sessions can be continued: nothing half-made is in the way. */
async function expectGoesOn({ engine, over }: WalkedEngine, place: string): Promise<void> {
  const [last] = engine.list({});
  if (!last) return;
  const { repositoryUrl = "" } = last.request;
  const asked = { ...REQUEST, persistent: false, message: "[commit]", repositoryUrl };
  const { runId } = await engine.start({ ...asked, sessionId: last.sessionId });
  const { status, error, work } = await over(runId);
  expect({ status, error, deliveredTo: work?.deliveredTo }, `${place}: continued`).toEqual({
    ...{ status: "completed", error: undefined, deliveredTo: "repository" },
  });
}

/** What agents have committed is on a branch where the person looks, and what was taken on theirs. */
function expectCommitted(folder: string, told: Told[], place: string): void {
  function expectIn(commit: string, branches: string): void {
    const args = ["-C", join(folder, "source"), "for-each-ref", "--contains", commit, branches];
    const found = spawnSync("git", args, { env: gitEnv(folder), encoding: "utf8" });
    expect(found.stdout, `${place}: ${commit} is in none of ${branches}. ${found.stderr}`).not.toBe("");
  }
  for (const { commit } of readNotes<{ commit: string }>(folder, "commits")) expectIn(commit, "refs/heads/");
  for (const line of told)
    if (line.did === "taken" && line.commit) expectIn(line.commit, `refs/heads/${line.into}`);
}

function expectGithubOnce(file: string | undefined, told: Told[], place: string): void {
  if (file === undefined) return;
  const { pulls, askedTwice } = readGithub(file);
  expect(askedTwice, `${place}: asked for again`).toEqual([]);
  expectOnce(
    pulls.map(({ head }) => head),
    `${place}: pull requests`,
  );
  for (const { comments } of pulls) expect(comments.length, `${place}: comments`).toBeLessThanOrEqual(1);
  const numbers = pulls.map(({ number }) => number);
  for (const line of told) if (line.did === "pull-request") expect(numbers, place).toContain(line.number);
}

function expectOnce(found: (string | undefined)[], what: string): void {
  const all = found.filter((one) => one !== undefined);
  expect(all, what).toHaveLength(new Set(all).size);
}

/** What was noted of killed processes, a line each. */
function readNotes<T>(folder: string, file: string): T[] {
  try {
    const lines = readFileSync(join(folder, file), "utf8").trim().split("\n");
    return lines.map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}
