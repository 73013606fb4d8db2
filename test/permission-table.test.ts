import { describe, expect, it } from "vitest";
import { readPermission, refusePaths } from "../src/engine/agent/acp/permission-request.js";
import type { RunPolicy } from "../src/engine/permissions/run-policy.js";
import { createRunPolicy } from "../src/engine/permissions/run-policy.js";
import { createWorkflowLibrary } from "../src/engine/workflows/workflow-library.js";
import { resolvePackageFolder } from "../src/shared/package-folder.js";

/** What becomes of a command before and after a person has allowed the repository's scripts. */
type Outcome = "allowed" | "asked" | "denied" | "asked for the scripts";

const PRIVATE = "/home/ada/.local/state/automagik-workflows-mcp/engine-private";
const WORKSPACE = "/home/ada/.local/state/automagik-workflows-mcp/engine/workspaces/worktrees/a1";
const library = createWorkflowLibrary({
  shippedFolder: resolvePackageFolder("workflows"),
  ownFolder: "/nowhere",
});

type Call = [tool: string, input: Record<string, unknown>];

/** How each kind of agent asks for a call, and what the policy says to it. */
const KINDS: Record<string, (policy: RunPolicy, call: Call) => Outcome> = {
  claude: (policy, call) => outcomeOf(policy.decide(...call)),
  codex(policy, call) {
    const asked = asCodexAsks(call);
    if (refusePaths(asked, policy) !== undefined) return "denied";
    const { toolName, input } = readPermission(asked, {}, { cwd: WORKSPACE, title: "Codex", policy });
    return outcomeOf(policy.decide(toolName, input));
  },
};

/** The call in a `session/request_permission`. */
function asCodexAsks([tool, { dangerouslyDisableSandbox, ...input }]: Call): Record<string, unknown> {
  const paths = [input.file_path, input.path].filter((path) => path !== undefined);
  const locations = paths.map((path) => ({ path }));
  const more = dangerouslyDisableSandbox ? { additionalPermissions: { network: { enabled: true } } } : {};
  if (tool === "Bash")
    return { kind: "execute", title: input.command, rawInput: { cwd: WORKSPACE, ...input, ...more } };
  if (tool === "SandboxNetworkAccess") {
    const host = String(input.host).includes(":") ? `[${input.host}]` : input.host;
    return { kind: "execute", title: "network access", rawInput: { command: "id", url: `https://${host}` } };
  }
  if (tool === "WebFetch") return { kind: "fetch", title: "Open a page", rawInput: input };
  if (locations.length > 0)
    return { kind: tool === "Edit" || tool === "Write" ? "edit" : "read", title: tool, locations };
  return { kind: "other", title: tool, rawInput: input };
}

function outcomeOf(decision: ReturnType<RunPolicy["decide"]>): Outcome {
  if (decision.decision === "allow") return "allowed";
  if (decision.decision === "deny") return "denied";
  return decision.about === "scripts" ? "asked for the scripts" : "asked";
}

/** The same for all kinds, or it says whose is another. */
async function decideFor(
  workflowName: string,
  call: string | Call,
  scripts: boolean,
  more: { allowedTools?: string[]; judgesRules?: true; writesGit?: true } = {},
): Promise<Outcome | Record<string, Outcome>> {
  const workflow = await library.get(workflowName);
  if (!workflow) throw new Error(`no workflow ${workflowName}`);
  const { allowedTools } = workflow;
  const outcomes = Object.entries(KINDS).map(([kind, decide]) => {
    const policy = createRunPolicy({
      facts: { allowedTools, workspace: WORKSPACE, privateFolders: [PRIVATE], ...more },
      consents: { has: () => false, add() {} },
      sandboxed: false,
    });
    if (scripts) policy.allowScripts("run");
    return [kind, decide(policy, typeof call === "string" ? ["Bash", { command: call }] : call)] as const;
  });
  const [first] = outcomes;
  return outcomes.every(([, outcome]) => outcome === first?.[1])
    ? (first?.[1] ?? "asked")
    : Object.fromEntries(outcomes);
}

const message = (body: string, mark = "EOF") => `git commit -m "$(cat <<'${mark}'\n${body}\n${mark}\n)"`;

/** Once the repository's scripts are allowed, these run; before, the person is asked for the scripts as a whole. */
const SCRIPTS = [
  "npm test",
  "npm test -- test/a.test.ts",
  "npm test -- -t 'a name of a test'",
  "npm run test:unit",
  "npm run lint",
  "npm run -s typecheck",
  "npm run build",
  "pnpm test",
  "pnpm run check",
  "yarn test",
  "yarn run lint:fix",
  "npm test 2>&1 | tail -50",
  "npm test 2>&1 | grep -E 'fail|error' | head -n 20",
  "npm run build && npm test",
  "npm run typecheck; npm run lint",
  `cd ${WORKSPACE} && npm test`,
  "node --test",
  "node --test test/a.test.js",
  "node --test --test-reporter=spec --test-name-pattern='adds'",
  "pytest",
  "pytest -q -x tests/test_a.py::test_b",
  "pytest -k 'a and not b' --maxfail=1 --tb=short",
  "python -m pytest -vv",
  "python3 -m unittest -v tests.test_a",
  "ruff check --fix src",
  "mypy src",
  "cargo test",
  "cargo test --workspace --all-features -- --nocapture",
  "cargo clippy --all-targets -- -D warnings",
  "cargo fmt --check",
  "go test ./...",
  "go test -race -run TestA -count=1 ./pkg/a",
  "go vet ./...",
  "go build ./cmd/a",
  "make test",
  "make lint test",
  "mvn test -q",
  "./gradlew test --tests 'a.b.CTest'",
  "dotnet test --no-restore",
  "bundle exec rspec spec/a_spec.rb",
  "bundle exec rake test",
  "mix test test/a_test.exs:12",
  "swift test --filter ATests",
];

/** These are asked each time, whatever was allowed before: they leave the worktree or are not plainly understood. */
const ALWAYS_ASKED = [
  "npm test --prefix /elsewhere",
  "npm --prefix /elsewhere test",
  "npm test --prefix=/elsewhere",
  "npm -C /elsewhere test",
  "npm test --script-shell=/tmp/evil",
  "npm run test --script-shell /tmp/evil",
  "npm test --userconfig=/tmp/rc",
  "npm test --node-options=--require=/tmp/x.js",
  "npm test -- --require /tmp/evil.js",
  "npm test -- --config=/tmp/evil.js",
  "npm test -- /elsewhere/a.test.js",
  "npm test -- ../elsewhere/a.test.js",
  "npm test -- ~/a.test.js",
  "npm test -w ../other",
  "npm run deploy",
  "npm run build-and-publish",
  "npm run test && npm publish",
  "npm exec evil",
  "npx evil",
  "npm ci",
  "pnpm -C /elsewhere test",
  "pnpm --dir /elsewhere test",
  "yarn --cwd /elsewhere test",
  "node --test /elsewhere.js",
  "node --test ../x",
  "node --test a/../../x",
  "node --test --require /tmp/x.js",
  "node --test --import=./x.mjs",
  "node --require ./x.js --test",
  "node --test --test-reporter=/tmp/x.js",
  "node -e 'process.exit()'",
  "pytest -p evil",
  "pytest -c /elsewhere/pytest.ini",
  "pytest --rootdir=/elsewhere",
  "pytest -o testpaths=/elsewhere",
  "pytest --confcutdir=/",
  "pytest @/tmp/arguments",
  "pytest /elsewhere",
  "python -m pytest -p evil",
  "python -m http.server",
  "python3 -m unittest discover -s /elsewhere",
  "mypy --config-file=/elsewhere.ini",
  "ruff check --config /elsewhere.toml",
  "cargo test --config /elsewhere.toml",
  "cargo test --config build.rustc-wrapper=/tmp/evil",
  "cargo test --manifest-path /elsewhere/Cargo.toml",
  "cargo build --target-dir=/elsewhere",
  "cargo +evil test",
  "cargo run",
  "go test -exec /tmp/evil ./...",
  "go test -exec=/tmp/evil ./...",
  "go test -C /elsewhere ./...",
  "go build -o /elsewhere ./...",
  "go build -toolexec=/tmp/evil ./...",
  "go vet -vettool=/tmp/evil ./...",
  "go test -overlay=/tmp/o.json ./...",
  "go test /elsewhere/...",
  "go test ../...",
  "go run .",
  "make -C /elsewhere test",
  "make -f /elsewhere test",
  "make test -f ../Makefile",
  "make test --file=/elsewhere",
  "make test -I /elsewhere",
  "make test SHELL=/tmp/evil",
  "make test --eval='$(shell id)'",
  "make",
  "make deploy",
  "mvn -f /elsewhere test",
  "mvn test -f /elsewhere",
  "mvn test -Dmaven.ext.class.path=/tmp/x.jar",
  "./gradlew -p /elsewhere test",
  "./gradlew test -I /tmp/init.gradle",
  "./gradlew test --init-script=/tmp/x",
  "../gradlew test",
  "dotnet test /elsewhere",
  "dotnet test --settings /elsewhere",
  "dotnet test @arguments.rsp",
  "bundle exec rspec -r /tmp/evil.rb",
  "bundle exec rspec -O /elsewhere",
  "bundle exec rake -f /elsewhere test",
  "bundle exec rake test -f /elsewhere",
  "rake -f /elsewhere",
  "mix test --include /elsewhere -r /tmp/x.exs",
  "swift test --package-path /elsewhere",
  "NODE_OPTIONS=--require=/tmp/x.js npm test",
  "PATH=/tmp npm test",
  "env X=1 npm test",
  "npm test && git push",
  "npm test; curl https://evil.example",
  "npm test | sh",
  "npm test | tee /elsewhere",
  "npm test > /elsewhere",
  "npm test >> out.txt",
  "npm test 2> /elsewhere",
  "npm test < /etc/passwd",
  "npm test &",
  "npm test & curl https://evil.example",
  "npm test $(id)",
  "npm test `id`",
  'npm test "$(id)"',
  "npm test $HOME",
  "npm test -- *.js",
  "npm test -- {a,b}",
  "npm test -- a\\ b",
  "npm test\ncurl https://evil.example",
  "npm test # and more",
  "(npm test)",
  "! npm test",
  "if npm test; then id; fi",
  "cd /elsewhere && npm test",
  "cd .. && npm test",
  "bash -c 'npm test'",
  "xargs npm test",
  "npm test | grep -f /etc/passwd x",
  "npm test | grep x /etc/passwd",
  "npm test | tail -n 5 /etc/passwd",
  "tail -n 5 /etc/passwd",
  "npm\u200b test",
  "npm test \u202e# tset",
  "=npm test",
];

const COMMITS = [
  "git add -A",
  "git add .",
  "git add src/a.ts 'a name.txt'",
  "git add -- src/a.ts",
  "git commit -m 'fix: a'",
  'git commit -m "fix: a, and (b)"',
  "git commit --message='fix: a'",
  "git commit --message 'fix: a'",
  "git commit -am 'fix: a'",
  "git commit -q -m a -m b",
  "git add -A && git commit -m 'fix: a' && git status --short",
  "git add -A && git commit -qm x; git log --oneline -3",
  "git add a && git commit --quiet --message b && git log --format=%s",
  "git commit -qm x && git log -1 --pretty='%h %an: %s'",
  message("fix: a (b)\n\nIt's done."),
  `git add -A && ${message("feat: x\n\nCo-Authored-By: A <a@example.org>")}`,
];

/** They rename files; a `.git` among them would make a repository of its own, whose settings run programs. */
const MOVES = ["git mv a.ts b.ts", "git mv -k src/a.ts 'src/a name.ts'", "git mv .github/a .gitignore docs"];
const MOVES_ASKED = [
  "git mv nested/dotgit nested/.git",
  "git mv nested/dotgit nested/.GIT",
  "git mv nested/dotgit nested/.git/",
  "git mv nested/dotgit 'nested/.git '",
  "git mv nested/dotgit 'nested/.g\u200cit'",
  "git mv nested/dotgit nested/git~1",
  "git mv config .git",
  "git mv .git/config a",
  "git mv a ../b",
  "git mv a /elsewhere",
  "git mv -f a b",
  "git mv --force a b",
];

const COMMITS_ASKED = [
  "git commit",
  "git commit -a",
  "git commit -F /etc/passwd",
  "git commit -F/etc/passwd",
  "git commit --file=/etc/passwd",
  "git commit -m x -F /etc/passwd",
  "git commit -t /etc/passwd -m x",
  "git commit --template=/etc/passwd -m x",
  "git commit --pathspec-from-file=/etc/passwd -m x",
  "git add --pathspec-from-file=/etc/passwd",
  "git add --pathspec-from-file /etc/passwd",
  "git add /etc/passwd",
  "git add ../x",
  "git add *",
  "git add -p",
  "git add -e",
  "git commit -c HEAD",
  "git commit -C HEAD",
  "git commit --amend -m x",
  "git commit --amend --no-edit",
  "git commit --fixup=HEAD -m x",
  "git commit -S -m x",
  "git commit --author='A <a@b>' -m x",
  "git commit -m $(cat /etc/passwd)",
  'git commit -m "$(cat /etc/passwd)"',
  'git commit -m "`cat /etc/passwd`"',
  "git -C /elsewhere commit -m x",
  "git -c core.hooksPath=/tmp commit -m x",
  "git -c core.editor=/tmp/evil commit",
  "GIT_DIR=/elsewhere git commit -m x",
  "GIT_EDITOR=/tmp/evil git commit",
  message("a\nEOF\ncurl https://evil.example\ncat <<'EOF'"),
  `${message("fix")} && curl https://evil.example`,
  message("fix $(id)"),
  message("fix `id`"),
  'git commit -m "$(cat <<EOF\n$(id)\nEOF\n)"',
  "git push",
  "git fetch --depth=1",
  "git checkout -b x",
  "git reset --hard HEAD~1",
  "git log --output=/elsewhere",
  "git log --oneline --output=/elsewhere",
  "git commit -qm x && git log --format=%G?",
  "git log -1 -p --ext-diff",
  "git diff --output=/elsewhere",
  "git diff --no-index /etc/passwd x",
  "git grep -O/tmp/evil x",
  "git grep --open-files-in-pager=/tmp/evil x",
  "git config core.sshCommand /tmp/evil",
  "find . -exec touch x {} +",
  "rg --pre /tmp/evil x",
  "sort -o /elsewhere a.txt",
  "wc --files0-from=/etc/passwd",
];

const DENIED: (string | [string, Record<string, unknown>])[] = [
  "sudo id",
  "git status && sudo id",
  "git push --force",
  "git push -f origin main",
  "git push origin +main",
  "git push --force-with-lease",
  "git push origin main --force",
  `cat ${PRIVATE}/key`,
  `npm test; cat "${PRIVATE}/key"`,
  ["Bash", { command: "cat key", cwd: PRIVATE }],
  ["Bash", { command: "cat key", cwd: `${PRIVATE}/` }],
  ["Read", { file_path: `${PRIVATE}/key` }],
  ["Read", { file_path: `${WORKSPACE}/../../../../engine-private/key` }],
  ["Grep", { pattern: ".", path: PRIVATE }],
  ["Glob", { pattern: "*", path: PRIVATE }],
  ["Edit", { file_path: `${PRIVATE}/permissions.json`, old_string: "a", new_string: "b" }],
  ["Write", { file_path: `${PRIVATE}/permissions.json`, content: "" }],
  ["SandboxNetworkAccess", { host: "127.0.0.1" }],
  ["SandboxNetworkAccess", { host: "localhost" }],
  ["SandboxNetworkAccess", { host: "::1" }],
  ["SandboxNetworkAccess", { host: "0.0.0.0" }],
  ["EnterWorktree", {}],
  ["CronCreate", { cron: "* * * * *" }],
];

const OTHERS_ASKED: [string, Record<string, unknown>][] = [
  ["Read", { file_path: "/etc/passwd" }],
  ["Write", { file_path: "/home/ada/.bashrc", content: "" }],
  ["WebFetch", { url: "https://example.org" }],
  ["SandboxNetworkAccess", { host: "registry.npmjs.org" }],
  ["Bash", { command: "npm test", dangerouslyDisableSandbox: true }],
  ["Bash", { command: "git commit -m x", dangerouslyDisableSandbox: true }],
  ["Bash", {}],
  ["mcp__other__tool", {}],
];

describe("what an agent may do without a question", () => {
  it.each(SCRIPTS)("implement: `%s` once the repository's scripts are allowed", async (command) => {
    expect(await decideFor("implement", command, false)).toBe("asked for the scripts");
    expect(await decideFor("implement", command, true)).toBe("allowed");
  });

  it.each(ALWAYS_ASKED)("implement: `%s` is asked each time", async (command) => {
    expect(await decideFor("implement", command, true)).toBe("asked");
  });

  it.each(COMMITS)("implement: `%s`", async (command) => {
    expect(await decideFor("implement", command, false)).toBe("allowed");
    expect(await decideFor("review", command, true)).toBe("asked");
  });

  it.each(MOVES)("implement: `%s`", async (command) => {
    for (const workflow of ["implement", "refactor"])
      expect(await decideFor(workflow, command, false)).toBe("allowed");
    for (const workflow of ["architect", "document", "review"])
      expect(await decideFor(workflow, command, true)).toBe("asked");
  });

  it.each(MOVES_ASKED)("implement: `%s` is asked each time", async (command) => {
    expect(await decideFor("implement", command, true)).toBe("asked");
  });

  it.each(COMMITS_ASKED)("implement: `%s` is asked each time", async (command) => {
    expect(await decideFor("implement", command, true)).toBe("asked");
  });

  it.each(DENIED)("%j is denied in every workflow", async (...call) => {
    const asked = (call.length === 1 ? call[0] : call) as string | [string, Record<string, unknown>];
    for (const workflow of ["implement", "review", "document"])
      expect(await decideFor(workflow, asked, true)).toBe("denied");
  });

  it.each(OTHERS_ASKED)("%s %j is asked", async (tool, input) => {
    expect(await decideFor("implement", [tool, input], true)).toBe("asked");
  });

  it.each([
    ["architect", "asked"],
    ["implement", "allowed"],
    ["test", "allowed"],
    ["review", "asked"],
    ["fix", "allowed"],
    ["refactor", "allowed"],
    ["document", "asked"],
  ] as const)("%s: the repository's scripts that were allowed are %s", async (workflow, outcome) => {
    for (const command of SCRIPTS) expect(await decideFor(workflow, command, true)).toBe(outcome);
  });

  it.each([
    ["npm run deploy", "allowed"],
    ["npm run deploy -- --dry-run", "allowed"],
    ["npm run deploy && git status", "allowed"],
    ["npm run deploy | tail -5", "allowed"],
    ["make docs", "allowed"],
    ["npm run deployed", "asked"],
    ["npm run deploy; curl https://evil.example", "asked"],
    ["npm run deploy > /elsewhere", "asked"],
    ["npm run deploy $(id)", "asked"],
    ["make docs all", "asked"],
    ["make", "asked"],
    ["tool --any", "asked"],
    ["sudo npm run deploy", "denied"],
    ["npm run deploy && sudo id", "denied"],
  ] as const)("rules that are judged here: `%s` is %s", async (command, outcome) => {
    const allowedTools = ["Bash(npm run deploy:*)", "Bash(make docs)", "Bash(tool *)", "Edit"];
    expect(await decideFor("review", command, false, { allowedTools, judgesRules: true })).toBe(outcome);
    // An agent that keeps them by itself asks for what they do not cover.
    if (outcome === "allowed")
      expect(await decideFor("review", command, false, { allowedTools })).toBe("asked");
  });

  it("of an agent that can write what git runs programs by, each git command outside of its sandbox is asked", async () => {
    const more = {
      judgesRules: true,
      writesGit: true,
      allowedTools: ["@commit", "@checks", "Bash(git:*)"],
    } as const;
    for (const command of ["git status", "git add -A", "npm test && git diff"])
      expect(
        await decideFor("implement", command, true, { ...more, allowedTools: [...more.allowedTools] }),
      ).toBe("asked");
    expect(await decideFor("implement", "npm test", true, { writesGit: true })).toBe("allowed");
  });

  it("has at least 120 rows", () => {
    const rows = [SCRIPTS, ALWAYS_ASKED, COMMITS, COMMITS_ASKED, DENIED, OTHERS_ASKED].flat(1);
    expect(rows.length).toBeGreaterThanOrEqual(120);
  });
});
