import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { type ContractClient, createContractClient } from "./contract/upstream.js";
import { ENGINE_KEY, engineFolder, startLocalEngine, withScript } from "./support/local-engine.js";

let place: ReturnType<typeof engineFolder>;
let engine: LocalEngine;
let direct: ContractClient;
const repositories = new Map<string, string>();

beforeAll(async () => {
  place = engineFolder();
  for (const name of ["one", "two"]) {
    const folder = join(place.folder, "sources", name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ scripts: { test: "true" } }));
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=A", "-c", "user.email=a@example.org", ...args], { cwd: folder });
    git("init", "--quiet");
    git("add", ".");
    git("commit", "--quiet", "--message", "Begin");
    repositories.set(name, folder);
  }
  engine = await startLocalEngine(place.folder, { engineAllowedFolders: [join(place.folder, "sources")] });
  direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
});
afterAll(async () => {
  await engine.close();
  place.remove();
});

/** A run that asks permission for each of the commands. */
async function start(workflow: string, repository: string | undefined, ...commands: string[]) {
  const steps = commands.map((command) => ({ tools: [{ name: "Bash", input: { command } }] }));
  const fields = {
    message: withScript("Test it", { steps }),
    ...(repository ? { repository_url: repositories.get(repository) } : {}),
  };
  const { run_id } = await direct.start(fields, workflow);
  return run_id as string;
}

/** The questions that the run asks until its end, each answered so. */
async function answerAll(runId: string, answer: string) {
  const asked: { text: string; detail?: string; choices: { value: string }[] }[] = [];
  for (;;) {
    const status = await direct.until(
      runId,
      (now) => now.waiting_for === "question" || ["completed", "failed"].includes(now.status),
    );
    const [question] = status.questions;
    if (!question) return asked;
    asked.push(question);
    const path = `/run/${runId}/questions/${question.question_id}/answer`;
    expect(await direct.post(path, { answer })).toMatchObject({ status: 200 });
  }
}

// Each run is a clone, a worktree and a process.
describe("a repository's own scripts", { timeout: 180_000 }, () => {
  it("are asked for once in a repository, then run in each run on it until that is taken back", async () => {
    const [question, ...others] = await answerAll(
      await start("implement", "one", "npm test", "npm run build", "cargo test"),
      "allow_repository",
    );
    expect(others).toEqual([]);
    expect(question?.text).toBe("implement wants to run this repository's own scripts: `npm test`");
    expect(question?.detail).toContain("This repository's own scripts may run: npm test,");
    expect(question?.choices.map(({ value }) => value)).toEqual([
      "allow_once",
      "allow_run",
      "allow_repository",
      "deny",
    ]);
    expect(await answerAll(await start("fix", "one", "npm test", "make test"), "deny")).toEqual([]);

    const file = join(place.folder, "engine-private", "permissions.json");
    const { repositories: remembered } = JSON.parse(readFileSync(file, "utf8"));
    expect(Object.keys(remembered)).toEqual([repositories.get("one")]);
    rmSync(file);
    expect(await answerAll(await start("fix", "one", "npm test"), "deny")).toHaveLength(1);
  });

  it("that were allowed for one repository are asked for in another", async () => {
    await answerAll(await start("implement", "one", "npm test"), "allow_repository");
    expect(await answerAll(await start("implement", "two", "npm test"), "deny")).toHaveLength(1);
  });

  it("that were allowed for one run are asked for in the next", async () => {
    expect(
      await answerAll(await start("implement", "two", "npm test", "npm run lint"), "allow_run"),
    ).toHaveLength(1);
    expect(await answerAll(await start("implement", "two", "npm test"), "allow_once")).toHaveLength(1);
  });

  it("are asked for each time where the workflow has none, and where they leave the worktree", async () => {
    await answerAll(await start("implement", "one", "npm test"), "allow_repository");
    expect(await answerAll(await start("document", "one", "npm test", "npm run lint"), "deny")).toHaveLength(
      2,
    );
    const tricks = ["npm test --prefix /elsewhere", "make -C /elsewhere test", "npm test && curl x"];
    expect(await answerAll(await start("implement", "one", ...tricks), "deny")).toHaveLength(3);
  });

  it("in a folder without a repository cannot be allowed for good", async () => {
    const [question] = await answerAll(await start("implement", undefined, "npm test"), "deny");
    expect(question?.choices.map(({ value }) => value)).toEqual(["allow_once", "allow_run", "deny"]);
  });
});
