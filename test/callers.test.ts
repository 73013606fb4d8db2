import { expect, test } from "vitest";
import { openTeam, startOf } from "./support/team.js";

const QUICK = [{ text: "Done" }];
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test.each(["shared", "apart"])(
  "runs that people start by a server that they share are known to the engine as theirs, those of plans too (%s)",
  async (callers) => {
    const { engine, connect } = await openTeam({ HTTP_CALLERS: callers });
    const [anna, ben] = await Promise.all([connect("anna"), connect("ben")]);
    await anna.call(startOf("of-anna", QUICK));
    await ben.call(startOf("of-ben", QUICK));
    const { message } = startOf("by-plan", QUICK);
    const plan = JSON.stringify({ steps: [{ id: "one", run: "implement", task: message }] });
    const begun = await anna.call({
      ...{ action: "plan", plan, session_name: "plan-of-anna", repository_url: "", git_branch: "" },
      wait_seconds: 60,
    });
    expect(begun.isError, begun.text).toBeFalsy();
    const { runs } = (await engine.get("/runs")).body;
    const ids = new Map<string, string>();
    for (const { run_id, user_id, user_name } of runs) {
      expect(user_id).toMatch(ID);
      expect(ids.get(user_name) ?? user_id).toBe(user_id);
      ids.set(user_name, user_id);
      expect((await engine.get(`/run/${run_id}/status`)).body).toMatchObject({ user_id, user_name });
    }
    expect([...ids.keys()].sort()).toEqual(["anna", "ben"]);
    expect(runs.map((run: { user_name: string }) => run.user_name).sort()).toEqual(["anna", "anna", "ben"]);
  },
);

test("with USER_ID all runs are that user's, whoever starts them", async () => {
  const USER_ID = "7d9a0f34-2c61-4b8e-8f15-6a3b9c2e1d70";
  const { engine, connect } = await openTeam({ USER_ID });
  await (await connect("anna")).call(startOf("of-anna", QUICK));
  const { runs } = (await engine.get("/runs")).body;
  expect(runs).toMatchObject([{ user_id: USER_ID, user_name: null }]);
});
