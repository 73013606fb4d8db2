import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { SimulatedPull } from "../mocks/integrations/github-world.js";
import { quoteTask } from "../src/integrations/quote-task.js";
import { GITHUB_TOKEN } from "./support/github.js";
import { until } from "./support/harness.js";
import { type StoredDelivery, storedDeliveries } from "./support/notices.js";
import { statusThat } from "./support/patient.js";
import { cloneForPerson, committing, openPullRequestPlace } from "./support/pull-request-place.js";
import { createSkippingClock } from "./support/skipping-clock.js";

const onlyPull = (place: Awaited<ReturnType<typeof openPullRequestPlace>>) => [...place.shop.pulls.values()];

describe("a run that is to end with a pull request", () => {
  it("pushes its branch with the person's git and opens a draft with what was done, once", async () => {
    const place = await openPullRequestPlace();
    const runId = await place.run();
    const told = await place.pullRequestOf(runId);
    expect(told).toMatchObject({
      ...{ state: "open", number: 1, branch: "automagik/login", base: "main", draft: true, problem: null },
      url: expect.stringMatching(/\/acme\/shop\/pull\/1$/),
    });
    expect(place.branches()).toEqual(["automagik/login", "main"]);
    const [pull] = onlyPull(place);
    expect(pull).toMatchObject({
      head: "automagik/login",
      base: "main",
      title: "Add login.txt",
      draft: true,
    });
    expect(pull?.body).toContain("Add login.txt");
    expect(pull?.body).toContain("1 file, +1 −0");
    expect(pull?.body).toContain("$0.0");
    // What an agent says calls nobody and closes nothing.
    expect(pull?.body).not.toMatch(/@alice|#7/);
    expect([...place.shop.comments.values()]).toMatchObject([
      { author: "tess", body: expect.stringContaining("State of this work") },
    ]);
    expect((await statusThat(place.direct, runId, () => true)).work).toMatchObject({
      ...{ delivered_to: "remote", branch: "automagik/login", problem: null },
    });
  });

  it("names the issue that it is about, and copies nothing of what was written there", async () => {
    const place = await openPullRequestPlace();
    const issue = {
      ...{
        what: "Linear issue ENG-7",
        url: "https://linear.app/acme/issue/ENG-7",
        title: "Log in fails",
        facts: [],
      },
      ...{
        body: "Only at Initech, our customer.",
        comments: [{ author: "ann", text: "They pay us." }],
        hasMore: false,
      },
    };
    const message = `${quoteTask(issue, "Begin with a test.")}${committing("login.txt").replace(/^[^\n]*/, "")}`;
    await place.pullRequestOf(await place.run({ message }));
    const body = onlyPull(place)[0]?.body;
    expect(body).toContain(
      "> Do what this issue asks for: Linear issue ENG-7, https://linear.app/acme/issue/ENG-7",
    );
    expect(body).toContain("> Begin with a test.");
    expect(body).not.toMatch(/Initech|They pay us|What stands between/);
  });

  it("names an issue of GitHub by an address that can be followed, and closes none", async () => {
    const place = await openPullRequestPlace();
    const url = "https://github.example/acme/shop/issues/12";
    const issue = { what: "GitHub issue acme/shop#12", url, title: "Log in", facts: [], body: "It fails." };
    const quoted = quoteTask({ ...issue, comments: [], hasMore: false }, "It fixes #12.");
    const message = `${quoted}${committing("login.txt").replace(/^[^\n]*/, "")}`;
    await place.pullRequestOf(await place.run({ message }));
    const body = onlyPull(place)[0]?.body;
    expect(body).toContain(`> Do what this issue asks for: GitHub issue acme/shop#12, ${url}\n`);
    expect(body).toContain("> It fixes #\u200b12.");
  });

  it("closes nothing by its title either, which is the message of a squashed commit", async () => {
    const place = await openPullRequestPlace();
    await place.pullRequestOf(await place.run({}, "closes #7"));
    expect(onlyPull(place)[0]?.title).toMatch(/^Add closes #\u200b7$/);
  });

  it("keeps one pull request and one comment up to date when the session goes on", async () => {
    const place = await openPullRequestPlace();
    const first = await place.run();
    await place.pullRequestOf(first);
    const { session_id } = await statusThat(place.direct, first, () => true);
    const second = await place.run({ session_id, session_name: undefined }, "logout.txt");
    expect(await place.pullRequestOf(second)).toMatchObject({ state: "open", number: 1 });
    expect(onlyPull(place)).toHaveLength(1);
    const comments = [...place.shop.comments.values()];
    expect(comments).toHaveLength(1);
    expect(comments[0]?.body).toContain("2 commits");
    expect(place.shop.pull(1).head.sha).toBe(
      (await statusThat(place.direct, second, () => true)).pull_request.commit,
    );
  });

  it("writes the comment of the pull request that is open now, where the session had one before", async () => {
    const place = await openPullRequestPlace();
    const first = await place.run();
    await place.pullRequestOf(first);
    place.shop.pulls.set(1, { ...place.shop.pulls.get(1), state: "closed" } as SimulatedPull);
    const { session_id } = await statusThat(place.direct, first, () => true);
    const second = await place.run({ session_id, session_name: undefined }, "logout.txt");
    const { number } = await place.pullRequestOf(second);
    expect(number).not.toBe(1);
    const comments = [...place.shop.comments.values()].map(({ issue, body }) => ({ issue, body }));
    expect(comments).toEqual([
      { issue: 1, body: expect.stringContaining("1 commit,") },
      { issue: number, body: expect.stringContaining("2 commits,") },
    ]);
  });

  it("is open where GitHub refuses the comment alone, and says so", async () => {
    const place = await openPullRequestPlace();
    place.github.fail({ method: "POST", path: /\/comments$/, how: 403 });
    expect(await place.pullRequestOf(await place.run())).toMatchObject({
      ...{ state: "open", number: 1 },
      problem: "Its comment could not be written: the token may not do this at GitHub.",
    });
  });

  it("is open at once where its comment has to wait, and has it later", async () => {
    const clock = createSkippingClock();
    const place = await openPullRequestPlace({}, undefined, clock);
    place.github.fail({ method: "POST", path: /\/comments$/, how: 503 });
    const runId = await place.run();
    expect(await place.pullRequestOf(runId)).toMatchObject({ state: "open", number: 1 });
    const isNoted = ({ note }: StoredDelivery) => note?.includes("its comment is not written") === true;
    await until(() => storedDeliveries(place.folder).some(isNoted), "the try to be noted");
    clock.skip(6_000);
    await statusThat(place.direct, runId, (found) => found.pull_request?.problem === null);
    expect([...place.shop.comments.values()]).toHaveLength(1);
    expect(onlyPull(place)).toHaveLength(1);
  }, 60_000);

  it.each(["lost", 502] as const)(
    "opens one where the answer of GitHub is %s",
    async (how) => {
      const place = await openPullRequestPlace();
      place.github.fail({ method: "POST", path: /\/pulls$/, how });
      const runId = await place.run();
      const pending = await statusThat(place.direct, runId, (found) => Boolean(found.pull_request?.problem));
      expect(place.engine.opensPullRequests()).toBe(true);
      expect(pending.pull_request).toMatchObject({
        state: "pending",
        problem: expect.stringContaining("It is tried again."),
      });
      expect(await place.pullRequestOf(runId)).toMatchObject({ state: "open", number: 1 });
      expect(place.engine.opensPullRequests()).toBe(false);
      expect(onlyPull(place)).toHaveLength(1);
      expect([...place.shop.comments.values()]).toHaveLength(1);
    },
    60_000,
  );

  it("is opened by the next engine where this one ended before GitHub was there", async () => {
    const place = await openPullRequestPlace();
    place.github.fail({ path: /\/pulls$/, how: 503 });
    const runId = await place.run();
    await statusThat(place.direct, runId, (found) => Boolean(found.pull_request?.problem));
    await place.restart();
    expect(await place.pullRequestOf(runId)).toMatchObject({ state: "open" });
    expect(onlyPull(place)).toHaveLength(1);
  }, 60_000);

  it("does not fail where no pull request can be opened, says why, and shows no token", async () => {
    const place = await openPullRequestPlace({ githubToken: "wrong-token" });
    const runId = await place.run();
    const told = await place.pullRequestOf(runId);
    expect(told).toMatchObject({
      state: "failed",
      problem: expect.stringContaining("GitHub does not take the token"),
    });
    const status = await statusThat(place.direct, runId, () => true);
    expect(status).toMatchObject({ status: "completed" });
    expect(JSON.stringify(status)).not.toContain("wrong-token");
    expect(JSON.stringify(status)).not.toContain(GITHUB_TOKEN);
  });

  it("does not push again and again where the host says that the person may not", async () => {
    const place = await openPullRequestPlace();
    const ssh = join(place.folder, "ssh");
    const said =
      "fatal: unable to access 'https://git.example/acme/shop.git/': The requested URL returned error: 403";
    const refusing = `for last; do :; done\ncase "$last" in *receive-pack*) echo "${said}" >&2; exit 128;; esac`;
    writeFileSync(ssh, readFileSync(ssh, "utf8").replace("for last; do :; done", refusing));
    const told = await place.pullRequestOf(await place.run());
    expect(told).toMatchObject({ state: "failed", problem: expect.stringContaining("error: 403") });
    expect(place.github.requests).toEqual([]);
  });

  it("pushes from a folder of the person's own to that folder's remote, and leaves the folder alone", async () => {
    const place = await openPullRequestPlace();
    const own = cloneForPerson(place);
    const runId = await place.run({ repository_url: own });
    expect(await place.pullRequestOf(runId)).toMatchObject({
      state: "open",
      branch: "automagik/login",
      base: "main",
    });
    expect(place.branches()).toEqual(["automagik/login", "main"]);
    expect(place.git(own, "status", "--porcelain")).toBe("");
    expect((await statusThat(place.direct, runId, () => true)).work).toMatchObject({
      delivered_to: "repository",
    });
  });

  it("never pushes over what others have put on a branch of that name", async () => {
    const place = await openPullRequestPlace();
    const other = place.git(place.bare, "commit-tree", "main^{tree}", "-m", "Another's");
    place.git(place.bare, "update-ref", "refs/heads/automagik/login", other);
    const runId = await place.run();
    const told = await place.pullRequestOf(runId);
    expect(told).toMatchObject({ state: "open" });
    expect(told.branch).not.toBe("automagik/login");
    expect(place.git(place.bare, "rev-parse", "automagik/login")).toBe(other);
  });

  it("opens nothing for a run that has failed, or has left nothing", async () => {
    const place = await openPullRequestPlace();
    const { run_id } = await place.direct.start(
      { message: "Do nothing", session_name: "nothing", repository_url: place.address, pull_request: true },
      "implement",
    );
    const status = await statusThat(place.direct, run_id, (found) => found.completed_at !== null);
    expect(status.pull_request).toBeNull();
    expect(place.branches()).toEqual(["main"]);
  });
});

describe("a host without an API", () => {
  /** The bare repository writes down what it is told with a push, and answers as such a host does. */
  async function openForge(kind: "gitlab" | "gitea", answer: string) {
    const place = await openPullRequestPlace({ forges: { "127.0.0.1": kind } });
    const seen = join(place.folder, "seen");
    const hook = [
      "#!/bin/sh",
      `while read -r old new ref; do echo "ref=$ref" >> '${seen}'; done`,
      "i=0",
      `while [ "$i" -lt "\${GIT_PUSH_OPTION_COUNT:-0}" ]; do eval "printf '%s\\\\n' \\"\\$GIT_PUSH_OPTION_$i\\"" >> '${seen}'; i=$((i + 1)); done`,
      `echo '${answer}'`,
    ];
    writeFileSync(join(place.bare, "hooks", "pre-receive"), `${hook.join("\n")}\n`, { mode: 0o755 });
    return { ...place, seen: () => readFileSync(seen, "utf8").trim().split("\n") };
  }

  it("gets a merge request of GitLab by options of the push", async () => {
    const place = await openForge("gitlab", "  https://gitlab.example.com/acme/shop/-/merge_requests/4");
    const told = await place.pullRequestOf(await place.run());
    expect(told).toMatchObject({
      ...{ state: "open", branch: "automagik/login", base: "main", draft: true },
      url: "https://gitlab.example.com/acme/shop/-/merge_requests/4",
    });
    expect(place.seen()).toEqual([
      "ref=refs/heads/automagik/login",
      "merge_request.create",
      "merge_request.target=main",
      "merge_request.title=Draft: Add login.txt",
      expect.stringContaining("merge_request.description="),
      "merge_request.draft",
    ]);
    expect(place.github.requests).toEqual([]);
  });

  it("gets a pull request of Gitea by its topic", async () => {
    const place = await openForge(
      "gitea",
      "Visit the existing pull request:   https://gitea.example.com/acme/shop/pulls/5",
    );
    const told = await place.pullRequestOf(await place.run());
    expect(told).toMatchObject({ state: "open", url: "https://gitea.example.com/acme/shop/pulls/5" });
    expect(place.seen().slice(0, 3)).toEqual([
      "ref=refs/for/main",
      "topic=automagik/login",
      "title=Draft: Add login.txt",
    ]);
    expect(place.branches()).toEqual(["main"]);
  });

  it("is not said to have opened one where it has not said so", async () => {
    const place = await openForge("gitlab", "Thank you.");
    const told = await place.pullRequestOf(await place.run());
    expect(told).toMatchObject({
      state: "pushed",
      url: null,
      problem: expect.stringContaining("did not say whether"),
    });
  });

  it("opens none at a host that nobody has said anything of", async () => {
    const place = await openPullRequestPlace({ githubUrl: "https://api.github.com" });
    const told = await place.pullRequestOf(await place.run());
    expect(told).toMatchObject({
      state: "failed",
      problem: expect.stringContaining("AUTOMAGIK_WORKFLOWS_FORGES"),
    });
    expect(place.branches()).toEqual(["main"]);
  });
});
