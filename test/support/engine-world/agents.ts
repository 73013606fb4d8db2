import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentOptions, AgentProcess } from "../../../src/engine/agent/agent-process.js";
import type { AgentEvent } from "../../../src/engine/agent/events.js";
import { readBegan } from "../../../src/engine/agent/process-list.js";
import { formatStartedAt } from "../../../src/engine/agent/process-tree.js";
import type { Agents } from "../../../src/engine/engine-options.js";
import type { RunQuestion } from "../../../src/engine/runs/run.js";
import { MARK_NAME } from "../../../src/shared/agent-mark.js";
import { gitEnv } from "./workspaces.js";

export interface SeenAgent {
  /** As the agent's mark has it. */
  runId: string;
  sessionId: string;
  cwd: string;
  alive: boolean;
  /** It does something: it does not wait for an answer. */
  atWork: boolean;
  sent: string[];
  /** Its kind, and what it was started with. */
  kind: string;
  options: AgentOptions;
  /** Its process, where it has one. */
  pid: number;
  began: string;
}

const ASKED: RunQuestion = {
  questionId: "which",
  kind: "question",
  askedAt: 0,
  text: "Which one?",
  choices: [],
  multiSelect: false,
};
const PERMIT: RunQuestion = {
  ...{ questionId: "may", kind: "permission", askedAt: 0, text: "fix wants to run `npm publish`" },
  ...{ toolName: "Bash", detail: "npm publish", multiSelect: false },
  choices: [
    { value: "deny", title: "No" },
    { value: "allow_once", title: "Once" },
  ],
};
/** All that an agent can tell beside its turns. */
const TELLS: readonly AgentEvent[] = [
  { type: "action", text: "Looking at it", detail: "ls" },
  { type: "output", text: "a.txt" },
  { type: "tool", name: "Bash" },
  { type: "phase", name: "Look" },
  { type: "tokens", input: 10, output: 2 },
  { type: "cost", usd: 0.25 },
];

const soon = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * Agents that live in this process, so that hundreds of runs can be walked through. What is in the message makes one do
 * more than give a result: `[commit]` it commits a file where it works, `[ask]` it asks something first, `[permit]` for a permission, `[tells]` it tells all that there
 * is to tell, `[turns]` takes ten turns, `[say …]` has that as its result, `[hang]` comes to no end, `[deaf]` is one that
 * hangs and takes no message.
 * @param options.hasProcesses each is a process of its own, too, which does nothing and outlives this one
 */
export function createWorldAgents(options: {
  slots: number;
  onAgent: (agent: SeenAgent) => void;
  onMessage: (agent: SeenAgent, content: string) => void;
  onCommit: (agent: SeenAgent, commit: string) => void;
  hasProcesses: boolean;
}): {
  agents: SeenAgent[];
  violations: string[];
  start: Agents["start"];
  /** Ends what an engine that is gone has left; whether anything was there. */
  endLeftover: (identity: { startedAt: string }) => Promise<boolean>;
} {
  const agents: SeenAgent[] = [];
  const violations: string[] = [];
  const byIdentity = new Map<string, () => Promise<void>>();

  /** Never more at work than there are slots, nor more alive than a machine has room for. */
  function countAgents(): void {
    const alive = agents.filter((agent) => agent.alive);
    if (alive.filter(({ atWork }) => atWork).length > options.slots)
      violations.push("more agents at work than slots");
    if (alive.length > 2 * options.slots) violations.push(`${alive.length} agents alive`);
  }

  function begin(kind: string, own: AgentOptions): { agent: SeenAgent; process: ChildProcess | undefined } {
    const { mark: runId = "", sessionId, cwd } = own;
    if (agents.some((other) => other.alive && other.cwd === cwd)) violations.push(`two agents in ${cwd}`);
    if (agents.some((other) => other.runId === runId)) violations.push(`run ${runId} has got two agents`);
    const process = options.hasProcesses
      ? spawn("sleep", ["300"], { detached: true, stdio: "ignore", env: { PATH, [MARK_NAME]: runId } })
      : undefined;
    process?.unref();
    const { pid = 0 } = process ?? {};
    const began = pid === 0 ? "0" : readBegan(pid);
    const seen = {
      runId,
      sessionId,
      cwd,
      alive: true,
      atWork: true,
      sent: [],
      kind,
      options: own,
      pid,
      began,
    };
    agents.push(seen);
    countAgents();
    options.onAgent(seen);
    return { agent: seen, process };
  }

  const start: Agents["start"] = (kind, own, onEvent) => {
    const { resume, sessionId } = own;
    // In front of it stands what former runs were asked for.
    const prompt = own.prompt.split("\n\n").at(-1) ?? "";
    const { agent, process } = begin(kind, own);
    const { runId } = agent;
    let [ending, turn, working] = [false, 0, true];
    const waiting: string[] = [];
    let tellExit = () => {};
    const exit: Extract<AgentEvent, { type: "exit" }> = { type: "exit", code: 0, signal: null, stderr: "" };
    const exited = new Promise<typeof exit>((resolve) => {
      const end = () => {
        agent.alive = false;
        onEvent(exit);
        resolve(exit);
      };
      tellExit = () => {
        if (!agent.alive) return;
        if (process?.exitCode !== null || process.signalCode !== null) return end();
        process.once("exit", end).kill("SIGKILL");
      };
    });
    const tell = (event: AgentEvent) => {
      if (agent.alive) onEvent(event);
    };
    let [isHeld, isAnswered] = [false, false];
    let tellAnswered = () => {};
    async function ask(question: RunQuestion): Promise<void> {
      const answered = new Promise<void>((resolve) => {
        tellAnswered = resolve;
      });
      isAnswered = false;
      agent.atWork = false;
      tell({ type: "question", question: { ...question, askedAt: own.clock.now() } });
      await answered;
      agent.atWork = true;
      countAgents();
    }
    async function work(): Promise<void> {
      await soon();
      // The others choose the ids of their conversations by themselves.
      if (kind !== "claude" && turn === 0)
        tell({ type: "init", sessionId: resume ? sessionId : `${kind}-of-${runId}`, tools: [] });
      tell({ type: "turn", turn: ++turn });
      await soon();
      for (; prompt.includes("[turns]") && agent.alive && turn < 10; await soon())
        tell({ type: "turn", turn: ++turn });
      if (prompt.includes("[commit]")) options.onCommit(agent, commitFile(own));
      if (prompt.includes("[tells]")) for (const event of TELLS) tell(event);
      if (prompt.includes("[ask]")) await ask(ASKED);
      if (prompt.includes("[permit]")) await ask(PERMIT);
      if (/\[(?:hang|deaf)\]/.test(prompt)) return;
      for (let id = waiting.shift(); id; id = waiting.shift()) {
        tell({ type: "consumed", messageId: id });
        await soon();
        tell({ type: "turn", turn: ++turn });
      }
      working = false;
      const [, text = "Done."] = /\[say (.*?)\]/.exec(prompt) ?? [];
      tell({ type: "result", ok: true, subtype: "success", ...(text ? { text } : {}) });
      if (ending) tellExit();
    }
    void work();
    async function kill(): Promise<void> {
      await soon();
      tellExit();
      await exited;
    }
    byIdentity.set(runId, kill);
    const handle: AgentProcess = {
      pid: agent.pid,
      processStart: formatStartedAt(agent.began, runId),
      send({ id, content }) {
        if (!agent.alive || ending || prompt.includes("[deaf]")) return false;
        if (agent.sent.includes(content)) violations.push(`"${content}" was delivered twice`);
        agent.sent.push(content);
        options.onMessage(agent, content);
        waiting.push(id);
        if (!working) {
          working = true;
          void work();
        }
        return true;
      },
      answer() {
        isAnswered = true;
        if (!isHeld) tellAnswered();
        return true;
      },
      hold() {
        isHeld = true;
      },
      letGo() {
        isHeld = false;
        if (isAnswered) tellAnswered();
      },
      worksBeside: () => false,
      interrupt: async () => true,
      end() {
        ending = true;
        if (!working) void soon().then(tellExit);
      },
      kill,
      exited,
    };
    return handle;
  };

  return {
    ...{ agents, violations, start },
    async endLeftover({ startedAt }) {
      const mark = startedAt.split(".")[1] ?? "";
      const living = agents.some((agent) => agent.runId === mark && agent.alive);
      if (living) await byIdentity.get(mark)?.();
      return living;
    },
  };
}

/** As an agent does it, in the worktree. @returns the commit */
function commitFile({ cwd, mark = "", env }: AgentOptions): string {
  writeFileSync(join(cwd, `${mark}.txt`), "found\n");
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=A", "-c", "user.email=a@b", ...args], {
      ...{ cwd, env: { ...gitEnv(cwd), ...env }, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
    });
  git("add", "--all");
  git("commit", "-q", "-m", "Find it");
  return git("rev-parse", "HEAD").trim();
}

const { PATH } = process.env;
