import { expect, it, vi } from "vitest";
import { GITHUB_TOKEN } from "./support/github.js";
import { withScript } from "./support/local-engine.js";
import { endLeases, storedDeliveries } from "./support/notices.js";
import { openPullRequestPlace } from "./support/pull-request-place.js";
import { startWorker } from "./support/workers.js";

// What becomes of a pull request when the engine's process is killed while it opens it: of the built bin, with a real
// signal, real git and a bare repository.

vi.setConfig({ testTimeout: 120_000 });

/** Of a scripted agent that asks for nothing. */
const COMMITTING = withScript("Add the login", {
  steps: [
    { tools: [{ name: "Write", input: { file_path: "login.txt", content: "log in\n" } }] },
    {
      tools: [
        {
          name: "Bash",
          input: {
            command: "echo Begun; git add . && git -c user.name=A -c user.email=a@b commit -qm 'Add it'",
          },
          run: true,
        },
      ],
    },
    { text: "It is there." },
  ],
});

it.each([
  ["the branch is pushed, and nothing was asked of GitHub", "GET /repos/acme/shop/pulls", 0],
  ["GitHub has opened it, and its answer is lost", "POST /repos/acme/shop/pulls", 1],
  ["its comment is written, and nothing of it recorded", "POST /repos/acme/shop/issues/1/comments", 1],
])("is found and not made twice by the next engine: %s", async (_when, request, pulls) => {
  const { github, shop, env, address, branches } = await openPullRequestPlace();
  const engine = await startWorker("", { GITHUB_TOKEN, GITHUB_URL: github.url }, undefined, env);
  github.onRequest = (named) => {
    if (named === request) engine.signal("SIGKILL");
  };
  const [method = "", path = ""] = request.split(" ");
  github.fail({ method, path: new RegExp(`^${path}$`), how: "lost" });
  const start = { session_name: "login", repository_url: address, pull_request: true };
  const { run_id } = await engine.start({ message: COMMITTING, ...start });
  expect(await engine.exited()).toBe("SIGKILL");
  github.onRequest = () => {};
  expect(branches()).toContain("automagik/login");
  expect([shop.pulls.size, storedDeliveries(engine.home).map(({ state }) => state)]).toEqual([
    pulls,
    ["pending"],
  ]);
  endLeases(engine.home);
  const next = await engine.restart();
  const { pull_request } = await next.until(run_id, (status) => status.pull_request?.state !== "pending");
  expect(pull_request).toMatchObject({ state: "open", number: 1, branch: "automagik/login", problem: null });
  expect([...shop.pulls.values()].map(({ head }) => head)).toEqual(["automagik/login"]);
  expect([...shop.comments.values()].map(({ issue }) => issue)).toEqual([1]);
  expect(branches()).toEqual(["automagik/login", "main"]);
});
