import { describe, expect, it, onTestFinished } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { runBin, startBin, temporaryFolder, toVariables } from "./support/bin.js";
import { GITHUB_TOKEN, openGithubForTest } from "./support/github.js";
import { COMPLETE } from "./support/harness.js";
import { SCRIPTED_AGENT } from "./support/local-engine.js";
import { committing, openPullRequestPlace } from "./support/pull-request-place.js";

describe("the built bin", () => {
  it("sends an issue that a person has agreed to, and writes the token nowhere", async () => {
    const github = await openGithubForTest();
    const api = await serveSimulatedApi({ apiKey: "test-key" });
    onTestFinished(() => api.close());
    github.addRepository("acme/shop").addIssue({ title: "Login fails", body: "It does." });
    const bin = await startBin({
      url: api.url,
      settings: { GITHUB_URL: github.url, GITHUB_TOKEN },
      onForm: () => ({ action: "accept", content: { confirm: "yes" } }),
    });
    const answer = await bin.call({ ...COMPLETE, message: "acme/shop#1", wait_seconds: 0 });
    expect(answer.data).toMatchObject({ outcome: "started" });
    const [start] = api.api.posts("/run/");
    expect(start?.body).toMatchObject({ message: expect.stringContaining("Login fails") });
    expect(bin.stderr() + answer.text + JSON.stringify(start)).not.toContain(GITHUB_TOKEN);
  });

  it("ends a run on this machine with a pull request, where the person has set it so", async () => {
    const place = await openPullRequestPlace();
    const stateFolder = temporaryFolder();
    const settings = {
      ...{
        ENGINE: "local",
        CLAUDE_PATH: SCRIPTED_AGENT,
        ENGINE_SANDBOX: "off",
        FINISH: "pull_request",
        GITHUB_TOKEN,
      },
      ...{ GITHUB_URL: place.github.url, API_KEY: "", BASE_URL: "" },
    };
    const env = { ...place.env, HOME: stateFolder };
    onTestFinished(async () => {
      await runBin(["engine", "stop"], {
        ...toVariables({ ...settings, STATE_DIR: stateFolder }),
        HOME: stateFolder,
      });
    });
    const bin = await startBin({
      ...{ stateFolder, settings, env },
      onForm: ({ schema }) => ({
        action: "accept",
        content: "answer" in schema.properties ? { answer: "allow_once" } : {},
      }),
    });
    const answer = await bin.call({
      ...{ workflow_name: "implement", message: committing("login.txt"), session_name: "login" },
      ...{ repository_url: place.address, git_branch: "" },
    });
    expect(answer.data).toMatchObject({ outcome: "completed" });
    const runId = answer.data.run.run_id;
    let told = answer.text;
    for (const end = Date.now() + 60_000; !/Pull request: http/.test(told) && Date.now() < end; )
      told = (await bin.call({ action: "status", run_id: runId, wait_seconds: 1 })).text;
    expect(told).toMatch(/Pull request: https:\/\/\S+\/acme\/shop\/pull\/1 \(draft, into main\)\./);
    expect([...place.shop.pulls.values()]).toMatchObject([{ head: "automagik/login", draft: true }]);
    expect(bin.stderr() + told).not.toContain(GITHUB_TOKEN);
  }, 120_000);
});
