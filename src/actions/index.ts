import { answerAction } from "./answer-question.js";
import { checkPrAction } from "./check-pr.js";
import { cleanupAction } from "./cleanup.js";
import type { Action } from "./define-action.js";
import { diffAction } from "./diff.js";
import { discardAction } from "./discard.js";
import { feedbackAction } from "./feedback.js";
import { historyAction } from "./history.js";
import { killAction } from "./kill.js";
import { listPlansAction } from "./list-plans.js";
import { listSessionsAction } from "./list-sessions.js";
import { listWorkflowsAction } from "./list-workflows.js";
import { messageQueueAction } from "./message-queue.js";
import { planAction } from "./plan.js";
import { runAction } from "./run.js";
import { statusAction } from "./status.js";
import { takeAction } from "./take.js";

/** All actions, in the order in which they are published. */
export const actions: readonly Action[] = [
  runAction,
  statusAction,
  feedbackAction,
  answerAction,
  diffAction,
  takeAction,
  discardAction,
  checkPrAction,
  listSessionsAction,
  listWorkflowsAction,
  messageQueueAction,
  killAction,
  cleanupAction,
  planAction,
  listPlansAction,
  historyAction,
];
