import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished, vi } from "vitest";
import { createContractClient } from "./contract/upstream.js";
import { temporaryFolder } from "./support/bin.js";
import { copyRepository, runGit } from "./support/git-place.js";
import { ENGINE_KEY, startLocalEngine } from "./support/local-engine.js";

// Runs of Codex through the whole engine, from the start to the program, which is the scripted codex-acp.

const SCRIPTED = fileURLToPath(new URL("./support/scripted-acp.mjs", import.meta.url));

async function open(settings: object = { codexAcpPath: SCRIPTED }, how: object = {}) {
  const home = realpathSync(temporaryFolder());
  const source = join(home, "source");
  copyRepository(source);
  const env = { SCRIPTED_ACP: JSON.stringify(how) };
  // The person's own PATH may have a codex-acp on it.
  const engine = await startLocalEngine(
    home,
    { engineAllowedFolders: [home], ...settings },
    { ...env, PATH: [dirname(process.execPath), "/usr/bin", "/bin"].join(":") },
  );
  onTestFinished(() => engine.close());
  const client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
  const until = (runId: string, statuses: string[]) =>
    vi.waitFor(
      async () => {
        const { body } = await client.get(`/run/${runId}/status`);
        if (!statuses.includes(body.status)) throw new Error(JSON.stringify(body));
        return body;
      },
      { timeout: 60_000, interval: 20 },
    );
  return {
    source,
    client,
    until,
    git: (...args: string[]) => runGit({ PATH: process.env.PATH, HOME: home }, source, ...args),
    async run(workflow: string, script: object[], fields: object = {}) {
      const message = `Look at it #script ${JSON.stringify(script)}`;
      return until((await client.start({ message, ...fields }, workflow)).run_id, ["completed", "failed"]);
    },
  };
}

it("review-codex is offered where Codex is there and no limit of cost keeps it out, and its report is the result", async () => {
  const names = async ({ client }: Awaited<ReturnType<typeof open>>) =>
    (await client.get("/manage")).body.map(({ name }: { name: string }) => name);
  expect(await names(await open({}))).not.toContain("review-codex");
  for (const kept of [{ engineCostLimitUsd: 5 }, { engineCostLimitPerDayUsd: 5 }])
    expect(await names(await open({ codexAcpPath: SCRIPTED, ...kept }))).not.toContain("review-codex");
  const place = await open();
  expect(await names(place)).toContain("review-codex");
  const done = await place.run("review-codex", [{ command: "git diff", output: "+ x" }, { text: "Ready." }], {
    repository_url: place.source,
  });
  expect(done).toMatchObject({ status: "completed", result: { final_output: "Ready." } });
  const empty = await place.run("review-codex", [{ command: "true" }]);
  expect(empty).toMatchObject({ status: "failed", error_code: "not_shown" });
  const limited = await place.run("review-codex", [
    { text: "I begin" },
    { failure: "exceeded retry limit, last status: 429 Too Many Requests" },
  ]);
  expect(limited).toMatchObject({ status: "failed", error_code: "usage_limit" });
});

it("implement with Codex commits in its worktree, and goes on in the conversation that it has told of", async () => {
  const place = await open();
  const commit =
    "echo made > made.txt && git add -A && git -c user.name=A -c user.email=a@b commit -qm 'Make it'";
  const fields = { repository_url: place.source, agent: "codex" };
  const first = await place.run("implement", [{ command: commit, run: true }, { text: "Done." }], fields);
  expect(first).toMatchObject({ status: "completed" });
  const second = await place.run("implement", [{ text: "Nothing to do: {{messages}}" }], {
    session_id: first.session_id,
    agent: "codex",
  });
  expect(second.status, JSON.stringify(second)).toBe("completed");
  expect(second.result.final_output).toMatch(/^Nothing to do: \["Look at it",".*Look at it"\]$/s);
  const without = await place.run("implement", [{ text: "All done!" }], fields);
  expect(without).toMatchObject({ status: "failed", error_code: "not_shown" });
});

it("what its workflow's rules allow needs nobody, and the rest is asked of the person", async () => {
  const place = await open();
  const script = [
    { command: "git status", ask: true },
    { command: "npm publish", ask: true },
    { text: "Nothing to do: asked." },
  ];
  const message = `Do it #script ${JSON.stringify(script)}`;
  const { run_id } = await place.client.start({ message, agent: "codex" });
  const { questions } = await place.client.until(run_id, (status) => status.questions.length > 0);
  expect(questions).toHaveLength(1);
  expect(questions[0].text).toBe("implement wants to run `npm publish`");
  const path = `/run/${run_id}/questions/${questions[0].question_id}/answer`;
  expect(await place.client.post(path, { answer: "allow_once" })).toMatchObject({ status: 200 });
  expect(await place.until(run_id, ["completed", "failed"])).toMatchObject({ status: "completed" });
});

it("without a login nothing starts, and the answer says what to do", async () => {
  const { client } = await open({ codexAcpPath: SCRIPTED }, { loggedOut: true });
  const { status, body } = await client.post("/run/review-codex", {
    message: "Look at it",
    input_format: "stream-json",
  });
  expect(status).toBe(503);
  expect(JSON.stringify(body)).toContain("Run `codex login`");
});
