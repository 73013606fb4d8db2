import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import {
  type ResponsesRequest,
  type ResponsesStep,
  serveScriptedResponses,
} from "../../mocks/scripted-responses.js";
import { findAgentProcesses, identityOfRun } from "../../src/engine/agent/process-tree.js";
import { createContractClient } from "../contract/upstream.js";
import { copyRepository, runGit } from "../support/git-place.js";
import { COMPLETE, connectInMemory } from "../support/harness.js";
import { ENGINE_KEY, startLocalEngine } from "../support/local-engine.js";
import { connectForPlans } from "../support/plan-chat.js";

// Runs and a plan through the whole engine, with the real Codex on a scripted model. Claude Code is the scripted agent.

async function open(handler: (request: ResponsesRequest) => ResponsesStep | undefined, forPlans = false) {
  // Codex puts no programs of its own into a home in the temporary folder, and without them there is no sandbox.
  const home = realpathSync(mkdtempSync(join("/var/tmp", "codex-engine-")));
  const api = await serveScriptedResponses(handler);
  const source = join(home, "source");
  copyRepository(source);
  mkdirSync(join(home, ".codex"));
  writeFileSync(
    join(home, ".codex", "config.toml"),
    `model = "gpt-5.5"\nmodel_provider = "fake"\n[model_providers.fake]\nname = "fake"\nbase_url = "${api.url}"\nwire_api = "responses"\nrequest_max_retries = 0\nstream_max_retries = 0\n`,
  );
  mkdirSync(join(home, "bin"));
  symlinkSync(process.env.CODEX_CLI ?? "codex", join(home, "bin", "codex"));
  const engine = await startLocalEngine(
    home,
    { codexAcpPath: process.env.CODEX_ACP ?? "codex-acp", engineAllowedFolders: [home] },
    { PATH: `${join(home, "bin")}:${process.env.PATH}` },
  );
  onTestFinished(async () => {
    await engine.close();
    await api.close();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  });
  const { call } = await (forPlans ? connectForPlans : connectInMemory)({
    home,
    locate: async () => ({ baseUrl: engine.url, apiKey: ENGINE_KEY }),
    settings: { ENGINE: "local", API_KEY: ENGINE_KEY },
  });
  const git = (...args: string[]) => runGit({ PATH: process.env.PATH, HOME: home }, source, ...args);
  const client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
  return { api, call, client, git, home, source };
}

const bash = (cmd: string): ResponsesStep => ({ calls: [{ name: "exec_command", input: { cmd } }] });

test("review-codex reads the branch, and its report is the result; its session goes on", async () => {
  const { call, source, api } = await open(({ step, userTexts, outputs }) => {
    if (userTexts.length > 1) return { text: `Still ready. It was asked: ${userTexts.length}` };
    return step === 0
      ? bash("git log --oneline; cat readme.md")
      : { text: `Ready. I read: ${outputs.at(-1)}` };
  });
  const start = { ...COMPLETE, workflow_name: "review-codex", repository_url: source, git_branch: "main" };
  const first = await call({ ...start, session_name: "look", message: "Review it" });
  expect(first.data.outcome, first.text).toBe("completed");
  expect(first.text).toContain("Write readme.md");
  expect(api.requests[0]?.instructions).toContain("Another model has written this change");
  const second = await call({
    message: "Is it still?",
    workflow_name: "review-codex",
    continue_session: "look",
  });
  expect(second.text).toContain("Still ready. It was asked: 2");
});

test("implement with Codex commits on the session's branch without a question, and without a commit it has failed", async () => {
  const { call, client, source } = await open(({ step, userTexts }) =>
    userTexts[0]?.includes("nothing") || step > 0
      ? { text: "Done." }
      : bash("echo made > made.txt && git add -A && git commit -qm 'Make it'"),
  );
  const start = { ...COMPLETE, workflow_name: "implement", agent: "codex", repository_url: source };
  const made = await call({ ...start, git_branch: "main", session_name: "make", message: "Make it" });
  expect(made.data.outcome, made.text).toBe("completed");
  const { body } = await client.get(`/run/${made.data.run?.run_id}/status`);
  expect(JSON.stringify(body.work), JSON.stringify(body)).toContain("Make it");
  const none = await call({ ...start, git_branch: "main", session_name: "idle", message: "Do nothing" });
  expect(none.data.outcome, none.text).toBe("failed");
  expect(none.text).toContain("commit");
});

test("a run of Codex that is killed leaves nothing", async () => {
  const { client, home } = await open(({ step }) =>
    step === 0 ? bash("touch begun; sleep 317") : undefined,
  );
  const { run_id } = await client.start({ agent: "codex" });
  const begun = await vi.waitFor(
    async () => {
      const { body } = await client.get(`/run/${run_id}/status`);
      const path = join(body.workspace_path ?? "/nowhere", "begun");
      if (!existsSync(path)) throw new Error(JSON.stringify(body));
      return path;
    },
    { timeout: 60_000, interval: 50 },
  );
  expect(begun.startsWith(home)).toBe(true);
  await client.post(`/run/${run_id}/kill`, {});
  await client.ended(run_id);
  expect(await findAgentProcesses(identityOfRun(run_id))).toEqual([]);
});

test("a plan in which Claude Code implements and Codex reviews is sent back once", async () => {
  let reviews = 0;
  const { call } = await open(() => {
    const verdict = reviews++ === 0 ? "changes" : "approve";
    return { text: `My verdict: ${verdict}.\n\n\`\`\`json\n{"verdict": "${verdict}"}\n\`\`\`` };
  }, true);
  const plan = {
    name: "two-models",
    limits: { runs: 6 },
    steps: [
      { id: "build", run: "implement", task: "Build it" },
      {
        id: "review",
        run: "review-codex",
        needs: ["build"],
        from: "build",
        task: "Review it",
        output: { verdict: { enum: ["approve", "changes"] } },
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a plan's reference
        back_to: { step: "build", when: "${steps.review.output.verdict} == changes", max: 2 },
      },
    ],
  };
  const done = await call({
    action: "plan",
    plan: JSON.stringify(plan),
    session_name: "two-models",
    repository_url: "",
    git_branch: "",
    confirm: true,
    wait_seconds: 100,
  });
  expect(done.data.outcome, done.text).toBe("completed");
  expect(reviews).toBe(2);
  const steps = done.data.plan?.steps ?? [];
  expect(steps.map(({ id, status, attempt }: Record<string, unknown>) => [id, status, attempt])).toEqual([
    ["build", "succeeded", 2],
    ["review", "succeeded", 2],
  ]);
});
