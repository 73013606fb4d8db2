import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { COMPLETE, connectInMemory, until } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: 20 });
const starts = () => sim.api().posts("/run/");

describe("a forgotten action starts nothing", () => {
  it.each([
    ["run_id", "some-run", "feedback"],
    ["question_id", "q1", "answer"],
    ["answer", "postgres", "answer"],
    ["confirm", true, "kill"],
  ])("%s on a run is refused, and the action that was meant is named", async (name, value, meant) => {
    const { call } = await connectInMemory();
    const answer = await call({ ...COMPLETE, [name]: value });
    expect(answer.isError).toBe(true);
    expect(answer.text).toContain(`\`${name}\` does not belong to action run; action ${meant} may be meant`);
    expect(starts()).toHaveLength(0);
  });

  it.each(["constructor", "toString", "hasOwnProperty"])(
    "%s, which every structure of the language has, is no argument and means no action",
    async (name) => {
      const { call } = await connectInMemory();
      const answer = await call(JSON.parse(JSON.stringify(COMPLETE).replace("{", `{"${name}":"x",`)));
      expect(answer.isError).toBe(true);
      expect(answer.text).toContain(`there is no argument \`${name}\``);
      expect(answer.text).not.toContain("native code");
      expect(starts()).toHaveLength(0);
    },
  );

  it("what a model fills in without meaning anything is let pass", async () => {
    const { call } = await connectInMemory();
    const answer = await call({
      ...COMPLETE,
      run_id: "",
      confirm: false,
      message_type: "user",
      question_id: null,
    });
    expect(answer.data.outcome).toBe("completed");
  });
});

describe("words for nothing", () => {
  const WORDS = [
    "null",
    "NULL",
    "None",
    "none",
    "undefined",
    "nil",
    "N/A",
    "n/a",
    "NaN",
    "-",
    " null ",
    "'null'",
    '"none"',
    "<none>",
    "(n/a)",
    "Not specified",
    "none.",
  ];

  it("count as left out in a form's repository and branch as well", async () => {
    const typed = { session_name: "design", repository_url: "none", git_branch: "N/A" };
    const { call } = await connectInMemory({ onForm: () => ({ action: "accept", content: typed }) });
    const { data } = await call({ workflow_name: "architect", message: "Design it", wait_seconds: 0 });
    expect(data.outcome).toBe("started");
    const [start] = starts();
    expect(start?.body).toMatchObject({ session_name: "design" });
    expect(start?.body).not.toHaveProperty("repository_url");
    expect(start?.body).not.toHaveProperty("git_branch");
  });

  it.each([...WORDS, null])("count as left out for an optional argument: %j", async (word) => {
    const { call, forms } = await connectInMemory({ onForm: () => ({ action: "cancel" }) });
    const answer = await call({
      workflow_name: "architect",
      message: "Design it",
      session_name: word,
      session_id: word,
      continue_session: word,
      repository_url: word,
      git_branch: word,
      max_turns: word,
      timeout: word,
      persistent: word,
      auto_merge: word,
      temp_workspace: word,
      wait_seconds: word,
      run_id: word,
    });
    expect(answer.data.outcome).toBe("cancelled");
    expect(Object.keys(forms[0]?.schema.properties)).toEqual([
      "session_name",
      "repository_url",
      "git_branch",
    ]);
    expect(starts()).toHaveLength(0);
  });

  it("start no paid run as its task, but may be a person's answer", async () => {
    const { call } = await connectInMemory();
    for (const message of ["null", "None", "undefined"]) {
      expect((await call({ ...COMPLETE, message })).text).toContain("`message` is empty");
    }
    expect(starts()).toHaveLength(0);
    const { data } = await call({ ...COMPLETE, wait_seconds: 0 });
    sim.api().fault(
      { method: "GET", path: /\/status$/ },
      {
        body: {
          run_id: data.run.run_id,
          status: "running",
          questions: [{ question_id: "q1", text: "Which database?", choices: [] }],
        },
      },
    );
    sim.api().fault({ path: /\/answer$/ }, { body: {} });
    await call({ action: "answer", run_id: data.run.run_id, answer: "none" });
    expect(sim.api().posts(/\/answer$/)[0]?.body).toEqual({ answer: "none" });
  });

  it("leave an empty text and words that mean something as they are", async () => {
    const { call } = await connectInMemory();
    await call({ ...COMPLETE, git_branch: "default", session_name: "nonesuch", wait_seconds: 0 });
    expect(starts()[0]?.body).toMatchObject({ git_branch: "default", session_name: "nonesuch" });
    expect(starts()[0]?.body).not.toHaveProperty("repository_url");
  });

  it("reach a branch of that name by its full name, also from a next step", async () => {
    sim.api().world.script({ manual: true });
    const { call } = await connectInMemory({ settings: { MAX_CONCURRENT_RUNS: "1" } });
    await call({ ...COMPLETE, session_name: "one", git_branch: "refs/heads/none", wait_seconds: 0 });
    expect(starts()[0]?.body).toMatchObject({ git_branch: "none" });
    const full = await call({
      ...COMPLETE,
      session_name: "two",
      git_branch: "refs/heads/none",
      wait_seconds: 0,
    });
    expect(full.isError).toBe(true);
    expect(full.data.next_step.arguments.git_branch).toBe("refs/heads/none");
  });
});

describe("a server that says that nothing was started", () => {
  const NO_AGENT = "Claude Code was not found. Install it, then start again.";

  it("is believed: the answer is its reason, and the next start goes out", async () => {
    const { call } = await connectInMemory({ settings: { MAX_CONCURRENT_RUNS: "1" } });
    sim.api().world.refuseStarts(NO_AGENT);
    for (let tries = 0; tries < 4; tries++) {
      const answer = await call({ ...COMPLETE });
      expect(answer.isError).toBe(true);
      expect(answer.text).toContain(`"${NO_AGENT}"). Not started; nothing was charged.`);
      expect(answer.text).not.toMatch(/unknown|not known|has not answered/);
    }
    expect(sim.api().requests.filter(({ path }) => path === "/runs")).toHaveLength(0);
    sim.api().world.refuseStarts(undefined);
    expect((await call({ ...COMPLETE })).data.outcome).toBe("completed");
  });

  it("is not to be confused with a proxy's 503, after which nothing is known", async () => {
    const { call } = await connectInMemory();
    sim.api().fault({ path: "/run/" }, { status: 503, body: { detail: "No backend" } });
    const answer = await call({ ...COMPLETE });
    expect(answer.text).toContain("It is unknown whether the run was started.");
  });
});

describe("what the person has filled in is kept", () => {
  it("when a required field was left out, and no workflow is chosen for them", async () => {
    const { call } = await connectInMemory({
      onForm: () => ({
        action: "accept",
        content: {
          workflow_name: "fix",
          session_name: " ",
          repository_url: "https://host.example/a/b",
          git_branch: "dev",
        },
      }),
    });
    const answer = await call({ message: "Fix the flaky login test" });
    expect(answer.data.outcome).toBe("input_required");
    expect(answer.data.next_step.arguments).toMatchObject({
      workflow_name: "fix",
      repository_url: "https://host.example/a/b",
      git_branch: "dev",
      session_name: "fix-flaky-login-test",
    });
    expect(starts()).toHaveLength(0);
  });

  it("a choice that nobody has made stays open in the next step", async () => {
    const { call } = await connectInMemory();
    const answer = await call({ message: "Fix the flaky login test" });
    expect(answer.data.next_step.arguments).not.toHaveProperty("workflow_name");
    expect(answer.data.missing[0]).toMatchObject({ name: "workflow_name", required: true });
  });

  it("a password in a refused address is not repeated anywhere", async () => {
    const { call } = await connectInMemory({
      onForm: () => ({
        action: "accept",
        content: { session_name: "auth", repository_url: "https://user:secret-token@host.example/a/b" },
      }),
    });
    const answer = await call({ workflow_name: "architect", message: "Design it" });
    expect(answer.isError).toBe(true);
    expect(JSON.stringify(answer)).not.toContain("secret-token");
    expect(answer.data.next_step.arguments).toMatchObject({ session_name: "auth" });
  });

  it("a long message is not sent back whole", async () => {
    const { call } = await connectInMemory();
    const answer = await call({ workflow_name: "architect", message: "word ".repeat(10_000) });
    expect(answer.data.outcome).toBe("input_required");
    expect(answer.text.length).toBeLessThan(5_000);
  });

  it("an empty text in an optional field means the default and does not void the form", async () => {
    const { call } = await connectInMemory({
      onForm: () => ({ action: "accept", content: { session_name: "auth", git_branch: "" } }),
    });
    const answer = await call({ workflow_name: "architect", message: "Design it", repository_url: "" });
    expect(answer.data.outcome).toBe("completed");
    expect(starts()[0]?.body).not.toHaveProperty("git_branch");
  });
});

describe("an API that does not answer is not called running", () => {
  it("a run that was seen: how it stood when the API last answered, and since when it is silent", async () => {
    sim.api().world.script({ manual: true, actions: ["One"] });
    const { call } = await connectInMemory();
    const { run_id } = (await call({ ...COMPLETE, wait_seconds: 0.4 })).data.run;
    sim.api().fault({ path: "/run/*/status" }, { status: 500 });
    const answer = await call({ action: "status", run_id, wait_seconds: 1 });
    expect(answer.text).toMatch(/was running when the API last answered; it has not answered since 2\d{3}-/);
    expect(answer.text).toContain("HTTP 500");
  });

  it("a run that was never seen: unknown, and not no longer known", async () => {
    sim.api().fault({ path: "/run/*/status" }, { status: 500 });
    const { call } = await connectInMemory();
    const silent = await call({ action: "status", run_id: "never-seen", wait_seconds: 0.5 });
    expect(silent.data.outcome).toBe("unknown");
    expect(silent.text).toContain("Nothing is known of the run never-seen");
  });

  it("an id that the API does not have: it does not know it", async () => {
    const { call } = await connectInMemory();
    const answer = await call({ action: "status", run_id: "never-seen", wait_seconds: 8 });
    expect(answer.data.outcome).toBe("unknown");
    expect(answer.text).toContain("does not know the run never-seen");
    expect(answer.text).not.toContain("no longer");
  });

  it("and once it answers again without news, the run is running", async () => {
    sim.api().world.script({ manual: true, actions: ["One"] });
    const { call } = await connectInMemory();
    const { run_id } = (await call({ ...COMPLETE, wait_seconds: 0.4 })).data.run;
    const heal = sim.api().fault({ path: "/run/*/status" }, { status: 500 });
    const seen: string[] = [];
    const pending = call(
      { action: "status", run_id, wait_seconds: 3 },
      {
        onprogress: ({ message }) => {
          seen.push(message ?? "");
          if (message?.includes("does not answer")) heal();
        },
      },
    );
    const answer = await pending;
    expect(seen.join()).toContain("does not answer");
    expect(answer.data.outcome).toBe("running");
    expect(answer.text).not.toContain("last answered");
  });
});

describe("a run that stands still is called stalled", () => {
  it("to a call that comes later, and to one that only asks", async () => {
    sim.api().world.script({ manual: true, actions: ["One"] });
    const { call } = await connectInMemory({ stallAfterMs: 600 });
    const { run_id } = (await call({ ...COMPLETE, wait_seconds: 0.2 })).data.run;
    await until(() => sim.api().requests.length > 6, "some looks at the run");
    const later = await call({ action: "status", run_id, wait_seconds: 5 });
    expect(later.data.outcome).toBe("stalled");
    const asked = await call({ action: "status", run_id });
    expect(asked.data.outcome).toBe("stalled");
    expect(asked.text).toContain("AUTOMAGIK_WORKFLOWS_INPUT_FORMAT=text");
  });
});
