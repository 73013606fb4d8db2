import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { temporaryFolder } from "./support/bin.js";
import { COMPLETE, connectInMemory, type FormAnswerer, until } from "./support/harness.js";
import { connectForPlans } from "./support/plan-chat.js";

const sim = useSimulatedApi({ paceMs: 20 });
const starts = () => sim.api().posts("/run/");
const TASK = { workflow_name: "architect", message: "Design the JWT login for my app" };
const accept = (content: Record<string, string>) => (): ElicitResult => ({ action: "accept", content });

describe("the form before a run", () => {
  it("holds only what is missing, with a short unique name as the suggestion", async () => {
    const { call, forms } = await connectInMemory({ onForm: accept({ session_name: "auth" }) });
    await call(TASK);
    expect(forms).toHaveLength(1);
    const { properties, required } = forms[0]?.schema ?? {};
    expect(Object.keys(properties)).toEqual(["session_name", "repository_url", "git_branch"]);
    expect(required).toEqual(["session_name"]);
    expect(properties.session_name).toMatchObject({
      type: "string",
      default: "design-jwt-login-app",
      // For clients that show no default.
      description: expect.stringContaining("Suggested: design-jwt-login-app"),
    });
    expect(forms[0]?.message).toContain("Design the JWT login for my app");
  });

  it("does not suggest a name that a known session has", async () => {
    const { call, forms } = await connectInMemory({ onForm: accept({ session_name: "another" }) });
    await call({ ...TASK, session_name: "design-jwt-login-app", repository_url: "", git_branch: "" });
    await call(TASK);
    expect(forms[0]?.schema.properties.session_name.default).toBe("design-jwt-login-app-2");
  });

  it("offers the catalogue as titled choices when the workflow is missing", async () => {
    const { call, forms } = await connectInMemory({ onForm: accept({ workflow_name: "fix" }) });
    const answer = await call({ ...COMPLETE, workflow_name: undefined });
    const choice = forms[0]?.schema.properties.workflow_name;
    // What the task's words speak for comes first, then what most tasks are for, then the catalogue's own order.
    const names = ["architect", "implement", "fix"];
    const rest = sim.api().world.workflows.list();
    expect(choice.oneOf.map((one: { const: string }) => one.const)).toEqual([
      ...names,
      ...rest.map((workflow) => workflow.name).filter((name) => !names.includes(name)),
    ]);
    expect(choice.oneOf[0].title.length).toBeGreaterThan("architect".length);
    expect(Object.keys(forms[0]?.schema.properties)).toEqual(["workflow_name"]);
    expect(answer.data.run.workflow_name).toBe("fix");
  });

  it("is not shown when everything is given, an empty text meaning the default", async () => {
    const { call, forms } = await connectInMemory({ onForm: accept({}) });
    const answer = await call(COMPLETE);
    expect(forms).toHaveLength(0);
    expect(answer.data.outcome).toBe("completed");
    const body = starts()[0]?.body as Record<string, unknown>;
    expect(body).not.toHaveProperty("repository_url");
    expect(body).not.toHaveProperty("git_branch");
  });

  it("asks neither repository nor branch for a throw-away workspace", async () => {
    const { call, forms } = await connectInMemory({ onForm: accept({ session_name: "scratch" }) });
    const answer = await call({ ...TASK, temp_workspace: true });
    expect(Object.keys(forms[0]?.schema.properties)).toEqual(["session_name"]);
    expect(starts()[0]?.query).toMatchObject({ temp_workspace: "true" });
    expect(answer.data.outcome).toBe("completed");
  });

  it("refuses a throw-away workspace with a repository before anybody is asked", async () => {
    const { call, forms } = await connectInMemory({ onForm: accept({}) });
    const answer = await call({ ...TASK, temp_workspace: true, repository_url: "https://host.example/a/b" });
    expect(answer.isError).toBe(true);
    expect(answer.text).toContain("`temp_workspace`");
    expect(answer.text).toContain("`repository_url`");
    expect(forms).toHaveLength(0);
    expect(starts()).toHaveLength(0);
  });

  it("sends what the person accepted, and the contract's fields with it", async () => {
    const { call } = await connectInMemory({
      onForm: accept({
        session_name: "auth",
        repository_url: "https://host.example/team/app.git",
        git_branch: "feature/login",
      }),
    });
    await call({ ...TASK, max_turns: 10 });
    expect(starts()).toHaveLength(1);
    expect(starts()[0]?.body).toEqual({
      message: TASK.message,
      input_format: "stream-json",
      session_name: "auth",
      repository_url: "https://host.example/team/app.git",
      git_branch: "feature/login",
      max_turns: 10,
      timeout: 7200,
    });
    expect(starts()[0]?.query).toEqual({});
  });
});

describe("what the person answers decides whether anything is sent", () => {
  it("declined: nothing is sent, and it is no error", async () => {
    const { call } = await connectInMemory({ onForm: () => ({ action: "decline" }) });
    const answer = await call(TASK);
    expect(answer).toMatchObject({ isError: false, data: { outcome: "declined" } });
    expect(answer.text).toMatch(/nothing was sent/i);
    expect(starts()).toHaveLength(0);
  });

  it("closed: nothing is sent, and it is no error", async () => {
    const { call } = await connectInMemory({ onForm: () => ({ action: "cancel" }) });
    const answer = await call(TASK);
    expect(answer).toMatchObject({ isError: false, data: { outcome: "cancelled" } });
    expect(starts()).toHaveLength(0);
  });

  it("accepted without the required field: it counts as not answered, and the answer says what is missing", async () => {
    const answers: ElicitResult[] = [
      { action: "accept", content: {} },
      { action: "accept" },
      { action: "accept", content: { session_name: "", git_branch: "main" } },
    ];
    for (const reply of answers) {
      const { call } = await connectInMemory({ onForm: () => reply });
      const answer = await call(TASK);
      expect(answer.isError).toBe(false);
      expect(answer.data.outcome).toBe("input_required");
      expect(answer.data.missing.map((one: { name: string }) => one.name)).toContain("session_name");
      expect(starts()).toHaveLength(0);
    }
  });

  it("a client that fails to show the form it promised: nothing is sent, and the answer says what is missing", async () => {
    const { call } = await connectInMemory({
      onForm: () => {
        throw new Error("no window");
      },
    });
    const answer = await call(TASK);
    expect(answer.data).toMatchObject({
      outcome: "input_required",
      next_step: { arguments: { action: "run", ...TASK, session_name: "design-jwt-login-app" } },
    });
    expect(answer.text).toContain(
      "answered this one with an error, so the person has most likely not seen it",
    );
    expect(starts()).toHaveLength(0);
  });

  it("a question that the client fails to show is told apart from one that was closed", async () => {
    const ask = async (onForm: FormAnswerer) => {
      const { call } = await connectInMemory({ onForm });
      return call({ ...COMPLETE, session_name: undefined, continue_session: "nowhere" });
    };
    const failed = await ask(() => {
      throw new Error("no window");
    });
    expect(failed.data).toMatchObject({
      outcome: "input_required",
      next_step: { arguments: { session_name: "nowhere" } },
    });
    expect(failed.text).toContain("answered this one with an error");
    const closed = await ask(() => ({ action: "cancel" }));
    expect(closed.data.outcome).toBe("cancelled");
    expect(closed.text).not.toContain("error");
    expect(starts()).toHaveLength(0);
  });

  it("accepted with an impossible branch or address: an error that names it, and the rest is kept", async () => {
    const wrong = [
      { field: "git_branch", value: "no..dots" },
      { field: "repository_url", value: "file:///etc" },
      { field: "repository_url", value: "https://user:secret-token@host.example/a/b" },
    ];
    for (const { field, value } of wrong) {
      const { call } = await connectInMemory({ onForm: accept({ session_name: "auth", [field]: value }) });
      const answer = await call(TASK);
      expect(answer.isError).toBe(true);
      expect(answer.text).toContain(`\`${field}\``);
      expect(answer.data.next_step.arguments.session_name).toBe("auth");
      expect(starts()).toHaveLength(0);
    }
  });

  it("cancelling the call closes the form, and a late answer starts nothing", async () => {
    let closed = false;
    let opened = () => {};
    const isOpen = new Promise<void>((resolve) => {
      opened = resolve;
    });
    const onForm: FormAnswerer = (_form, signal) =>
      new Promise((resolve) => {
        opened();
        signal.addEventListener("abort", () => {
          closed = true;
          resolve({ action: "accept", content: { session_name: "too-late" } });
        });
      });
    const { call } = await connectInMemory({ onForm });
    const controller = new AbortController();
    const pending = call(TASK, { signal: controller.signal }).catch((error: Error) => error);
    await isOpen;
    controller.abort("changed my mind");
    expect(await pending).toBeInstanceOf(Error);
    await until(() => closed, "the form to be closed");
    await call({ action: "list_workflows" });
    expect(starts()).toHaveLength(0);
  });
});

describe("a client without forms", () => {
  it("gets what is missing as an answer that a model can act on", async () => {
    const { call } = await connectInMemory();
    const answer = await call(TASK);
    expect(answer.isError).toBe(false);
    expect(answer.data).toMatchObject({
      outcome: "input_required",
      missing: [
        { name: "session_name", required: true, suggestion: "design-jwt-login-app" },
        { name: "repository_url", required: false },
        { name: "git_branch", required: false },
      ],
      next_step: {
        tool: "orchestrate_workflow",
        arguments: { action: "run", ...TASK, session_name: "design-jwt-login-app", repository_url: "" },
      },
    });
    expect(answer.text).toContain("session_name");
    expect(starts()).toHaveLength(0);
  });

  it("can go on by taking the next step as it is", async () => {
    const { call } = await connectInMemory();
    const first = await call(TASK);
    const second = await call(first.data.next_step.arguments);
    expect(second.data).toMatchObject({
      outcome: "completed",
      run: { session_name: "design-jwt-login-app" },
    });
    expect(starts()).toHaveLength(1);
  });

  it("takes an empty session name as the wish for the suggestion", async () => {
    const { call } = await connectInMemory();
    const answer = await call({ ...TASK, session_name: "", repository_url: "", git_branch: "" });
    expect(answer.data.run.session_name).toBe("design-jwt-login-app");
  });
});

describe("suggestions from the person's own folder", () => {
  const URL_OF_HOST = "ssh://git@host.example/team/app.git";
  const git = (folder: string, ...args: string[]) =>
    execFileSync("git", ["-C", folder, "-c", "user.name=t", "-c", "user.email=t@example.com", ...args], {
      stdio: "pipe",
    });

  /** A repository on a host that is reached by ssh, and the environment in which it is. */
  function hosted(): { bare: string; env: NodeJS.ProcessEnv } {
    const folder = temporaryFolder();
    const bare = join(folder, "app.git");
    execFileSync("git", ["init", "-q", "-b", "trunk", folder]);
    git(folder, "commit", "-q", "--allow-empty", "-m", "first");
    git(folder, "branch", "feature/login");
    git(folder, "tag", "v1");
    execFileSync("git", ["clone", "-q", "--bare", folder, bare]);
    // What ssh would run on the other side is run here.
    const ssh = join(folder, "ssh.sh");
    writeFileSync(ssh, `#!/bin/sh\nexec git upload-pack ${bare}\n`, { mode: 0o755 });
    return { bare, env: { PATH: process.env.PATH, GIT_SSH_COMMAND: ssh } };
  }

  /** The person's own copy, on this branch. */
  function copyOf(bare: string, branch: string): string {
    const folder = temporaryFolder();
    execFileSync("git", ["clone", "-q", bare, folder], { stdio: "pipe" });
    git(folder, "checkout", "-q", "-B", branch);
    git(folder, "remote", "set-url", "origin", URL_OF_HOST.replace("git@", "git:secret-token@"));
    return folder;
  }

  it("offers the folder's remote and branch, without credentials", async () => {
    const { bare, env } = hosted();
    const { call, forms } = await connectInMemory({
      onForm: accept({ session_name: "auth" }),
      roots: [pathToFileURL(copyOf(bare, "feature/login")).href],
      env,
    });
    await call(TASK);
    const { properties } = forms[0]?.schema ?? {};
    expect(properties.repository_url.default).toBe(URL_OF_HOST);
    expect(properties.git_branch.default).toBe("feature/login");
    expect(JSON.stringify(forms)).not.toContain("secret-token");
  });

  it("does not offer a branch that only the folder has, nor one of a remote that can't be asked", async () => {
    const { bare, env } = hosted();
    for (const [branch, from] of [
      ["never-pushed", env],
      ["feature/login", { ...env, GIT_SSH_COMMAND: "false" }],
    ] as const) {
      const { call, forms } = await connectInMemory({
        onForm: accept({ session_name: `on-${branch.replace("/", "-")}` }),
        roots: [pathToFileURL(copyOf(bare, branch)).href],
        env: from,
      });
      await call(TASK);
      expect(forms[0]?.schema.properties.repository_url.default).toBe(URL_OF_HOST);
      expect(forms[0]?.schema.properties.git_branch, branch).not.toHaveProperty("default");
    }
  });

  it("does not look into folders when client and server are on different machines", async () => {
    const { call, forms } = await connectInMemory({
      onForm: accept({ session_name: "auth" }),
      roots: [pathToFileURL(copyOf(hosted().bare, "feature/login")).href],
      sharesMachine: false,
    });
    await call(TASK);
    expect(forms[0]?.schema.properties.repository_url).not.toHaveProperty("default");
  });

  it("offers the repository that was used last when there is no folder", async () => {
    const { call, forms } = await connectInMemory({ onForm: accept({ session_name: "second" }) });
    await call({ ...COMPLETE, repository_url: "https://host.example/last/one" });
    await call(TASK);
    expect(forms[0]?.schema.properties.repository_url.default).toBe("https://host.example/last/one");
  });

  it("offers the branches of a repository that was named, the default one first", async () => {
    const { env } = hosted();
    const { call, forms } = await connectInMemory({
      onForm: accept({ session_name: "auth", git_branch: "feature/login" }),
      env,
    });
    await call({ ...TASK, repository_url: URL_OF_HOST });
    const { properties } = forms[0]?.schema ?? {};
    expect(Object.keys(properties)).toEqual(["session_name", "git_branch"]);
    expect(properties.git_branch).toMatchObject({
      default: "trunk",
      oneOf: [
        { const: "trunk", title: "trunk (default branch)" },
        { const: "feature/login", title: "feature/login" },
      ],
    });
    expect(starts()[0]?.body).toMatchObject({ git_branch: "feature/login" });
    // Left empty, or typed in a client that lets people type: a choice is an offer, not a cage.
    for (const git_branch of ["", "feature/another"]) {
      const next = await connectInMemory({
        onForm: accept({ session_name: `auth-${git_branch}`, git_branch }),
        env,
      });
      const answer = await next.call({ ...TASK, repository_url: URL_OF_HOST });
      expect(answer.data.outcome).toBe("completed");
    }
    expect(starts()[1]?.body).not.toHaveProperty("git_branch");
    expect(starts()[2]?.body).toMatchObject({ git_branch: "feature/another" });
  });

  it("says in the form and in the answer from what a new branch is made, where our engine makes it", async () => {
    const { env } = hosted();
    const { call, forms } = await connectInMemory({
      onForm: accept({ session_name: "auth", git_branch: "feature/another" }),
      env,
      settings: { ENGINE: "local" },
    });
    const { text } = await call({ ...TASK, repository_url: URL_OF_HOST });
    expect(forms[0]?.schema.properties.git_branch.description).toContain(
      "it is done on that branch, made from trunk if missing.",
    );
    expect(text).toContain(
      "The repository has no branch feature/another: unless an earlier session has made it, it is made from the default branch, trunk.",
    );
  });

  it("a plan's branches begin at one that is there: of another one it is said before anything is begun", async () => {
    const { env } = hosted();
    const { call, forms } = await connectForPlans({
      onForm: accept({ session_name: "auth", git_branch: "feature/another" }),
      env,
      settings: { ENGINE: "local" },
    });
    const plan = { steps: [{ id: "design", run: "architect", task: "Design it" }] };
    const { isError, text, data } = await call({ action: "plan", plan, repository_url: URL_OF_HOST });
    expect(forms[0]?.schema.properties.git_branch.description).toMatch(
      /^Where the work begins; .*stays as it is\.$/,
    );
    expect(isError).toBe(true);
    expect(text).toContain('`git_branch` "feature/another": the repository has no such branch');
    expect(data.next_step.arguments).toMatchObject({ session_name: "auth", repository_url: URL_OF_HOST });
    expect(data.next_step.arguments).not.toHaveProperty("git_branch");
    expect(starts()).toEqual([]);
  });

  it("our engine leaves the default branch as it is: chosen, the work gets a branch of its own", async () => {
    const { env } = hosted();
    const onForm = accept({ session_name: "auth", git_branch: "trunk" });
    const ours = await connectInMemory({ onForm, env, settings: { ENGINE: "local" } });
    await ours.call({ ...TASK, repository_url: URL_OF_HOST });
    expect(ours.forms[0]?.schema.properties.git_branch.description).toMatch(
      /^Empty, or trunk: .* its own branch\./,
    );
    expect(starts()[0]?.body).not.toHaveProperty("git_branch");
    const elsewhere = await connectInMemory({
      onForm: accept({ session_name: "auth-2", git_branch: "trunk" }),
      env,
    });
    await elsewhere.call({ ...TASK, repository_url: URL_OF_HOST });
    expect(starts()[1]?.body).toMatchObject({ git_branch: "trunk" });
  });

  it("shows a form without suggestions when nothing can be found out", async () => {
    const { call, forms } = await connectInMemory({
      onForm: accept({ session_name: "auth" }),
      roots: ["file:///nowhere/at/all"],
    });
    const answer = await call(TASK);
    expect(forms[0]?.schema.properties.repository_url).not.toHaveProperty("default");
    expect(answer.data.outcome).toBe("completed");
  });

  const NAMED = { ...TASK, session_name: "auth", repository_url: URL_OF_HOST };

  it.each(["origin/feature/login", "refs/heads/feature/login"])(
    "a branch that is named as %s is sent as the repository spells it, and that is said",
    async (git_branch) => {
      const { call } = await connectInMemory({ env: hosted().env });
      const { text } = await call({ ...NAMED, git_branch });
      expect(starts()[0]?.body).toMatchObject({ git_branch: "feature/login" });
      expect(text).toContain(`${git_branch} was read as the branch feature/login.`);
    },
  );

  it.each([
    ["v1", "v1 is a tag"],
    ["0123456789012345678901234567890123456789", "is the id of a commit"],
    ["Feature/Login", "it has feature/login, which differs in case only"],
    ["feature", "there is a branch feature/login"],
  ])("%s is no branch to work on, so nothing is sent", async (git_branch, reason) => {
    const { call } = await connectInMemory({
      env: hosted().env,
      onForm: accept({ session_name: "auth", git_branch }),
    });
    for (const given of [
      { ...NAMED, git_branch },
      { ...TASK, repository_url: URL_OF_HOST },
    ]) {
      const { data, text, isError } = await call(given);
      expect(isError).toBe(true);
      expect(text).toContain(reason);
      expect(data.next_step.arguments).toMatchObject(NAMED);
      expect(data.next_step.arguments).not.toHaveProperty("git_branch");
    }
    expect(starts()).toEqual([]);
  });

  it("a branch that the session has already is not looked for again", async () => {
    const { env } = hosted();
    const { call } = await connectInMemory({ env });
    await call({ ...NAMED, git_branch: "feature/unpushed" });
    const { text } = await call({ workflow_name: "fix", message: "Go on", continue_session: "auth" });
    expect(starts()[1]?.body).toMatchObject({ git_branch: "feature/unpushed" });
    expect(text).not.toContain("has no branch");
  });
});
