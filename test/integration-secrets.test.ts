import { readFileSync } from "node:fs";
import { expect, it, onTestFinished, vi } from "vitest";
import { startFakeDiscordWebhook } from "../mocks/integrations/discord-webhook.js";
import { serveSimulatedGithub } from "../mocks/integrations/github.js";
import { serveFakeLinear } from "../mocks/integrations/linear.js";
import { temporaryFolder } from "./support/bin.js";
import { inviteByToken, openDashboard } from "./support/dashboard.js";
import { filesWith } from "./support/files-with.js";
import { until } from "./support/harness.js";
import { connectHttp, startServeBin } from "./support/http.js";
import { SCRIPTED_AGENT, withScript } from "./support/local-engine.js";
import { storedDeliveries } from "./support/notices.js";
import { startWorker, WORKERS_KEY } from "./support/workers.js";

// No secret of another service gets anywhere but to that service: the log, answers, the database and all other files, the
// dashboard, what agents are started with.

vi.setConfig({ testTimeout: 120_000 });

const SECRETS = {
  LINEAR_API_KEY: "lin_api_secret_1f0e2d",
  GITHUB_TOKEN: "github_pat_secret_2f0e2d",
  NTFY_TOKEN: "tk_secret_3f0e2d",
  WEBHOOK_SECRET: "whsec_c2VjcmV0XzRmMGUyZF9zZWNyZXRfNGYwZTJkX3NlYw==",
};
/** In the environment of whoever starts the engine, for other programs. */
const AROUND = {
  ...{
    GH_TOKEN: "around-gh-5f0e2d",
    GITHUB_TOKEN: "around-github-6f0e2d",
    LINEAR_API_KEY: "around-linear-7f0e2d",
  },
  ...{ SLACK_BOT_TOKEN: "around-slack-8f0e2d", DISCORD_TOKEN: "around-discord-9f0e2d" },
  OTEL_EXPORTER_OTLP_HEADERS: "authorization=around-otel-af0e2d",
};
const DISCORD_PART = "secret-token";
const ALL = [
  ...Object.values(SECRETS),
  ...Object.values(AROUND).map((one) => one.replace(/^authorization=/, "")),
];

it("no secret of another service is in a log, an answer, a file, the dashboard or an agent's environment", async () => {
  const linear = await serveFakeLinear({ key: SECRETS.LINEAR_API_KEY });
  const github = await serveSimulatedGithub({ token: SECRETS.GITHUB_TOKEN });
  const discord = await startFakeDiscordWebhook();
  onTestFinished(async () => {
    await Promise.all([linear.close(), github.close(), discord.close()]);
  });
  const issue = linear.world.addIssue(linear.world.addTeam("ENG", "Engineering"), "Log in fails");
  const set = {
    ...SECRETS,
    ...{
      LINEAR_URL: linear.url,
      GITHUB_URL: github.url,
      DISCORD_WEBHOOK: discord.webhook,
      NOTIFY: "discord,webhook",
    },
    // A webhook that nobody answers: what fails is told as well.
    WEBHOOK_URL: "http://127.0.0.1:9/around-hook-bf0e2d",
    LOG_LEVEL: "trace",
  };
  const engine = await startWorker("", { ...set, CLAUDE_PATH: SCRIPTED_AGENT }, undefined, AROUND);
  // Beside the engine's, by whose name its agents are found.
  const state = temporaryFolder();
  const served = await startServeBin({
    settings: { ...set, BASE_URL: engine.url, API_KEY: WORKERS_KEY, STATE_DIR: state },
  });
  const chat = await connectHttp(served.url, {
    onForm: () => ({ action: "accept", content: { confirm: "yes" } }),
  });
  const place = { workflow_name: "fix", repository_url: "", git_branch: "" };
  const answers = [
    await chat.call({ action: "run", ...place, message: "ENG-123", session_name: "one", wait_seconds: 0 }),
    await chat.call({ action: "run", ...place, message: "ENG-999", session_name: "two", wait_seconds: 0 }),
    await chat.call({
      action: "run",
      ...place,
      message: "acme/shop#1",
      session_name: "three",
      wait_seconds: 0,
    }),
  ];
  const hanging = withScript("Go", { steps: [{ text: "Working" }, { hang: true }] });
  const { run_id } = await engine.start({ message: hanging, session_name: "four" });
  await engine.until(run_id, ({ current_turn }) => current_turn > 0);
  const environments = engine.agents().flatMap((pid) => {
    try {
      return [readFileSync(`/proc/${pid}/environ`, "utf8")];
    } catch {
      return [];
    }
  });
  expect(process.platform !== "linux" || environments.length > 0).toBe(true);
  await until(() => issue.comments.length === 1, "the issue to be told");
  await until(
    () =>
      storedDeliveries(engine.home).some(
        ({ target, state }) => target.startsWith("linear") && state === "sent",
      ),
    "what was told to be written down",
  );
  answers.push(await chat.call({ action: "status", session_name: "one" }));
  answers.push(await chat.call({ action: "list_sessions", active_only: false }));
  const dashboard = await openDashboard(await inviteByToken(served.url));
  const pages: string[] = [];
  for (const path of ["board", `runs/${run_id}`, "figures"])
    pages.push(await (await dashboard.ask(path)).text());
  const shown = {
    log: engine.log() + served.stderr(),
    answers: JSON.stringify(answers) + JSON.stringify(chat.forms),
    dashboard: pages.join("\n"),
    agent: environments.join("\n"),
  };
  expect(shown.answers).toContain("ENG-123");
  for (const secret of [...ALL, DISCORD_PART, "around-hook-bf0e2d"]) {
    for (const [where, text] of Object.entries(shown))
      expect([where, text.includes(secret)]).toEqual([where, false]);
    for (const folder of [engine.home, state]) expect(filesWith(folder, secret)).toEqual([]);
  }
});
