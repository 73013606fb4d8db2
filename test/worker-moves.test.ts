import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Body } from "./contract/upstream.js";
import { temporaryFolder } from "./support/bin.js";
import { copyRepository, runGit } from "./support/git-place.js";
import { withScript } from "./support/local-engine.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";
import { startWorker, type WorkerProcess } from "./support/workers.js";

const programs = await findPostgres();

let server: PostgresServer;

const env = { PATH: process.env.PATH, GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" };
const git = (at: string, ...args: string[]) => runGit(env, at, ...args);

/** The message of a run whose agent commits these files. */
function commits(files: Record<string, string>, message = "Work"): string {
  const writes = Object.entries(files).map(([file_path, content]) => ({
    name: "Write",
    input: { file_path, content },
  }));
  const command = (text: string) => ({
    tools: [{ name: "Bash", input: { command: text }, run: true }],
  });
  return withScript(message, {
    steps: [
      { tools: writes },
      command("git add --all"),
      command(`git commit --quiet -m "${message}"`),
      { text: "Done" },
    ],
  });
}

/** Writes a file and commits nothing. */
const LEAVES = withScript("Leave it", {
  steps: [
    { tools: [{ name: "Write", input: { file_path: "loose.txt", content: "loose\n" } }] },
    { text: "Left" },
  ],
});
const QUICK = withScript("Go on", { steps: [{ text: "Gone on. Heard {{messages}}" }] });

/** Several machines: a database and a repository that all of them reach by ssh, and local folders that they do not share. */
async function openPlace() {
  const database = await server.createDatabase();
  const folder = temporaryFolder("automagik-moves-");
  const bare = join(folder, "shop.git");
  copyRepository(join(folder, "made"));
  git(folder, "clone", "--quiet", "--bare", join(folder, "made"), bare);
  // What ssh would do on the other machine, done here: the last argument is the command to run.
  const ssh = join(folder, "ssh");
  writeFileSync(ssh, '#!/bin/sh\nfor last; do :; done\neval "exec $last"\n', { mode: 0o755 });

  async function open(settings: Record<string, string> = {}): Promise<WorkerProcess> {
    const home = temporaryFolder("automagik-worker-");
    writeFileSync(
      join(home, ".gitconfig"),
      `[core]\n\tsshCommand = ${ssh}\n[user]\n\tname = Agent\n\temail = agent@host.example\n`,
    );
    return startWorker(database, settings, home);
  }

  const ask = <Row extends object>(sql: string) =>
    server.query<Row>(sql, new URL(database).pathname.slice(1));
  return { ask, bare, address: `ssh://git@host.example${bare}`, open };
}

type Place = Awaited<ReturnType<typeof openPlace>>;

async function run(at: WorkerProcess, fields: object): Promise<Body> {
  const { run_id } = await at.start(fields as Record<string, unknown>);
  return { ...(await at.ended(run_id)), run_id };
}

/** What the agent of a session was given last at a worker. */
function conversation(at: WorkerProcess, sessionId: string): { messages: string[]; systemPrompt: string } {
  return JSON.parse(readFileSync(join(at.home, ".scripted-agent", `${sessionId}.json`), "utf8"));
}

function worktreeOf(at: WorkerProcess): string {
  const home = join(at.home, "engine", "workspaces", "worktrees");
  return join(home, readdirSync(home)[0] ?? "");
}

function cloneOf(at: WorkerProcess): string {
  const home = join(at.home, "engine", "workspaces", "repositories");
  return join(home, readdirSync(home)[0] ?? "", ".git");
}

function handoverOf(at: WorkerProcess, sessionId: string): string {
  return join(at.home, "engine", "handovers", sessionId, "handover.md");
}

/** A session that has committed once, at the only worker there is. */
async function begin(place: Place, settings: Record<string, string> = {}) {
  const a = await place.open(settings);
  const first = await run(a, {
    message: commits({ "login.txt": "login\n" }, "Add the login"),
    session_name: "login",
    repository_url: place.address,
  });
  expect(first).toMatchObject({ status: "completed" });
  return { a, first, session_id: first.session_id as string };
}

/** A commit that git itself would never make, as a bundle, with what the database is told of it. */
function hostileBundle(place: Place): { tip: string; bytes: Buffer } {
  const at = temporaryFolder("automagik-hostile-");
  git(at, "clone", "--quiet", place.bare, "clone");
  const clone = join(at, "clone");
  const tree = git(clone, "rev-parse", "HEAD^{tree}");
  const parent = git(clone, "rev-parse", "HEAD");
  const who = "Agent agent@host.example> 0 +0000";
  const text = `tree ${tree}\nparent ${parent}\nauthor ${who}\ncommitter ${who}\n\nWork\n`;
  writeFileSync(join(at, "commit"), text);
  const tip = git(clone, "hash-object", "-t", "commit", "-w", "--literally", join(at, "commit"));
  git(clone, "update-ref", "refs/heads/work", tip);
  git(clone, "bundle", "create", "--quiet", join(at, "work.bundle"), "work", "--not", parent);
  return { tip, bytes: readFileSync(join(at, "work.bundle")) };
}

/** The message of a run that commits a file and then goes on until it is killed. */
const commitsAndHangs = (files: Record<string, string>, message: string) => {
  const [first = "", script = ""] = commits(files, message).split("\n#script ");
  const { steps } = JSON.parse(script);
  return withScript(first, { steps: [...steps.slice(0, -1), { text: "Working" }, { hang: true }] });
};

const working = ({ current_action }: Body) => current_action === "Working";

describe.skipIf(!programs)("a session whose worker stays away", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string);
  });
  afterAll(() => server?.dispose());

  it("goes on at another one with what it has committed, its branch and its handover note", async () => {
    const place = await openPlace();
    const { a, session_id } = await begin(place);
    writeFileSync(handoverOf(a, session_id), "# Handover from implement\n## Next\nThe logout\n");
    await run(a, { message: commits({ "two.txt": "two\n" }, "Add two"), session_id });
    await run(a, { message: LEAVES, session_id });
    const tip = git(worktreeOf(a), "rev-parse", "HEAD");
    const b = await place.open();
    a.signal("SIGKILL");
    const moved = await run(b, { message: QUICK, session_id });
    expect(moved).toMatchObject({
      status: "completed",
      git_branch: "automagik/login",
      work: { branch: "automagik/login", base_branch: "main", commit_count: 2, head_commit: tip },
    });
    expect(moved.result.message).toMatch(
      new RegExp(
        `Session "login" goes on at worker \\S+ from commit ${tip.slice(0, 7)} \\(2 commits\\)\\. ` +
          "Its worker \\S+ is away since [-\\d]+ [:\\d]+ UTC\\. What was not committed there is not here\\. " +
          "The conversation begins anew with the handover note\\.",
      ),
    );
    expect(readdirSync(worktreeOf(b)).sort()).toEqual([".git", "login.txt", "readme.md", "two.txt"]);
    expect(readFileSync(handoverOf(b, session_id), "utf8")).toContain("The logout");
    const { messages, systemPrompt } = conversation(b, session_id);
    expect(messages).toEqual([
      expect.stringMatching(/^This session goes on here from another machine, .*\n\nGo on/),
    ]);
    expect(systemPrompt).toContain(
      `has left a handover note at ${handoverOf(b, session_id)}. Read it first.`,
    );
    // From now on it is here, with its conversation.
    const next = await run(b, { message: commits({ "three.txt": "3\n" }, "Add three"), session_id });
    expect(next).toMatchObject({ status: "completed", work: { commit_count: 3 } });
    expect(next.result.message).not.toContain("goes on at worker");
    expect(conversation(b, session_id).messages).toHaveLength(2);
  });

  it("goes on from what was pushed, and is told when the repository does not have that any more", async () => {
    const place = await openPlace();
    const { a, first, session_id } = await begin(place, { ENGINE_PUSH: "on" });
    const tip = first.work.head_commit;
    const kept = await place.ask("select kind, bundle_id from session_bundles");
    expect(kept).toEqual([{ kind: "pushed", bundle_id: null }]);
    const b = await place.open({ ENGINE_PUSH: "on" });
    a.signal("SIGKILL");
    git(place.bare, "update-ref", "-d", "refs/heads/automagik/login");
    expect(await run(b, { message: QUICK, session_id })).toMatchObject({
      status: "failed",
      error_message: expect.stringContaining(
        `pushed as the branch automagik/login, and the repository does not have the newest of them (${tip.slice(0, 10)}) any more`,
      ),
    });
    git(place.bare, "update-ref", "refs/heads/automagik/login", tip);
    const moved = await run(b, { message: commits({ "two.txt": "two\n" }, "Add two"), session_id });
    expect(moved.result.message).toContain(`from commit ${tip.slice(0, 7)} (1 commit)`);
    expect(moved.work).toMatchObject({ commit_count: 2, delivered_to: "remote", branch: "automagik/login" });
    expect(git(place.bare, "rev-parse", "automagik/login~")).toBe(tip);
  });

  it("begins at its base and says so, where nothing of its work could be kept", async () => {
    const place = await openPlace();
    const a = await place.open({ ENGINE_MOVE_LIMIT: "0.01" });
    const content = randomBytes(20_000).toString("base64");
    const large = await run(a, {
      message: commits({ "large.txt": content }, "Add a lot"),
      session_name: "large",
      repository_url: place.address,
    });
    expect(large.result.message).toMatch(
      /The session's commit is too large to be kept in the database \(\d\d KB, at most 11 KB\): .* ENGINE_PUSH=on/,
    );
    const idle = await run(a, { message: LEAVES, session_name: "idle", repository_url: place.address });
    const plain = await run(a, { message: LEAVES, session_name: "plain" });
    const b = await place.open();
    a.signal("SIGKILL");
    const [fromLarge, fromIdle, fromPlain] = await Promise.all(
      [large, idle, plain].map(({ session_id }) => run(b, { message: QUICK, session_id })),
    );
    const base = git(place.bare, "rev-parse", "main").slice(0, 7);
    expect(fromLarge.result.message).toContain(
      `from its base ${base}, since its 1 commit exceeded the size that is kept (`,
    );
    expect(fromLarge.result.message).toContain("The conversation begins anew; no handover note was kept.");
    expect(fromIdle.result.message).toContain(`from its base ${base}, since it had committed nothing`);
    expect(fromPlain.result.message).toContain("in an empty folder: without a repository");
    for (const one of [fromLarge, fromIdle]) expect(one.git_branch).toMatch(/^automagik\/(large|idle)$/);
    expect(conversation(b, large.session_id).systemPrompt).toContain(
      "ran on another machine, and no handover note of it is here",
    );
  });

  it("waits for a repository that is away, and takes nothing that is not what was kept", async () => {
    const place = await openPlace();
    const { a, first, session_id } = await begin(place);
    const b = await place.open();
    a.signal("SIGKILL");
    renameSync(place.bare, `${place.bare}.away`);
    expect(await run(b, { message: QUICK, session_id })).toMatchObject({
      status: "failed",
      error_message: expect.stringMatching(
        /^Not started; nothing was charged\. The repository could not be cloned/,
      ),
    });
    renameSync(`${place.bare}.away`, place.bare);
    const [whole] = await place.ask<{ bytes: Buffer }>("select bytes from session_bundle_parts");
    const keep = (bytes: Buffer, tip: string) =>
      place.ask(
        `update session_bundle_parts set bytes = '\\x${bytes.toString("hex")}';
         update session_bundles set bytes = ${bytes.length}, tip_commit = '${tip}'`,
      );
    const hostile = hostileBundle(place);
    await keep(hostile.bytes, hostile.tip);
    expect(await run(b, { message: QUICK, session_id })).toMatchObject({
      status: "failed",
      error_message: expect.stringMatching(/could not be brought here: .*fsck error/),
    });
    await keep(whole?.bytes as Buffer, hostile.tip);
    expect(await run(b, { message: QUICK, session_id })).toMatchObject({
      status: "failed",
      error_message: expect.stringContaining("the bundle is not that of the commit"),
    });
    expect(git(cloneOf(b), "for-each-ref", "--format=%(refname)", "refs/heads")).toBe("");
    expect(() => git(cloneOf(b), "cat-file", "-e", hostile.tip)).toThrow();
    // Nothing of all that has lost anything.
    await keep(whole?.bytes as Buffer, first.work.head_commit);
    const moved = await run(b, { message: QUICK, session_id });
    expect(moved).toMatchObject({ status: "completed", work: { head_commit: first.work.head_commit } });
  });

  it("is not gone on with by the one that comes back, which keeps what only it has", async () => {
    const place = await openPlace();
    const settings = { ENGINE_PUSH: "on" };
    const { a, first, session_id } = await begin(place, settings);
    const late = commitsAndHangs({ "late.txt": "late\n" }, "Add what comes late");
    const { run_id } = await a.start({ message: late, session_id });
    await a.until(run_id, working);
    const lost = git(worktreeOf(a), "rev-parse", "HEAD");
    const b = await place.open(settings);
    a.signal("SIGKILL");
    const moved = await run(b, { message: commits({ "two.txt": "two\n" }, "Add two"), session_id });
    expect(moved.result.message).toMatch(/from commit \w+ \(1 commit\)\./);
    expect(moved.result.message).toContain(
      "what its last run there (implement, interrupted) has committed is not here either, until that worker is back",
    );
    expect(conversation(b, session_id).messages[0]).toMatch(
      /the run was interrupted there\..*Add what comes late/s,
    );
    const pushed = git(place.bare, "rev-parse", "automagik/login");
    expect(git(place.bare, "rev-parse", "automagik/login~")).toBe(first.work.head_commit);

    const again = await a.restart();
    await vi.waitFor(() => expect(again.log()).toContain("on the branch automagik/login-moved"), {
      timeout: 10_000,
    });
    expect(again.agents()).toEqual([]);
    expect(git(worktreeOf(again), "rev-parse", "HEAD", "automagik/login-moved").split("\n")).toEqual([
      lost,
      lost,
    ]);
    expect(git(place.bare, "for-each-ref", "--format=%(refname:short) %(objectname)").split("\n")).toEqual([
      `automagik/login ${pushed}`,
      expect.stringMatching(/^main /),
    ]);
    const { body } = await again.get("/leftovers");
    expect(body.items).toContainEqual(
      expect.objectContaining({
        name: "login (goes on at another worker; left here on automagik/login-moved)",
        commits_only_here: 1,
        commits: [expect.stringContaining("Add what comes late")],
        in_use: false,
        safe: false,
      }),
    );
    // Whoever is asked: it stays where it is.
    const next = await run(again, { message: commits({ "three.txt": "3\n" }, "Add three"), session_id });
    expect(next).toMatchObject({ status: "completed", work: { commit_count: 3 } });
    expect(git(worktreeOf(b), "log", "--format=%s", "-1")).toBe("Add three");
  });

  it("comes back to a worker where it was before, and not to what is old there", async () => {
    const place = await openPlace();
    const { a, session_id } = await begin(place);
    await run(a, { message: LEAVES, session_id });
    const b = await place.open();
    a.signal("SIGKILL");
    await run(b, { message: commits({ "two.txt": "two\n" }, "Add two"), session_id });
    const tip = git(worktreeOf(b), "rev-parse", "HEAD");
    const again = await a.restart();
    b.signal("SIGKILL");
    const back = await run(again, { message: QUICK, session_id });
    expect(back).toMatchObject({
      status: "completed",
      git_branch: "automagik/login",
      work: { head_commit: tip, commit_count: 2, uncommitted: false },
    });
    const home = join(again.home, "engine", "workspaces", "worktrees");
    expect(readdirSync(home).sort()).toEqual(["shop-login", "shop-login-2"]);
    expect(readFileSync(join(home, "shop-login", "loose.txt"), "utf8")).toBe("loose\n");
    expect(git(join(home, "shop-login-2"), "rev-parse", "HEAD")).toBe(tip);
  });
});

describe.skipIf(!programs)("a local path that all workers have", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string);
  });
  afterAll(() => server?.dispose());

  it("is cloned at each; the commits come from the database also where the repository lacks them", async () => {
    const place = await openPlace();
    const settings = { ENGINE_ALLOWED_FOLDERS: place.bare };
    const { a, first, session_id } = await begin({ ...place, address: place.bare }, settings);
    expect(first.work).toMatchObject({ delivered_to: "repository" });
    git(place.bare, "update-ref", "-d", "refs/heads/automagik/login");
    const b = await place.open(settings);
    a.signal("SIGKILL");
    const moved = await run(b, { message: QUICK, session_id });
    expect(moved.work).toMatchObject({ head_commit: first.work.head_commit, delivered_to: "repository" });
    expect(git(place.bare, "rev-parse", "automagik/login")).toBe(first.work.head_commit);
  });
});
