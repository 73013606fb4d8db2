import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { serveFakeLinear } from "../mocks/integrations/linear.js";
import { SLACK_APP_TOKEN, SLACK_BOT_TOKEN, startFakeSlack } from "../mocks/integrations/slack.js";
import { planStatus } from "../src/plans/machine/plan-status.js";
import { DATABASE_FILE } from "../src/shared/state-folder.js";
import { temporaryFolder, toVariables } from "./support/bin.js";
import { filesWith } from "./support/files-with.js";
import { GITHUB_TOKEN, openGithubForTest } from "./support/github.js";
import { until } from "./support/harness.js";
import { SCRIPTED_AGENT, withScript } from "./support/local-engine.js";
import { closeWindow, createMachine, git } from "./support/one-machine.js";
import { standInForSsh } from "./support/stand-in-ssh.js";
import { openStoredPlans } from "./support/stored-plans.js";

// One plan over all services, with the published bin: its windows, its engine and its process that drives plans; real git
// and simulated services on sockets.

const LINEAR_KEY = "lin_api_of_the_story_1f0e2d";
const SECRETS = [LINEAR_KEY, GITHUB_TOKEN, SLACK_APP_TOKEN, SLACK_BOT_TOKEN];
const ANN = { id: "U0ANN", name: "Ann" };
const MALLORY = { id: "U0BAD", name: "Mallory" };

/** A command of an agent; the scripted one needs no leave for those that begin so. */
const bash = (command: string) => [{ name: "Bash", input: { command: `echo Begun; ${command}` }, run: true }];
/** Each agent writes down what it was started with, beside all else that is searched. */
const DUMP = 'env >> "$HOME/environments"';
const LOOKING = [{ tools: bash(`ls | xargs >> "$HOME/seen"; ${DUMP}`) }, { text: "The cookie is too old." }];
const BUILDING = [
  { tools: [{ name: "Write", input: { file_path: "login.txt", content: "log in\n" } }] },
  { tools: bash(`${DUMP}; git add . && git commit -qm 'Mend the login'`) },
  { text: "The login works." },
];
const PLAN = {
  name: "login",
  finish: "pull_request",
  inputs: { bug: { description: "What is wrong" } },
  steps: [
    { id: "design", run: "architect", task: "Find a way out of this: ${inputs.bug}" },
    { id: "ok", gate: "Build this?", needs: ["design"], show: "${steps.design.result}" },
    { id: "build", run: "implement", needs: ["ok"], task: withScript("Build it", { steps: BUILDING }) },
    { id: "test", run: "test", needs: ["build"], from: "build", task: "Test it" },
  ],
};

/** Linear with an issue, GitHub with a repository that git reaches, Slack, and a machine where all of them are set. */
async function openWorld() {
  const slack = await startFakeSlack();
  const linear = await serveFakeLinear({ key: LINEAR_KEY });
  const github = await openGithubForTest();
  onTestFinished(async () => {
    await Promise.all([slack.close(), linear.close()]);
  });
  const around = temporaryFolder();
  const { remotes, env } = standInForSsh(around);
  const tokenFile = join(around, "app-token");
  writeFileSync(tokenFile, `${SLACK_APP_TOKEN}\n`, { mode: 0o600 });
  const set = {
    ...{ LINEAR_API_KEY: LINEAR_KEY, LINEAR_URL: linear.url, GITHUB_TOKEN, GITHUB_URL: github.url },
    ...{ SLACK_APP_TOKEN_FILE: tokenFile, SLACK_BOT_TOKEN, SLACK_URL: slack.url },
    ...{ SLACK_CHANNEL: "C0123", SLACK_ANSWERERS: ANN.id, LOG_LEVEL: "trace" },
  };
  const machine = createMachine({
    claudePath: SCRIPTED_AGENT,
    env: { ...env, ...toVariables(set), SCRIPTED_AGENT: JSON.stringify(LOOKING) },
  });
  const { repository } = machine;
  const bare = join(remotes, "acme", "shop.git");
  git(repository, "clone", "--quiet", "--bare", repository, bare);
  git(repository, "remote", "add", "origin", `git@${new URL(github.url).hostname}:acme/shop.git`);
  const shop = github.addRepository("acme/shop", { bare });
  const team = linear.world.addTeam("ENG", "Engineering");
  const issue = linear.world.addIssue(team, "Log in fails", { description: "Since Monday." });
  return { ...machine, slack, github, shop, bare, issue };
}

it("a plan goes from an issue of Linear over a gate in Slack to one pull request, with the window closed", async () => {
  const { home, repository, openWindow, slack, github, shop, bare, issue } = await openWorld();
  const comment = () => issue.comments[0]?.body ?? "";

  // It begins in the chat, and the window is closed when a person is needed.
  const first = await openWindow({ onForm: () => ({ action: "accept", content: { confirm: "yes" } }) });
  const begun = await first.call({
    ...{ action: "plan", plan: JSON.stringify(PLAN), inputs: JSON.stringify({ bug: issue.identifier }) },
    ...{ session_name: "login", repository_url: repository, git_branch: "", wait_seconds: 0 },
  });
  expect(begun.data).toMatchObject({ outcome: "started" });
  const planId = begun.data.plan.plan_id;
  const plans = await openStoredPlans(home);
  await plans.until(planId, (state) => planStatus(state) === "waiting");
  await closeWindow(first);

  // The gate is decided in Slack, by whom it may be.
  await until(() => slack.messages.length > 0 && slack.connections() === 1, "the gate's question");
  const atGate = /- \[x\] design[\s\S]*It waits for: ok: Build this\?/;
  await until(() => atGate.test(comment()), "the issue to hear of the gate");
  slack.press("Approve", MALLORY);
  await until(() => slack.whispers.length > 0, "the refusal");
  expect(slack.whispers).toEqual([expect.stringContaining("not among those who may answer")]);
  expect(planStatus(await plans.until(planId, () => true))).toBe("waiting");
  slack.press("Approve", ANN);
  const ended = await plans.until(planId, (state) => planStatus(state) === "completed");
  expect(ended.steps.ok?.decisions).toEqual([
    expect.objectContaining({ decision: "approve", via: "slack", by: "Ann" }),
  ]);
  const outcome = "Build this?: Ann by Slack: Approved at gate ok.";
  await until(() => slack.messages[0]?.text === outcome, "the outcome in the same message");
  expect(slack.messages).toHaveLength(1);
  // The test began with what was built.
  expect(readFileSync(join(home, "seen"), "utf8")).toBe("README.md\nREADME.md login.txt\n");

  // The branch is at the remote, with one pull request, which the issue has as well.
  await until(() => issue.attachments.length > 0 && comment().includes("Pull request: "), "the attachment");
  const [pull] = [...shop.pulls.values()];
  expect([...shop.pulls.values()]).toMatchObject([{ title: "login", base: "main", draft: true }]);
  expect(pull?.body).toMatch(/- build \(succeeded\): The login works\.\n- test \(succeeded\)/);
  expect(github.requests.filter((one) => one === "POST /repos/acme/shop/pulls")).toHaveLength(1);
  expect(git(bare, "show", `${pull?.head}:login.txt`)).toBe("log in");
  expect(git(bare, "rev-list", "--count", `main..${pull?.head}`)).toBe("1");
  expect(issue.attachments).toMatchObject([{ url: expect.stringMatching(/\/acme\/shop\/pull\/1$/) }]);
  expect(comment()).toMatch(
    /finished\*\*[\s\S]*- \[x\] ok: approve by Ann in Slack\n- \[x\] build.*\n- \[x\] test[\s\S]*3 runs/,
  );
  expect([issue.comments.length, issue.moves]).toEqual([1, ["In Progress"]]);

  // The next window knows all of it.
  const second = await openWindow();
  const told = await second.call({ action: "status", plan_id: planId });
  expect(told.text).toMatch(
    /is completed[\s\S]*Pull requests:\n.*\/acme\/shop\/pull\/1[\s\S]*approve by Ann in Slack/,
  );

  // No secret is anywhere but where it was set.
  const answers = [begun, told, first.forms];
  const said = JSON.stringify([answers, slack.messages, issue, [...shop.pulls], [...shop.comments]]);
  const all = said + first.stdout() + first.stderr() + second.stdout() + second.stderr();
  const environments = readFileSync(join(home, "environments"), "utf8");
  expect(environments.match(/^WORKFLOW_AGENT_MARK=/gm)).toHaveLength(3);
  // All that could have one is searched: the database, and the logs of both processes.
  const places = { [planId]: DATABASE_FILE, "listens on": "engine.log", "Answered by Slack": "driver.log" };
  for (const [text, name] of Object.entries(places))
    expect(filesWith(home, text)).toContainEqual(expect.stringContaining(name));
  for (const secret of SECRETS) {
    expect([secret, all.includes(secret)]).toEqual([secret, false]);
    for (const folder of [home, repository, bare]) expect(filesWith(folder, secret)).toEqual([]);
  }
}, 90_000);
