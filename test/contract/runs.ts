import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { ContractAccess } from "./contract.js";
import { type Body, recordedAnswer, sharedShape } from "./upstream.js";

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
/** A run that goes on until it is ended. */
const LONG = { actions: Array.from({ length: 190 }, (_, index) => `Step ${index + 1}`), paceMs: 100 };

/** What runs do: start, go on, end, are listed, continued, told something, killed and cleaned up. */
export function describeRuns({ client }: ContractAccess): void {
  describe("a run", () => {
    it("is started with a session that can be resumed", async () => {
      const { start, get } = client();
      const started = await start({ session_name: "limits", max_turns: 7 });
      expect(started).toMatchObject({
        status: expect.stringMatching(/^(pending|running)$/),
        message: "Started implement workflow. Use the status endpoint to track progress.",
        workflow_name: "implement",
        started_at: expect.stringMatching(ISO),
        auto_commit_sha: null,
      });
      const shape = sharedShape(started, recordedAnswer("run-started"));
      expect(shape.ours).toEqual(shape.theirs);
      expect(Object.keys(started).sort()).toEqual(Object.keys(recordedAnswer("run-started")).sort());
      expect((await get(`/run/${started.run_id}/status`)).body).toMatchObject({
        run_id: started.run_id,
        workflow_name: "implement",
        session_id: started.session_id,
        claude_session_id: started.session_id,
        session_name: "limits",
        max_turns: 7,
      });
    });

    it("shows its turn and action while it goes on", async () => {
      const { start, until, get, post, product } = client();
      const { run_id, session_id } = await start({ script: LONG, max_turns: 200 });
      const seen = await until(
        run_id,
        (status) => status.current_turn >= 2 && status.current_action !== null,
      );
      expect(seen).toMatchObject({
        status: "running",
        session_id,
        max_turns: 200,
        started_at: expect.stringMatching(ISO),
        completed_at: null,
        progress: { turns: seen.current_turn, max_turns: 200, current_phase: "running", is_running: true },
        result: null,
        error_message: null,
      });
      expect(seen.current_action).toMatch(/Step \d+/);
      expect(seen.execution_time_seconds).toBeGreaterThan(0);
      expect(seen).not.toHaveProperty("debug");
      await until(run_id, (status) => status.current_turn > seen.current_turn);

      const { body } = await get(`/run/${run_id}/status`, { debug: "true" });
      expect(body.debug.metadata).toMatchObject({
        current_turns: body.current_turn,
        max_turns: 200,
        claude_session_id: session_id,
        last_activity: expect.stringMatching(ISO),
      });
      const run = await product.getRun(run_id);
      expect(run).toMatchObject({
        status: "running",
        sessionId: session_id,
        maxTurns: 200,
        workflowName: "implement",
      });
      expect(run.turn).toBeGreaterThanOrEqual(seen.current_turn);
      expect(run.currentAction).toMatch(/Step \d+/);
      await post(`/run/${run_id}/kill`, undefined, { force: "true" });
    });

    it("ends with a result in the recorded shape", async () => {
      const { start, ended, product } = client();
      const { run_id } = await start({
        script: {
          actions: ["Reading the code", "Making the change"],
          paceMs: 20,
          result: "Two tables.",
        },
      });
      const status = await ended(run_id);
      expect(status).toMatchObject({
        status: "completed",
        current_action: null,
        completed_at: expect.stringMatching(ISO),
        progress: { current_phase: "completed", is_running: false },
        result: {
          success: true,
          completion_type: "completed",
          message: "Two tables.",
          final_output: "Two tables.",
        },
        error_message: null,
      });
      expect(status.current_turn).toBeGreaterThanOrEqual(2);
      expect(status.metrics.cost_usd).toBeGreaterThan(0);
      expect(status.metrics.tokens.total).toBe(status.metrics.tokens.input + status.metrics.tokens.output);
      expect(status.metrics.tokens.total).toBeGreaterThan(0);
      const shape = sharedShape(status, recordedAnswer("status-completed"));
      expect(shape.ours).toEqual(shape.theirs);
      expect(await product.getRun(run_id)).toMatchObject({
        status: "completed",
        result: "Two tables.",
        costUsd: status.metrics.cost_usd,
        turn: status.current_turn,
      });
    });

    it("explains itself when it fails", async () => {
      const { start, ended, product } = client();
      const { run_id } = await start({
        script: { actions: ["Reading the code"], paceMs: 20, fail: "No disk space" },
      });
      const status = await ended(run_id);
      expect(status).toMatchObject({
        status: "failed",
        current_action: null,
        error_message: expect.stringContaining("No disk space"),
        result: { success: false, completion_type: "failed" },
      });
      expect((await product.getRun(run_id)).error).toContain("No disk space");
    });
  });

  describe("the list of runs", () => {
    it("filters and pages, newest first", async () => {
      const { start, ended, get } = client();
      const user_id = randomUUID();
      const ids: string[] = [];
      for (const workflow of ["test", "test", "review"]) {
        ids.push((await start({ user_id }, workflow)).run_id);
        await ended(ids.at(-1) ?? "");
      }
      const list = async (query: Record<string, string>) => {
        const { status, body } = await get("/runs", { user_id, ...query });
        expect(status).toBe(200);
        return { ...body, runs: body.runs.map((run: Body) => run.run_id) };
      };
      const whole = { total_count: 3, page: 1, page_size: 20, has_next: false };
      expect(await list({})).toEqual({ ...whole, runs: ids.toReversed() });
      expect(await list({ sort_order: "asc" })).toEqual({ ...whole, runs: ids });
      expect(await list({ page: "1", page_size: "2" })).toEqual({
        total_count: 3,
        page: 1,
        page_size: 2,
        has_next: true,
        runs: [ids[2], ids[1]],
      });
      expect(await list({ page: "2", page_size: "2" })).toMatchObject({ has_next: false, runs: [ids[0]] });
      expect(await list({ page: "9" })).toMatchObject({ total_count: 3, runs: [] });
      expect(await list({ workflow_name: "review" })).toMatchObject({ total_count: 1, runs: [ids[2]] });
      expect(await list({ status: "completed" })).toMatchObject({ total_count: 3 });
      expect(await list({ status: "failed" })).toMatchObject({ total_count: 0 });
      expect(await list({ status: "killed" })).toMatchObject({ total_count: 0 });
      expect(await list({ status: "" })).toMatchObject({ total_count: 3 });
      expect(await list({ workflow_name: "nothing" })).toMatchObject({ total_count: 0, runs: [] });
      for (const sort_by of ["completed_at", "execution_time", "total_cost"]) {
        expect((await list({ sort_by })).runs.toSorted()).toEqual(ids.toSorted());
      }
    });

    it("shows a run in the recorded shape and to the product", async () => {
      const { start, ended, get, product } = client();
      const user_id = randomUUID();
      const script = { actions: ["Looking"], paceMs: 5, result: "Nothing to change." };
      const started = await start({ script, user_id, session_name: "look", max_turns: 9 }, "review");
      await ended(started.run_id);
      const [row] = (await get("/runs", { user_id })).body.runs;
      expect(row).toMatchObject({
        run_id: started.run_id,
        status: "completed",
        workflow_name: "review",
        session_id: started.session_id,
        session_name: "look",
        max_turns: 9,
        result: "Nothing to change.",
        workspace_persistent: true,
        workspace_cleaned_up: false,
      });
      const theirs = recordedAnswer("runs-filter-completed").runs[0];
      expect(Object.keys(row)).toEqual(expect.arrayContaining(Object.keys(theirs)));
      const shape = sharedShape(row, theirs);
      expect(shape.ours).toEqual(shape.theirs);
      const { runs } = await product.listRuns({ workflowName: "review" });
      expect(runs.find((run) => run.runId === started.run_id)).toMatchObject({
        sessionId: started.session_id,
        sessionName: "look",
        maxTurns: 9,
        result: "Nothing to change.",
      });
    });

    it("shows a run that goes on live", async () => {
      const { start, until, get, post } = client();
      const user_id = randomUUID();
      const { run_id } = await start({ script: LONG, user_id });
      await until(run_id, (status) => status.current_turn >= 1);
      const [row] = (await get("/runs", { user_id, status: "running" })).body.runs;
      expect(row).toMatchObject({
        run_id,
        completed_at: null,
        result: expect.stringMatching(/^Processing: Add rate limiting/),
      });
      expect(row.turns).toBeGreaterThanOrEqual(1);
      await post(`/run/${run_id}/kill`, undefined, { force: "true" });
    });
  });

  describe("a session", () => {
    it("is continued by another workflow under its name", async () => {
      const { start, ended, get } = client();
      const first = await start({ session_name: "auth-system" }, "architect");
      await ended(first.run_id);
      const next = await start({ session_id: first.session_id, message: "Build it" }, "implement");
      expect(next.session_id).toBe(first.session_id);
      expect(next.run_id).not.toBe(first.run_id);
      expect((await get(`/run/${next.run_id}/status`)).body).toMatchObject({
        session_id: first.session_id,
        session_name: "auth-system",
      });
      expect((await ended(next.run_id)).status).toBe("completed");
    });

    it("is refused when nobody knows it, and nothing is started", async () => {
      const { post, get } = client();
      const user_id = randomUUID();
      const body = { message: "Go on", input_format: "stream-json", session_id: randomUUID(), user_id };
      expect(await post("/run/implement", body)).toMatchObject({
        status: 404,
        body: { detail: `Session ${body.session_id} not found` },
      });
      expect((await get("/runs", { user_id })).body.total_count).toBe(0);
    });
  });

  describe("a message", () => {
    it("is counted when it is queued and when the agent takes it up", async () => {
      const { start, until, get, post, product } = client();
      const { run_id } = await start({ script: LONG });
      await until(run_id, (status) => status.current_turn >= 1);
      const none = (await get(`/run/${run_id}/message-queue`)).body;
      expect(none).toEqual({
        success: true,
        run_id,
        queue_stats: { run_id, current_size: 0, total_added: 0, total_consumed: 0, oldest_message_age: null },
      });
      const { status, body } = await post(`/run/${run_id}/add-message`, {
        message_type: "user",
        content: "  Use Redis  ",
      });
      expect(status).toBe(200);
      expect(body).toMatchObject({
        success: true,
        message: "Message added to queue",
        run_id,
        queue_stats: { run_id, total_added: 1 },
      });
      expect(body.queue_size).toBe(body.queue_stats.current_size);
      const shape = sharedShape(body, recordedAnswer("add-message-queued"));
      expect(shape.ours).toEqual(shape.theirs);
      await expect
        .poll(async () => (await get(`/run/${run_id}/message-queue`)).body.queue_stats, { timeout: 15_000 })
        .toMatchObject({ current_size: 0, total_added: 1, total_consumed: 1, oldest_message_age: null });
      expect(await product.addMessage(run_id, "system", "Keep it short")).toMatchObject({
        runId: run_id,
        added: 2,
      });
      await expect.poll(async () => (await product.getQueue(run_id))?.consumed, { timeout: 15_000 }).toBe(2);
      await post(`/run/${run_id}/kill`, undefined, { force: "true" });
    });
  });

  describe("ending a run", () => {
    it.each([
      ["gracefully", "false", "graceful", "gracefully terminated"],
      ["by force", "true", "force", "force killed"],
    ])("kills it %s, and killed it stays", async (_how, force, method, words) => {
      const { start, until, get, post, product } = client();
      const user_id = randomUUID();
      const { run_id } = await start({ script: LONG, user_id });
      await until(run_id, (status) => status.current_turn >= 1);
      const { status, body } = await post(`/run/${run_id}/kill`, undefined, { force });
      expect(status).toBe(200);
      expect(body).toMatchObject({
        success: true,
        run_id,
        workflow_name: "implement",
        killed_at: expect.stringMatching(ISO),
        kill_method: method,
        cleanup_status: { process_terminated: true },
        message: expect.stringContaining(`Workflow implement (${words}) in `),
      });
      const shape = sharedShape(body, recordedAnswer("kill-running"));
      expect(shape.ours).toEqual(shape.theirs);
      const killed = (await get(`/run/${run_id}/status`)).body;
      expect(killed).toMatchObject({ status: "killed", current_action: null, result: { success: false } });
      expect(killed.progress.is_running).toBe(false);
      // As long as another agent needs for three turns, this one has taken none.
      const other = await start({ script: LONG });
      await until(other.run_id, (status) => status.current_turn >= 3);
      await post(`/run/${other.run_id}/kill`, undefined, { force: "true" });
      expect((await get(`/run/${run_id}/status`)).body).toMatchObject({
        status: "killed",
        current_turn: killed.current_turn,
        completed_at: killed.completed_at,
      });
      expect((await get("/runs", { user_id, status: "killed" })).body.total_count).toBe(1);
      expect(await post(`/run/${run_id}/kill`)).toMatchObject({
        status: 409,
        body: { detail: `Run ${run_id} is already killed` },
      });
      await expect(product.killRun(run_id, true)).rejects.toMatchObject({ kind: "refused", status: 409 });
    });

    it("refuses to kill what has ended by itself", async () => {
      const { start, ended, post } = client();
      const { run_id } = await start();
      await ended(run_id);
      expect(await post(`/run/${run_id}/kill`)).toMatchObject({
        status: 409,
        body: { detail: `Run ${run_id} is already completed` },
      });
      expect((await ended(run_id)).status).toBe("completed");
    });

    it("cleans up after it", async () => {
      const { start, ended, get, post, product } = client();
      const user_id = randomUUID();
      const { run_id } = await start({ user_id });
      await ended(run_id);
      const { status, body } = await post(`/run/${run_id}/cleanup`);
      expect(status).toBe(200);
      expect(body).toMatchObject({
        success: true,
        run_id,
        workflow_name: "implement",
        cleanup_time: expect.stringMatching(ISO),
        cleanup_details: { workspace_removed: true, errors: [] },
        message: expect.stringContaining("Workspace cleanup completed successfully in "),
      });
      const shape = sharedShape(body, recordedAnswer("cleanup-failed"));
      expect(shape.ours).toEqual(shape.theirs);
      expect((await get("/runs", { user_id })).body.runs).toMatchObject([{ workspace_cleaned_up: true }]);
      expect(await product.cleanupRun(run_id, false)).toMatchObject({ success: true, errors: [] });
    });

    it("cleans up a run that goes on only by force, which ends it", async () => {
      const { start, until, get, post } = client();
      const { run_id } = await start({ script: LONG });
      await until(run_id, (status) => status.current_turn >= 1);
      const refused = await post(`/run/${run_id}/cleanup`);
      expect(refused).toMatchObject({ status: 400, body: recordedAnswer("cleanup-running-400") });
      expect((await get(`/run/${run_id}/status`)).body.status).toBe("running");
      expect(await post(`/run/${run_id}/cleanup`, undefined, { force: "true" })).toMatchObject({
        status: 200,
        body: { success: true, cleanup_details: { workspace_removed: true } },
      });
      expect((await get(`/run/${run_id}/status`)).body.status).toBe("killed");
    });
  });
}
