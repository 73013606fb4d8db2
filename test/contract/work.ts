import { describe, expect, it } from "vitest";
import type { ContractAccess } from "./contract.js";
import type { Body, RunScript } from "./upstream.js";

/** What sessions commit: where it is, what begins at it, and how it gets into other branches. */
export function describeWork({ server, client }: ContractAccess): void {
  /** A run of a new session that commits one file, to its end; what its agent asks for is allowed. */
  async function work(
    commit: NonNullable<RunScript["commit"]>,
    fields: object = {},
    more: Pick<RunScript, "take"> = {},
  ): Promise<Body> {
    const { start, post, until } = client();
    const script = { actions: [], paceMs: 5, result: "Done.", commit, ...more };
    const { run_id } = await start({ script, repository_url: server().repository, ...fields });
    return until(run_id, (status) => {
      for (const { question_id } of status.questions ?? [])
        void post(`/run/${run_id}/questions/${question_id}/answer`, { answer: "allow_once" });
      return status.completed_at !== null;
    });
  }
  const take = async (run: Body, body: object): Promise<Body> => {
    const answer = await client().post(`/run/${run.run_id}/take`, body);
    expect(answer.status).toBe(200);
    return answer.body;
  };

  describe("the work of a session", () => {
    it("can be joined in all the ways that plans need, as the description tells", async () => {
      const found = await client().product.describe();
      expect(found).toMatchObject({
        description: {
          takesCheck: true,
          takesNewBranch: true,
          start: { takesFrom: true, takesCostLimit: true, keyPrefix: expect.stringMatching(/^db/) },
        },
      });
    });

    it("is on a branch of its own, and another session begins there", async () => {
      const first = await work({ file: "one.txt", text: "one" }, { session_name: "first part" });
      expect(first).toMatchObject({ status: "completed", session_name: "first part", own_workspace: true });
      expect(first.work).toMatchObject({
        branch: expect.stringMatching(/first-part/),
        base_branch: "main",
        head_commit: expect.stringMatching(/^[0-9a-f]{40}$/),
        commit_count: 1,
        delivered_to: "repository",
        merged_into: null,
      });
      const second = await work({ file: "two.txt", text: "two" }, { start_from: first.work.branch });
      expect(second.work.branch).not.toBe(first.work.branch);
      expect(second.work).toMatchObject({ base_branch: first.work.branch, commit_count: 1 });
      expect(await client().product.getRun(second.run_id)).toMatchObject({
        ownWorkspace: true,
        work: { branch: second.work.branch, headCommit: second.work.head_commit },
      });
    });

    it("is told with where its branch stands now, and without commits there is none", async () => {
      const run = await work({ file: "now.txt", text: "now" });
      const found = await client().get(`/run/${run.run_id}/work`);
      expect(found).toMatchObject({
        status: 200,
        body: { run_id: run.run_id, branch: run.work.branch, head_commit: run.work.head_commit },
      });
      const { start, ended, get } = client();
      const { run_id } = await start({ script: { actions: [], paceMs: 5, result: "Nothing to do." } });
      await ended(run_id);
      expect((await get(`/run/${run_id}/work`)).status).toBe(409);
    });

    it("is merged into a new branch after a check, once", async () => {
      const first = await work({ file: "three.txt", text: "three" });
      const into = { into: "joined", new_branch: true, check: "true" };
      const taken = await take(first, into);
      expect(taken).toMatchObject({
        taken: true,
        into: "joined",
        had_all: false,
        conflicts: [],
        check: { passed: true },
      });
      expect(await take(first, into)).toMatchObject({ taken: false, had_all: true, commit: taken.commit });
      expect((await client().get(`/run/${first.run_id}/status`)).body.work).toMatchObject({
        merged_into: "joined",
      });
    });

    it("is not merged when its check does not pass, nor into a branch that is not there", async () => {
      const run = await work(
        { file: "four.txt", text: "four" },
        {},
        { take: { checkFails: "1 test failed" } },
      );
      const check = "echo 1 test failed && false";
      expect(await take(run, { into: "checked", new_branch: true, check })).toMatchObject({
        taken: false,
        commit: null,
        check: { passed: false, exit_code: 1, output: expect.stringContaining("1 test failed") },
      });
      const refused = await client().post(`/run/${run.run_id}/take`, { into: "checked" });
      expect(refused.body.taken ?? false).toBe(false);
    });

    it("is not merged where both have changed the same, and the files are named", async () => {
      const one = await work({ file: "same.txt", text: "one" });
      const file = "same.txt";
      const two = await work({ file, text: "two" }, {}, { take: { conflicts: [file] } });
      expect(await take(one, { into: "both", new_branch: true })).toMatchObject({ taken: true });
      expect(await take(two, { into: "both", new_branch: true })).toMatchObject({
        taken: false,
        commit: null,
        conflicts: [file],
      });
    });

    it("of a session that begins at a branch which is not there is none, and the run says so", async () => {
      const run = await work({ file: "five.txt", text: "five" }, { start_from: "nowhere" });
      expect(run).toMatchObject({
        status: "failed",
        error_message: expect.stringContaining("has no branch nowhere"),
        work: null,
      });
    });

    it("is not begun twice by two starts under one key", async () => {
      const { call } = client();
      const body = { message: "Add rate limiting", input_format: "stream-json" };
      const headers = { "x-api-key": server().apiKey, "idempotency-key": "one-start" };
      const [one, two] = [
        await call("POST", "/run/implement", { body, headers }),
        await call("POST", "/run/implement", { body, headers }),
      ];
      expect(two.body).toEqual(one.body);
      const other = await call("POST", "/run/implement", { body: { ...body, message: "Another" }, headers });
      expect(other).toMatchObject({
        status: 422,
        body: { detail: expect.stringContaining("Nothing was started") },
      });
    });
  });
}
