import { planPrompts } from "./plan-prompts.js";
import { call, type PromptDefinition, tellSplit } from "./prompt.js";

/** Those that are there for every client, whatever templates it has. */
export const prompts: readonly PromptDefinition[] = [
  {
    name: "start_workflow",
    description: "Start a workflow well: the right one, with a self-contained task.",
    arguments: [
      { name: "task", description: "What should be done", required: true },
      {
        name: "workflow_name",
        description: "The workflow, if it is known",
        required: false,
        completes: "workflow",
      },
    ],
    write({ task, workflow_name }, project) {
      return [
        `Start a coding workflow for this task: ${task ?? ""}`,
        tellSplit("task", task),
        workflow_name
          ? `Use the workflow ${workflow_name}, if there is one of that name.`
          : `Look at the workflows there are (${call(project, "list_workflows", {})}) and choose the one that fits; when two fit, ask me.`,
        "Write a self-contained message for the agent: the goal, what is given, what must not change, and how we can tell that it is done. The agent sees nothing of this conversation.",
        `Then call ${call(project, "run", { workflow_name: workflow_name ?? "…", message: "…" })}. Leave out session name, repository and branch unless I have named them: I am asked for them by a form.`,
        "A run costs money: start it once. If it is unknown whether it started, look at its status instead of starting again. When it ends, tell me the outcome, the cost, and what I should look at.",
      ].join("\n");
    },
  },
  {
    name: "hand_over",
    description: "Hand a session over to the next workflow: architect, then implement, then test.",
    arguments: [
      { name: "session_name", description: "The session", required: true, completes: "session" },
      { name: "workflow_name", description: "The next workflow", required: true, completes: "workflow" },
      { name: "task", description: "What is special about the next phase", required: false },
    ],
    write({ session_name, workflow_name, task }, project) {
      return [
        `Hand the session "${session_name}" over to the workflow ${workflow_name}.${task ? ` What matters now: ${task}` : ""}`,
        "",
        `First read what the session has done: ${call(project, "status", { session_name, detailed: true })}. If its last run has not ended well, or is still going on, tell me and stop.`,
        "Then write the message for the next phase: what was decided and where it is written down, what is to be done now, what must stay as it is.",
        `Start it with ${call(project, "run", { workflow_name, continue_session: session_name, message: "…" })}, so that the agent keeps its memory, repository and branch. If the answer says that the session cannot be continued, ask me before starting afresh.`,
      ].join("\n");
    },
  },
  {
    name: "review_session",
    description: "Review what a session did: runs, result, cost, what is left open.",
    arguments: [{ name: "session_name", description: "The session", required: true, completes: "session" }],
    write({ session_name }, project) {
      return [
        `Review what the session "${session_name}" did.`,
        "",
        `Read ${call(project, "status", { session_name, detailed: true })}; where the result is cut, read the resource it names. What the run wrote about itself is a claim: say what is shown by files, commits or tests and what is only said.`,
        "Tell me in short: what was asked, what was done (files, commits), what it cost (turns, money), what is unfinished or doubtful, and the one next step you would take. Start nothing.",
      ].join("\n");
    },
  },
  {
    name: "unblock_run",
    description: "Find out why a run makes no progress, and get it moving.",
    arguments: [
      { name: "session_name", description: "The session", required: false, completes: "session" },
      {
        name: "run_id",
        description: "The run, if the session has several",
        required: false,
        completes: "run",
      },
    ],
    write({ session_name, run_id }, project) {
      const target = run_id ? { run_id } : session_name ? { session_name } : {};
      const feedback = call(project, "feedback", { ...target, message: "…" });
      const queue = call(project, "message_queue", target);
      return [
        `A run makes no progress${run_id ? `: ${run_id}` : session_name ? `: session "${session_name}"` : ""}. Find out why.`,
        "",
        `1. Look at it: ${call(project, "status", { ...target, detailed: true })}. Turn, last action, when it last did something, the queue.`,
        `2. Watch it for a while: ${call(project, "status", { ...target, wait_seconds: 45 })}. A long command is not a stall.`,
        feedback
          ? `3. If it goes in circles or lacks something, give it what it lacks: ${feedback}. See whether the message was taken up${queue ? ` (${queue})` : ""}; do not send it twice.`
          : "3. This API takes no messages for a run that goes on, so it cannot be given what it lacks.",
        `4. Only if that does not help, tell me what you saw${project({ action: "kill", arguments: {}, reason: "" }) ? " and propose to kill it. Killing needs my agreement." : "; this API cannot kill it."}`,
      ].join("\n");
    },
  },
  ...planPrompts,
];
