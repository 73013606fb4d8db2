import { randomBytes } from "node:crypto";
import { copyFileSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { createRunStore } from "../src/engine/runs/create-run-store.js";
import type { RunRequest } from "../src/engine/runs/run.js";
import type { MovedWork } from "../src/engine/workspaces/moving-types.js";
import type { OwnWorkspaces } from "../src/engine/workspaces/workspaces.js";
import { type Clock, systemClock } from "../src/shared/clock.js";
import { openDatabase, transaction } from "../src/store/database.js";
import { type Body, createContractClient } from "./contract/upstream.js";
import { temporaryFolder } from "./support/bin.js";
import { makeGitPlace } from "./support/git-place.js";
import { ENGINE_KEY, startLocalEngine, withScript } from "./support/local-engine.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";
import { plainGit as git, makeRemoteRepository, worktreeOf } from "./support/remote-repository.js";
import { startWorker, type WorkerProcess } from "./support/workers.js";

const programs = await findPostgres();

let server: PostgresServer;

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
  const { bare, address, makeHome } = makeRemoteRepository();
  const open = (settings: Record<string, string> = {}) => startWorker(database, settings, makeHome());

  /** A worker of this process that keeps what is committed in a moment, and then can be cut off from time. */
  async function openHere() {
    let isFrozen = false;
    const after: Clock["after"] = (ms, task) =>
      systemClock.after(ms, () => {
        if (!isFrozen) task();
      });
    const shared = { database, timeoutMs: 3_000, moveAfterMs: 3_000, moveLimitBytes: 2 ** 26 };
    const more = { shared: { ...shared, keepEveryMs: 50 }, clock: { ...systemClock, after } };
    const engine = await startLocalEngine(makeHome(), {}, {}, more);
    onTestFinished(async () => {
      isFrozen = false;
      await engine.close();
    });
    return {
      ...createContractClient({ url: engine.url, apiKey: ENGINE_KEY }),
      freeze() {
        isFrozen = true;
      },
    };
  }

  const ask = <Row extends object>(sql: string) =>
    server.query<Row>(sql, new URL(database).pathname.slice(1));
  return { ask, bare, address, open, openHere };
}

type Place = Awaited<ReturnType<typeof openPlace>>;

async function run(at: WorkerProcess, fields: object): Promise<Body> {
  const { run_id } = await at.start(fields as Record<string, unknown>);
  return { ...(await at.ended(run_id)), run_id };
}

/** What the agent of a session was given last at a worker. */
function conversation(
  at: Pick<WorkerProcess, "home">,
  sessionId: string,
): { messages: string[]; systemPrompt: string } {
  return JSON.parse(readFileSync(join(at.home, ".scripted-agent", `${sessionId}.json`), "utf8"));
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

  it("has what was committed until a moment before it went away in the middle of a run", async () => {
    const place = await openPlace();
    const a = await place.openHere();
    const { run_id, session_id } = await a.start({
      message: commitsAndHangs({ "login.txt": "login\n" }, "Add the login"),
      session_name: "login",
      repository_url: place.address,
    });
    const [kept] = await vi.waitFor(
      async () => {
        const found = await place.ask<{ tip_commit: string }>(
          "select tip_commit from session_bundles where kind = 'bundle'",
        );
        expect(found).toHaveLength(1);
        return found;
      },
      { timeout: 15_000 },
    );
    a.freeze();
    const b = await place.open();
    await b.ended(run_id);
    const moved = await run(b, { message: QUICK, session_id });
    expect(moved.work).toMatchObject({ head_commit: kept?.tip_commit, commit_count: 1 });
    expect(moved.result.message).toMatch(
      /\(implement, interrupted\) has committed after [-\d]+ [:\d]+ UTC is not here either: that worker has it\./,
    );
    expect(conversation(b, session_id).messages[0]).toContain("Add the login");
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
    await keep(whole?.bytes as Buffer, "--all");
    expect(await run(b, { message: QUICK, session_id })).toMatchObject({
      status: "failed",
      error_message: expect.stringContaining("What the database has of the session's branch is damaged"),
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
      "what its last run there (implement, interrupted) has committed is not here either: that worker has it",
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
    const { id, mark } = body.items.find(({ name }: { name: string }) => name.includes("goes on at another"));
    expect((await again.post("/leftovers/remove", { id, mark })).status).toBe(409);
    expect(await again.post("/leftovers/remove", { id, mark, force: true })).toMatchObject({ status: 200 });
    expect(git(cloneOf(again), "for-each-ref", "--format=%(refname)", "refs/heads")).toBe("");
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

describe("what a session has committed", () => {
  /** A session with one commit, in workspaces of its own, and those of another machine. */
  async function openTwo() {
    const place = makeGitPlace();
    onTestFinished(place.remove);
    const [here, there] = ["here", "there"].map((name) =>
      place.workspaces({ folder: join(place.folder, name) }),
    ) as [OwnWorkspaces, OwnWorkspaces];
    const begin = async (at: OwnWorkspaces, sessionKey: string) => {
      const request = { ...place.request(sessionKey), sessionName: "login" };
      const workspace = await at.prepare(request);
      const tip = place.commit(workspace.path, { [`${sessionKey}.txt`]: `${sessionKey}\n` });
      return { ...workspace, request, tip };
    };
    const pack = (runId: string) =>
      here.pack(runId, { limitBytes: 2 ** 20 }, async (packed) => {
        const kept = join(place.folder, "kept.bundle");
        if (packed?.file) copyFileSync(packed.file, kept);
        return { ...packed, writeBundle: async (file: string) => copyFileSync(kept, file) };
      });
    return { place, here, there, begin, pack };
  }

  it("comes on another branch where its name is another session's, also for a run that names none", async () => {
    const { place, here, there, begin, pack } = await openTwo();
    const session = await begin(here, "mine");
    const other = await begin(there, "theirs");
    const moved = await pack(session.runId);
    expect(moved.work).toMatchObject({ kind: "bundle", branch: "automagik/login", commits: 1, isOwn: true });
    const brought = await there.prepare({ ...session.request, runId: "next", moved: moved as MovedWork });
    expect(brought).toMatchObject({
      branch: "automagik/login-2",
      baseBranch: "main",
      startCommit: session.tip,
      notices: [
        "The branch automagik/login has other commits on this machine, so the session continues on automagik/login-2 here.",
      ],
    });
    expect(place.git(other.path, "log", "--format=%H", "-1", "automagik/login")).toBe(other.tip);
    expect(readdirSync(brought.path).sort()).toEqual([".git", "mine.txt", "readme.md"]);
  });

  it("is what its branch has while a rebase is not finished", async () => {
    const { place, here, begin, pack } = await openTwo();
    const { path, runId } = await begin(here, "mine");
    const tip = place.commit(path, { "second.txt": "second\n" });
    expect(() => place.git(path, "rebase", "--quiet", "--exec", "false", "HEAD~2")).toThrow();
    expect(place.git(path, "rev-parse", "HEAD")).not.toBe(tip);
    expect((await pack(runId)).work).toMatchObject({ tip, branch: "automagik/login", commits: 2 });
  });

  it("stays in the clone under another name when it has moved, also without its worktree", async () => {
    const { place, here, begin } = await openTwo();
    const { runId, request, tip } = await begin(here, "mine");
    await here.cleanup({ sessionKey: "mine", runId }, { force: false });
    expect(await here.setAside("mine")).toMatchObject({ branch: "automagik/login-moved" });
    expect(await here.setAside("mine")).toBeUndefined();
    const anew = await here.prepare({ ...request, runId: "next" });
    expect(anew.startCommit).toBe(place.git(place.source, "rev-parse", "main"));
    const { items } = await here.leftovers(() => false);
    expect(items).toContainEqual(
      expect.objectContaining({ kind: "branch", name: "automagik/login-moved", commitsOnlyHere: 1 }),
    );
    expect(place.git(anew.path, "rev-parse", "automagik/login-moved")).toBe(tip);
  });

  it("goes from the database with the last run of its session, and so does what was never finished", async () => {
    const database = await openDatabase({});
    const runs = await createRunStore({ database, clock: systemClock, limits: { endedRuns: 0 } });
    const request = { workflowName: "implement", message: "Work", timeoutS: 60 } as RunRequest;
    for (const session of ["kept", "gone"])
      await runs.accept({ runId: session, sessionId: session, sessionName: session, request });
    const part = (bundle_id: string, stored_at: number) => ({
      ...{ bundle_id, stored_at, number: 0, bytes: Buffer.from([0, 255]) },
    });
    await transaction(database, async (trx) => {
      for (const session_id of ["kept", "gone"])
        await trx
          .insertInto("session_bundles")
          .values({
            ...{ session_id, run_id: session_id, bundle_id: session_id, worker_id: "w", stored_at: 0 },
            ...{ kind: "bundle", commits: 1, bytes: 2, details: "{}", repository: null, branch: null },
            ...{ base_branch: null, base_commit: null, tip_commit: null, handover: null },
          })
          .execute();
      const parts = [part("kept", 0), part("gone", 0), part("unfinished", 0), part("begun", Date.now())];
      await trx.insertInto("session_bundle_parts").values(parts).execute();
    });
    await runs.record("gone", { type: "kill-asked", force: true }, "now");
    expect(await runs.prune(Date.now())).toEqual(["gone"]);
    const left = await database.selectFrom("session_bundles").select("session_id").execute();
    expect(left).toEqual([{ session_id: "kept" }]);
    const parts = await database
      .selectFrom("session_bundle_parts")
      .selectAll()
      .orderBy("bundle_id")
      .execute();
    expect(parts.map(({ bundle_id }) => bundle_id)).toEqual(["begun", "kept"]);
    // SQLite, which takes the same statement, gives a buffer of another kind than PostgreSQL.
    expect([...Buffer.from(parts[0]?.bytes ?? [])]).toEqual([0, 255]);
    await runs.close();
  });
});
