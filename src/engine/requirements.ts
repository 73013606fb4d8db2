/** What the engine needs on this machine: agents, Claude Code's sandbox, the folders of workflows, what it may work on. */
export { AGENT_KINDS, configuredPath } from "./agent/agent-kinds.js";
export { type FoundClaude, findClaude } from "./agent/claude/find-claude.js";
export { findSandbox } from "./agent/claude/sandbox.js";
export { listOffered } from "./workflows/offered-workflows.js";
export { copyShipped, findCopies, renewCopyMark, type WorkflowCopy } from "./workflows/workflow-copies.js";
export { createWorkflowLibrary } from "./workflows/workflow-library.js";
export {
  createRepositoryPermissions,
  type RepositoryPermissions,
} from "./workspaces/repository-permissions.js";
