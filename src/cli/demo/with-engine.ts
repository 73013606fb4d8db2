import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { findClaude } from "../../engine/requirements.js";
import { backgroundEnvironment } from "../../shared/background/spawn.js";
import type { Field } from "./answer-form.js";
import { onStage, type Play } from "./stage.js";
import { tellStory } from "./story.js";

/** What the demo with the real agent needs beside the stage. */
export interface EnginePlay {
  /** The agent's program, when a setting names it. */
  claudePath?: string | undefined;
  /** The person's environment. */
  env: NodeJS.ProcessEnv;
  /** Whether the person agrees to pay; undefined when nobody can be asked. */
  agree: ((question: string) => Promise<boolean>) | undefined;
}

/** What the run may cost at most, in USD: some ten times what it takes. */
const COST_LIMIT_USD = 0.5;
const MAX_TURNS = 15;
const BRANCH = "demo";
const TASK =
  "Ask me with your question tool whether GREETING.md should greet in English or in Latin. Then write that file " +
  "with one friendly sentence, and commit it alone. Nothing else is to be done, and nothing is to be explored.";

/**
 * Shows a run of the real Claude Code by an engine of its own, on a repository that is thrown away. Nothing is started
 * before the person has agreed to what it costs.
 * @returns false when it cannot be shown here, and why has been said; a person's no is in order
 * @throws Error when a part of it does not do what it should, or when the play is ended
 */
export async function playWithEngine(play: Play, options: EnginePlay): Promise<boolean> {
  const { screen, serverScript } = play;
  // Whatever points git at another repository is not for this one.
  const env = Object.fromEntries(
    Object.entries(backgroundEnvironment(options.env, {})).filter(([name]) => !name.startsWith("GIT_")),
  );
  const found = await findClaude({ env, ...(options.claudePath ? { configured: options.claudePath } : {}) });
  if (!found.ok) {
    screen.line(found.problem, "yellow");
    screen.line("Nothing was started. Without --engine the demo shows the same against a simulated API.");
    return false;
  }
  const { path, version, loggedIn } = found;
  screen.line(`Found Claude Code ${version} at ${path}${loggedIn === true ? ", logged in" : ""}.`);
  screen.line(
    "This demo is a real run: a small task in a throw-away repository. It uses your login and costs money or\n" +
      `quota: a few cents, at most ${COST_LIMIT_USD.toFixed(2)} USD; then it is ended.`,
    "yellow",
  );
  if (!options.agree) {
    screen.line("Nothing was started: nobody can be asked here. With --yes it starts without asking.");
    return false;
  }
  if (!(await options.agree("Start it?"))) {
    screen.line("Nothing was started, and nothing was paid.");
    return true;
  }
  await onStage(play, async ({ folder, onTakeDown, createClient }) => {
    const repository = await createRepository(join(folder, "repository"), { ...env, ...AUTHOR });
    const state = { AUTOMAGIK_WORKFLOWS_STATE_DIR: join(folder, "state") };
    onTakeDown(() =>
      promisify(execFile)(process.execPath, [serverScript, "engine", "stop", "--force"], {
        env: { ...env, ...state },
      }).catch(() => {
        // It was not there any more, which is as good.
      }),
    );
    const client = createClient({
      ...Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (value ? [[name, value]] : []))),
      ...state,
      ...AUTHOR,
      AUTOMAGIK_WORKFLOWS_ENGINE: "local",
      AUTOMAGIK_WORKFLOWS_NOTIFY: "off",
      AUTOMAGIK_WORKFLOWS_CLAUDE_PATH: path,
      AUTOMAGIK_WORKFLOWS_ENGINE_ALLOWED_FOLDERS: repository,
      AUTOMAGIK_WORKFLOWS_ENGINE_COST_LIMIT: String(COST_LIMIT_USD),
      AUTOMAGIK_WORKFLOWS_ENGINE_IDLE_TIMEOUT: "60",
    });
    await tellStory({
      ...play,
      ...client,
      plot: {
        task: TASK,
        request: {
          workflow_name: "implement",
          message: TASK,
          repository_url: repository,
          git_branch: BRANCH,
          max_turns: MAX_TURNS,
        },
      },
    });
    screen.heading("The run was real. The engine and the repository are gone now.");
    screen.line("Claude Code keeps its own record of the conversation, as of every other.", "dim");
    screen.line("For your own work, let your chat client start `automagik-workflows-mcp --engine local`.");
  });
  return true;
}

/**
 * Chooses where nobody can type: the first of an agent's choices, and no to everything that it wants to be allowed.
 */
export function chooseUnattended({ choices }: Field): string | undefined {
  return choices.some(({ value }) => value === "deny") ? "deny" : choices[0]?.value;
}

/** So that the agent's commit works on a machine where git has no name yet. */
const AUTHOR = {
  GIT_AUTHOR_NAME: "Demo",
  GIT_AUTHOR_EMAIL: "demo@localhost",
  GIT_COMMITTER_NAME: "Demo",
  GIT_COMMITTER_EMAIL: "demo@localhost",
};

async function createRepository(folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const git = (...args: string[]) => promisify(execFile)("git", ["-C", folder, ...args], { env });
  await mkdir(folder);
  await writeFile(join(folder, "README.md"), "# A repository for a demo\n");
  await git("init", "--quiet");
  await git("add", "README.md");
  await git("commit", "--quiet", "--no-gpg-sign", "--message", "Begin");
  return folder;
}
