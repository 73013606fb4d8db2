/** Failures after which nothing can go on with the conversation, by the API's word for them; all others pass. */
const ENDS: Record<string, string> = {
  context_full: "its conversation is full, so nothing more fits into it",
  transcript_gone: "its conversation is gone from the machine that its agents ran on",
};

/** Why a run's failure is the end of its conversation, as a part of a sentence; undefined when it is not. */
export function tellConversationEnd({ errorCode }: { errorCode?: string | undefined }): string | undefined {
  return errorCode !== undefined && Object.hasOwn(ENDS, errorCode) ? ENDS[errorCode] : undefined;
}
